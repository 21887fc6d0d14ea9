"""Which facts an answer states, and whether it states them truly."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import chain

from duelgym.world.topics import Fact, topics, words

_MARK = re.compile(r"^\s*(?:\d[.)]|[-*]|[A-Z]\w*:)\s+")
_END = re.compile(r"(?<=[.!?])\s+")
_RECOGNISED = 0.8
# fmt: off
_COMMON = frozenset([
    "a", "an", "the", "of", "in", "on", "at", "to", "by", "for", "with", "from", "and", "or", "is", "are", "was",
    "were", "be", "it", "its", "this", "that", "what", "as", "than", "has", "have", "can", "do", "does",
])
# fmt: on


@dataclass(frozen=True)
class Claim:
    """A sentence that states a fact, truly or not.

    Attributes:
        topic: number of the topic.
        fact: number of the fact within the topic.
        value: which of the fact's values stands in its slot, 0 for the true one; None for something else.
        sentence: number of the sentence.
    """

    topic: int
    fact: int
    value: int | None
    sentence: int


def sentences(text: str) -> list[str]:
    """Return the sentences of a text without list marks and speakers' names; lines end sentences."""
    parts = (part for line in text.split("\n") for part in _END.split(_MARK.sub("", line).strip()))
    return [part for part in parts if part]


def claims(text: str) -> list[Claim]:
    """Return what a text states about any topic, sentence by sentence, at most one claim a sentence.

    A sentence states a fact if it holds at least 80 % of the content words of one of the fact's wordings, in their order and one of
    the fact's values where the wording has its slot; or if it follows the fact's question. With something else in the slot the
    value is None, and three content words are needed, two of which do not just name the topic; or all, and a value out of place.
    """
    found = []
    asked: tuple[int, int] | None = None
    for number, sentence in enumerate(sentences(text)):
        tokens = words(sentence)
        question = _by_question().get(tuple(tokens))
        if question is not None:
            asked = question
            continue
        recognised = _recognise(tokens)
        if recognised is not None:
            topic, fact, value = recognised
            found.append(Claim(topic, fact, value, number))
        elif asked is not None:
            found.append(Claim(*asked, stated_value(topics()[asked[0]].facts[asked[1]], tokens), number))
        asked = None
    return found


def stated_value(fact: Fact, tokens: list[str]) -> int | None:
    """Return which of a fact's values stands in a list of words: the longest, or None."""
    present = [k for k in range(3) if _find(words(fact.values[k]), tokens)]
    return max(present, key=lambda k: len(words(fact.values[k]))) if present else None


@dataclass(frozen=True)
class _Frame:
    """One wording of a fact: its content words before and after its slot, in order, those that are not in the topic's names, and the slot's neighbours."""

    topic: int
    fact: int
    left: tuple[str, ...]
    right: tuple[str, ...]
    own: frozenset[str]
    values: tuple[tuple[str, ...], ...]
    before: str | None
    after: str | None


@cache
def _frames() -> tuple[_Frame, ...]:
    frames = []
    for t, topic in enumerate(topics()):
        naming = {*topic.words, *(word for name in topic.names for word in words(name))}
        for f, fact in enumerate(topic.facts):
            for wording in range(2):
                before, after = (words(part) for part in re.split(r"\[[^\]]*\]", fact.frames[wording]))
                left, right = (tuple(word for word in part if word not in _COMMON) for part in (before, after))
                values = tuple(tuple(words(value)) for value in fact.values)
                own = frozenset(left + right) - naming
                neighbours = (before[-1] if before else None, after[0] if after else None)
                frames.append(_Frame(t, f, left, right, own, values, *neighbours))
    return tuple(frames)


@cache
def _index() -> dict[str, tuple[int, ...]]:
    """Return the numbers of the frames in which each word occurs."""
    index: dict[str, list[int]] = {}
    for number, frame in enumerate(_frames()):
        for word in {*frame.left, *frame.right}:
            index.setdefault(word, []).append(number)
    return {word: tuple(numbers) for word, numbers in index.items()}


@cache
def _least() -> tuple[float, ...]:
    """Return for each frame how many different content words a sentence must hold to deserve a closer look."""
    return tuple(_RECOGNISED * len({*frame.left, *frame.right}) for frame in _frames())


@cache
def _by_question() -> dict[tuple[str, ...], tuple[int, int]]:
    return {
        tuple(words(fact.question)): (t, f) for t, topic in enumerate(topics()) for f, fact in enumerate(topic.facts)
    }


def _recognise(tokens: list[str]) -> tuple[int, int, int | None] | None:
    """Return topic, fact and value of the frame that fits best."""
    index, least = _index(), _least()
    hits = Counter(chain.from_iterable([index[word] for word in set(tokens) if word in index]))
    best: tuple[tuple[float, int], _Frame, int | None] | None = None
    for number in [number for number, hit in hits.items() if hit >= least[number]]:
        frame = _frames()[number]
        fit, value = _fit(frame, tokens)
        if fit and (best is None or (fit, -number) > best[0]):
            best = (fit, -number), frame, value
    return None if best is None else (best[1].topic, best[1].fact, best[2])


def _fit(frame: _Frame, tokens: list[str]) -> tuple[float, int | None]:
    """Return how many content words stand in order, half a word more with a value in the slot, and that value or None; 0 if too few."""
    content = frame.left + frame.right
    enough = _RECOGNISED * len(content)
    fits = []
    present = False
    for k, value in enumerate(frame.values):
        for start in _find(list(value), tokens):
            present = True
            stop = start + len(value)
            beside_left = start > 0 and tokens[start - 1] == frame.before
            beside_right = stop < len(tokens) and tokens[stop] == frame.after
            at_edge = (frame.before is None or frame.after is None) and (start == 0 or stop == len(tokens))
            if beside_left or beside_right or at_edge:
                n = _in_order(frame.left, tokens[:start]) + _in_order(frame.right, tokens[stop:])
                fits.append((n >= enough, beside_left + beside_right, len(value), -k, n))
    if fits and max(fits)[0]:
        *_, minus_k, n = max(fits)
        return n + 0.5, -minus_k
    n = _in_order(content, tokens)
    told = (n >= max(3, enough) and len(frame.own.intersection(tokens)) >= 2) or (present and n == len(content))
    return (n if told else 0), None


def _in_order(wanted: tuple[str, ...], tokens: list[str]) -> int:
    """Return the length of the longest common subsequence of two lists of words."""
    longest = [0] * (len(wanted) + 1)
    for token in tokens:
        if token in wanted:
            diagonal = 0
            for k, word in enumerate(wanted, 1):
                above = longest[k]
                longest[k] = diagonal + 1 if token == word else max(above, longest[k - 1])
                diagonal = above
    return longest[-1]


def _find(wanted: list[str], tokens: list[str]) -> list[int]:
    """Return where a run of words begins in a list of words."""
    n = len(wanted)
    return [k for k in range(len(tokens) - n + 1) if tokens[k : k + n] == wanted]
