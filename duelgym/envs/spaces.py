"""Observation spaces: numbers by default, and strings of any kind where they are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from duelgym.checks import flag
from duelgym.generators import QuestionSource

_WORDS = ("amber", "breeze", "cedar", "delta", "ember", "flint", "grove", "harbour")


class Unicode(gym.Space[str]):
    """Any Python string, of any length, in any script: ``gymnasium.spaces.Text`` refuses spaces and accents."""

    def __init__(self, seed: int | np.random.Generator | None = None) -> None:
        super().__init__(shape=None, dtype=str, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        """False: strings have no array form."""
        return False

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """Return a few random words."""
        return " ".join(self.np_random.choice(_WORDS, size=int(self.np_random.integers(1, 6))).tolist())

    def contains(self, x: Any) -> bool:
        """Return whether x is a Python string; numpy strings are refused, since vector environments cut them."""
        return type(x) is str

    def to_jsonable(self, sample_n: Iterable[str]) -> list[Any]:
        """Return the strings: they are plain JSON."""
        return list(sample_n)

    def from_jsonable(self, sample_n: list[Any]) -> list[str]:
        """Return the strings."""
        return [str(x) for x in sample_n]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unicode)

    def __hash__(self) -> int:
        return hash(Unicode)

    def __repr__(self) -> str:
        return "Unicode()"


class UnicodeTuple(gym.Space[tuple[str, ...]]):
    """A tuple of exactly n strings, as one space: N candidate texts."""

    def __init__(self, n: int, seed: int | np.random.Generator | None = None) -> None:
        self.n = int(n)
        self._one = Unicode(seed)
        super().__init__(shape=None, dtype=None, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        """False: strings have no array form."""
        return False

    def seed(self, seed: Any = None) -> Any:
        """Seed the sampling."""
        self._one.seed(seed)
        return super().seed(seed)

    def sample(self, mask: Any = None, probability: Any = None) -> tuple[str, ...]:
        """Return n short random texts."""
        return tuple(self._one.sample() for _ in range(self.n))

    def contains(self, x: Any) -> bool:
        """Return whether x is a tuple of n Python strings."""
        return type(x) is tuple and len(x) == self.n and all(type(text) is str for text in x)

    def to_jsonable(self, sample_n: Iterable[tuple[str, ...]]) -> list[Any]:
        """Return lists of strings."""
        return [list(x) for x in sample_n]

    def from_jsonable(self, sample_n: list[Any]) -> list[tuple[str, ...]]:
        """Return tuples of strings."""
        return [tuple(x) for x in sample_n]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnicodeTuple) and other.n == self.n

    def __hash__(self) -> int:
        return hash((UnicodeTuple, self.n))

    def __repr__(self) -> str:
        return f"UnicodeTuple({self.n})"


def observation_space(generator: QuestionSource, *, text: bool) -> spaces.Dict:
    """Return the space of one observation of its candidates; with ``text``, the strings beside the numbers."""
    flag("text", text)
    n_candidates = generator.n_candidates
    parts: dict[str, gym.Space[Any]] = {
        "prompt": spaces.Box(-1.0, 1.0, (generator.prompt_dim,), np.float32),
        "candidates": spaces.Box(-1.0, 1.0, (n_candidates, generator.candidate_dim), np.float32),
        "last_pair": spaces.MultiDiscrete([n_candidates, n_candidates]),
        "preference": spaces.Discrete(4),
    }
    if text:
        parts["prompt_text"] = Unicode()
        parts["candidate_texts"] = UnicodeTuple(n_candidates)
    return spaces.Dict(parts)
