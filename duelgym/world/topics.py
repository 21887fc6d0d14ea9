"""Topics and the facts that are true of them: the world's hand-written material."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_SLOT = re.compile(r"\[([^|\]]+)\|([^|\]]+)\|([^|\]]+)\]")
_WORD = re.compile(r"[A-Za-z0-9]+(?:'[A-Za-z]+)?")


@dataclass(frozen=True)
class Fact:
    """Something true of a topic, in two wordings that share one slot.

    Attributes:
        frames: the two wordings with the slot's three values in brackets.
        values: what may stand in the slot: the true value first, then two false ones.
        question: asks for the slot's value.
    """

    frames: tuple[str, str]
    values: tuple[str, str, str]
    question: str

    def statement(self, wording: int = 0, value: int = 0) -> str:
        """Return a sentence of one wording (0 or 1) with one of the values (0 is true, 1 and 2 are false)."""
        return _SLOT.sub(lambda slot: slot.group(value + 1), self.frames[wording])

    def frame(self, wording: int) -> str:
        """Return a wording with nothing in its slot."""
        return _SLOT.sub(" ", self.frames[wording])


@dataclass(frozen=True)
class Topic:
    """Something to write about.

    Attributes:
        name: noun phrase.
        also: other ways to name it in an instruction.
        words: lower-case; a text that holds one of them is about this topic.
        facts: what is true of it.
    """

    name: str
    also: tuple[str, ...]
    words: tuple[str, ...]
    facts: tuple[Fact, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Every way to name it."""
        return (self.name, *self.also)


@cache
def topics() -> tuple[Topic, ...]:
    """Return all topics, in the order of the files and within them."""
    folder = files("duelgym.world") / "material" / "topics"
    loaded = []
    for file in sorted((entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda e: e.name):
        for entry in tomllib.loads(file.read_text("utf-8"))["topic"]:
            facts = tuple(_fact(first, second, question) for first, second, question in entry["facts"])
            loaded.append(Topic(entry["name"], tuple(entry["also"]), tuple(entry["words"]), facts))
    return tuple(loaded)


@cache
def topics_by_name() -> dict[str, int]:
    """Return the number of each topic under every one of its names."""
    return {name: number for number, topic in enumerate(topics()) for name in topic.names}


def words(text: str) -> list[str]:
    """Return the lower-case words and numbers of a text in order."""
    return [word.lower() for word in _WORD.findall(text)]


def _fact(first: str, second: str, question: str) -> Fact:
    slot = _SLOT.search(first)
    if slot is None or _SLOT.search(second) is None:
        raise ValueError(f"a fact has no slot of three values: {first!r}")
    true, false, other = slot.groups()
    return Fact((first, second), (true, false, other), question)
