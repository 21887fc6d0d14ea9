"""The manner of an answer, read from its words: formal or casual, bold or cautious, warm or blunt."""

from __future__ import annotations

import math
import re
from functools import cache

from duelgym.world.demonstrations import phrases
from duelgym.world.topics import topics, words

POLES = {"formality": ("formal", "casual"), "confidence": ("bold", "cautious"), "warmth": ("warm", "blunt")}
_CONTRACTION = re.compile(r"\b\w+'(?:t|re|ll|ve|d|m)\b|\b(?:it|that|there|here|what)'s\b", re.IGNORECASE)
_HALF = 4.0


def manners(text: str) -> dict[str, float]:
    """Return formality (1 formal, -1 casual), confidence (1 bold, -1 cautious) and warmth (1 warm, -1 blunt), each in (-1, 1).

    Each is tanh((hits of one pole - hits of the other) / 4). A hit is a pair of neighbouring words that the hand-written phrases of
    that pole have and all other material has not; a contraction is a casual hit, an exclamation mark a warm one.
    """
    hits = dict.fromkeys((pole for poles in POLES.values() for pole in poles), 0.0)
    for line in text.split("\n"):
        for sentence in re.split(r"(?<=[.!?:])\s+", line):
            for pair in _pairs(words(sentence)):
                if (pole := _markers().get(pair)) is not None:
                    hits[pole] += 1
    hits["casual"] += len(_CONTRACTION.findall(text))
    hits["warm"] += text.count("!")
    return {axis: math.tanh((hits[high] - hits[low]) / _HALF) for axis, (high, low) in POLES.items()}


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
    for topic in topics():
        for fact in topic.facts:
            for text in (*(fact.statement(w, v) for w in range(2) for v in range(3)), fact.question):
                for pair in _pairs(words(text)):
                    owners.setdefault(pair, set()).add("fact")
    poles = {pole for both in POLES.values() for pole in both}
    return {pair: next(iter(names)) for pair, names in owners.items() if len(names) == 1 and names <= poles}
