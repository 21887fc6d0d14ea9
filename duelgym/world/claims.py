"""Which facts an answer states, and whether it states them truly."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache

from duelgym.world.topics import Fact, topics, words

_MARK = re.compile(r"^\s*(?:\d+[.)]|[-*]|[A-Z]\w*:)\s+")
_END = re.compile(r"(?<=[.!?])\s+")
_RECOGNISED = 0.8
_COMMON = frozenset(
    [
        "a",
        "an",
        "the",
        "of",
        "in",
        "on",
        "at",
        "to",
        "by",
        "for",
        "with",
        "from",
        "and",
        "or",
        "is",
        "are",
        "was",
        "were",
        "be",
        "it",
        "its",
        "this",
        "that",
        "as",
        "than",
        "has",
        "have",
        "can",
        "do",
        "does",
    ]
)


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

    A sentence states a fact if it holds at least 80 % of the content words of one of the fact's wordings outside the slot, or if it
    follows the fact's question and holds one of its values. The value must stand where the wording has its slot.
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
    """One wording of a fact: its content words, and what stands before and after its slot."""

    topic: int
    fact: int
    content: frozenset[str]
    values: tuple[tuple[str, ...], ...]
    before: str | None
    after: str | None


@cache
def _frames() -> tuple[_Frame, ...]:
    frames = []
    for t, topic in enumerate(topics()):
        for f, fact in enumerate(topic.facts):
            for wording in range(2):
                before, after = re.split(r"\[[^\]]*\]", fact.frames[wording])
                left, right = words(before), words(after)
                content = frozenset(left + right) - _COMMON or frozenset(left + right)
                values = tuple(tuple(words(value)) for value in fact.values)
                frames.append(_Frame(t, f, content, values, left[-1] if left else None, right[0] if right else None))
    return tuple(frames)


@cache
def _index() -> dict[str, tuple[int, ...]]:
    """Return the numbers of the frames in which each word occurs."""
    index: dict[str, list[int]] = {}
    for number, frame in enumerate(_frames()):
        for word in frame.content:
            index.setdefault(word, []).append(number)
    return {word: tuple(numbers) for word, numbers in index.items()}


@cache
def _by_question() -> dict[tuple[str, ...], tuple[int, int]]:
    return {
        tuple(words(fact.question)): (t, f) for t, topic in enumerate(topics()) for f, fact in enumerate(topic.facts)
    }


def _recognise(tokens: list[str]) -> tuple[int, int, int | None] | None:
    hits = Counter(number for word in set(tokens) for number in _index().get(word, ()))
    best: tuple[float, int, _Frame, int | None] | None = None
    for number, hit in hits.items():
        frame = _frames()[number]
        if hit < _RECOGNISED * len(frame.content):
            continue
        value = _value_in_slot(frame, tokens)
        rank = hit + (0.5 if value is not None else 0.0)
        if best is None or (rank, -number) > (best[0], -best[1]):
            best = rank, number, frame, value
    return None if best is None else (best[2].topic, best[2].fact, best[3])


def _value_in_slot(frame: _Frame, tokens: list[str]) -> int | None:
    """Return the value that stands beside one of the slot's neighbours, the longest if several do."""
    present = []
    for k, value in enumerate(frame.values):
        for start in _find(list(value), tokens):
            stop = start + len(value)
            beside_left = start > 0 and tokens[start - 1] == frame.before
            beside_right = stop < len(tokens) and tokens[stop] == frame.after
            at_edge = frame.before is None or frame.after is None
            if beside_left or beside_right or (at_edge and (start == 0 or stop == len(tokens))):
                present.append((beside_left + beside_right, len(value), -k))
    return -max(present)[2] if present else None


def _find(wanted: list[str], tokens: list[str]) -> list[int]:
    """Return where a run of words begins in a list of words."""
    n = len(wanted)
    return [k for k in range(len(tokens) - n + 1) if tokens[k : k + n] == wanted]
