"""The manner of an answer, read from its words: formal or casual, bold or cautious, warm or blunt, to the point, personal, rude."""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import cache

from duelgym.world.claims import sentences
from duelgym.world.instructions import person_names, vocabulary
from duelgym.world.phrases import phrases
from duelgym.world.topics import topics, words

POLES = {"formality": ("formal", "casual"), "confidence": ("bold", "cautious"), "warmth": ("warm", "blunt")}
_CONTRACTION = re.compile(r"\w+'(?:t|re|ll|ve|d|m)|(?:it|that|there|here|what)'s")
_PART = re.compile(r"(?<=[.!?:])\s+")
_HALF = 4.0
_PERSONAL = frozenset(
    ("i", "me", "my", "mine", "myself", "we", "us", "our", "ours", "you", "your", "yours", "yourself")
)


def manners(text: str) -> dict[str, float]:
    """Return formality (1 formal, -1 casual), confidence (1 bold, -1 cautious) and warmth (1 warm, -1 blunt), each in [-1, 1].

    Each is tanh((hits of one pole - hits of the other) / 4). A hit is a pair of neighbouring words that the hand-written phrases of
    that pole have and all other material has not. A contraction that is in no casual pair is a casual hit; an exclamation mark is a
    warm one, unless its sentence is casual and shows no warmth in its words.
    """
    hits: Counter[str | None] = Counter()
    for sentence in _parts(text):
        tokens = words(sentence)
        poles = [*map(_markers().get, _pairs(tokens)), None]
        shown = Counter(poles)
        shown["casual"] += sum(
            "'" in token and _CONTRACTION.fullmatch(token) is not None and "casual" not in poles[k : k + 2]
            for k, token in enumerate(tokens)
        )
        if shown["warm"] or not shown["casual"]:
            shown["warm"] += sentence.count("!")
        hits.update(shown)
    return {axis: math.tanh((hits[high] - hits[low]) / _HALF) for axis, (high, low) in POLES.items()}


def directness(text: str) -> float:
    """Return the share of a text that says facts rather than dresses them: 1 to the point, 0 all courtesies and comments.

    Counted are pairs of neighbouring words; those that a statement or a question of the material holds say facts, and so
    does a bare value.
    """
    said = total = 0
    for part in _parts(text):
        tokens = words(part)
        pairs = _pairs(tokens)
        total += len(pairs)
        said += len(pairs) if tuple(tokens) in _values() else sum(pair in _stated() for pair in pairs)
    return said / total if total else 0.0


def involvement(text: str) -> float:
    """Return the share of words that speak of writer or reader (I, my, we, you, …): from 0, impersonal, to 1.

    First and second persons are the first marks of involved as against informational style in Biber (1988).
    """
    tokens = words(text)
    return sum(token.partition("'")[0] in _PERSONAL for token in tokens) / len(tokens) if tokens else 0.0


def _parts(text: str) -> list[str]:
    return [part for line in text.split("\n") for part in _PART.split(line)]


def _pairs(tokens: list[str]) -> list[tuple[str, str]]:
    """Return neighbouring words, where a sentence begins with an empty one."""
    return list(zip(["", *tokens], tokens, strict=False))


@cache
def _markers() -> dict[tuple[str, str], str]:
    """Return the pairs of words that show a manner, with that manner."""
    owners: dict[tuple[str, str], set[str]] = {}
    for banks in phrases().values():
        for manner, bank in banks.items():
            for phrase in bank:
                for part in re.split(r"\{\w+\}", phrase):
                    for pair in _pairs(words(part)):
                        owners.setdefault(pair, set()).add(manner)
    for pair in _stated():
        owners.setdefault(pair, set()).add("fact")
    poles = {pole for both in POLES.values() for pole in both}
    return {pair: next(iter(names)) for pair, names in owners.items() if len(names) == 1 and names <= poles}


@cache
def _stated() -> frozenset[tuple[str, str]]:
    """Return the pairs of words in all statements, true and false, and in their questions."""
    facts = [fact for topic in topics() for fact in topic.facts]
    texts = [text for f in facts for text in (*(f.statement(w, v) for w in range(2) for v in range(3)), f.question)]
    return frozenset(pair for text in texts for pair in _pairs(words(text)))


@cache
def _values() -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(words(value)) for topic in topics() for fact in topic.facts for value in fact.values)


@cache
def rude() -> frozenset[tuple[str, ...]]:
    """Return the words of every rude sentence, about every topic."""
    names = [name for topic in topics() for name in topic.names]
    filled = (p.replace("{topic}", name) for p in phrases()["rude"]["any"] for name in (names if "{" in p else [""]))
    return frozenset(tuple(words(part)) for text in filled for part in sentences(text))


@cache
def lexicon() -> frozenset[str]:
    """Return every word of the material."""
    texts = [phrase for banks in phrases().values() for bank in banks.values() for phrase in bank]
    texts += [*person_names(), *vocabulary(), "Question Answer 1 2 3 4"]
    for topic in topics():
        texts += [*topic.names, "".join(part[:1].upper() + part[1:] for part in topic.name.replace("'", "").split())]
        texts += [f.statement(w, v) for f in topic.facts for w in range(2) for v in range(3)]
        texts += [f.question for f in topic.facts]
    return frozenset(word for text in texts for word in words(text))
