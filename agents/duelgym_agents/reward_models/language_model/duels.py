"""The most recent duels as token rows, and the random stream that draws from them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from duelgym_agents.reward_models.language_model.reader import TokenRow
from duelgym_agents.reward_models.settings import LearningSettings
from duelgym_agents.state import entry, generator_from_array, generator_to_array


@dataclass(frozen=True)
class TextDuel:
    """A duel whose answer is known.

    Attributes:
        first: tokens of the prompt and the response shown first.
        second: tokens of the prompt and the other response.
        target: 1 where the first was preferred, 0 where the second was, 0.5 for a tie.
        marks: random numbers that decide which particles learn from the duel; none without bootstrap.
    """

    first: TokenRow
    second: TokenRow
    target: float
    marks: Float32[np.ndarray, " mark"]

    def __deepcopy__(self, memo: dict[int, Any]) -> TextDuel:
        return self  # never written to


class TextReplay:
    """Informative duels, first in, first out, so that memory does not grow with the number of queries.

    Args:
        settings: capacity, minibatch, regulariser.
        rng: draws minibatches and marks; the replay keeps it, and a model may draw from it too.
        mark_dim: standard normal numbers drawn for every duel, for the bootstrap.
    """

    def __init__(self, settings: LearningSettings, *, rng: np.random.Generator, mark_dim: int) -> None:
        self.rng = rng
        self.added = 0
        self._settings = settings
        self._mark_dim = mark_dim
        self._duels: deque[TextDuel] = deque(maxlen=settings.buffer_capacity)

    def add(self, rows: Sequence[TokenRow], targets: Float32[np.ndarray, " duels"]) -> int:
        """Put duels in.

        Args:
            rows: first and second of each duel in turn.
            targets: probabilities with which the first should have won.

        Returns:
            The optimiser steps that are due (:meth:`LearningSettings.steps_after`).
        """
        marks = self.rng.standard_normal((len(targets), self._mark_dim), dtype=np.float32)
        self._duels.extend(map(TextDuel, rows[::2], rows[1::2], targets.tolist(), marks))
        due = self._settings.steps_after(self.added, len(targets))
        self.added += len(targets)
        return due

    def draw(self) -> list[TextDuel]:
        """Return a minibatch, drawn uniformly with replacement; there must be a duel."""
        places = self.rng.integers(len(self._duels), size=self._settings.minibatch_size)
        return [self._duels[place] for place in places]

    @property
    def pull(self) -> float:
        """What the regulariser weighs against a mean over duels (:meth:`LearningSettings.pull`)."""
        return self._settings.pull(added=self.added, kept=len(self._duels))

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the duels, oldest first, their rows end to end, and the random state."""
        rows = [row for duel in self._duels for row in (duel.first, duel.second)]
        return {
            "tokens": np.concatenate([np.zeros(0, np.int32), *rows]),
            "lengths": np.array([len(row) for row in rows], dtype=np.int64),
            "targets": np.array([duel.target for duel in self._duels], dtype=np.float32),
            "marks": np.array([duel.marks for duel in self._duels], np.float32).reshape(
                len(self._duels), self._mark_dim
            ),
            "added": np.array(self.added),
            "rng": generator_to_array(self.rng),
        }

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state_dict` gave."""
        self.added = int(entry(state, "added", ()))
        count = min(self.added, self._settings.buffer_capacity)
        targets: list[float] = entry(state, "targets", (count,)).tolist()
        marks = entry(state, "marks", (count, self._mark_dim)).astype(np.float32)
        lengths: Int64[np.ndarray, " rows"] = entry(state, "lengths", (2 * count,))
        tokens = entry(state, "tokens", (int(lengths.sum()),)).astype(np.int32)
        rows = np.split(tokens, np.cumsum(lengths)[:-1])
        self._duels = deque(map(TextDuel, rows[::2], rows[1::2], targets, marks), maxlen=self._settings.buffer_capacity)
        generator_from_array(self.rng, entry(state, "rng"))
