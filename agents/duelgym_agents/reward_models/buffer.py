"""The most recent duels, in a ring of fixed size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from duelgym_agents.state import entry


@dataclass(frozen=True)
class LabelledDuels:
    """Duels whose answer is known.

    Attributes:
        prompts: prompt features.
        candidates: features of the two candidates, in the order shown.
        targets: 1 where the first was preferred, 0 where the second was, 0.5 for a tie.
        marks: standard normal numbers that decide which epistemic indices learn from a duel; none without bootstrap.
    """

    prompts: Float32[np.ndarray, "duels prompt_dim"]
    candidates: Float32[np.ndarray, "duels 2 candidate_dim"]
    targets: Float32[np.ndarray, " duels"]
    marks: Float32[np.ndarray, "duels mark"]


class DuelBuffer:
    """First in, first out: memory does not grow with the number of queries.

    Args:
        capacity: how many duels are kept.
        prompt_dim: features of a prompt.
        candidate_dim: features of a candidate.
        mark_dim: numbers in a duel's marks.
    """

    def __init__(self, *, capacity: int, prompt_dim: int, candidate_dim: int, mark_dim: int = 0) -> None:
        self._prompts = np.zeros((capacity, prompt_dim), dtype=np.float32)
        self._candidates = np.zeros((capacity, 2, candidate_dim), dtype=np.float32)
        self._targets = np.zeros(capacity, dtype=np.float32)
        self._marks = np.zeros((capacity, mark_dim), dtype=np.float32)
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, len(self._targets))

    @property
    def added(self) -> int:
        """How many duels have ever been put in."""
        return self._added

    def add(self, duels: LabelledDuels) -> None:
        """Put duels in, oldest first; beyond the capacity they displace the oldest ones."""
        capacity = len(self._targets)
        count = len(duels.targets)
        kept = slice(max(0, count - capacity), count)
        places = np.arange(self._added, self._added + count)[kept] % capacity
        self._prompts[places] = duels.prompts[kept]
        self._candidates[places] = duels.candidates[kept]
        self._targets[places] = duels.targets[kept]
        self._marks[places] = duels.marks[kept]
        self._added += count

    def draw(self, count: int, rng: np.random.Generator) -> LabelledDuels:
        """Return ``count`` duels drawn uniformly with replacement; the buffer must not be empty."""
        return self._at(rng.integers(len(self), size=count))

    def pieces(self, size: int) -> Iterator[LabelledDuels]:
        """Yield all duels in the buffer, each once, ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self._at(np.arange(start, min(start + size, len(self))))

    def _at(self, places: Int64[np.ndarray, " duels"]) -> LabelledDuels:
        return LabelledDuels(
            self._prompts[places], self._candidates[places], self._targets[places], self._marks[places]
        )

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return what is in the ring."""
        size = len(self)
        state = {
            "prompts": self._prompts[:size].copy(),
            "candidates": self._candidates[:size].copy(),
            "targets": self._targets[:size].copy(),
            "added": np.array(self._added),
        }
        return state | ({"marks": self._marks[:size].copy()} if self._marks.shape[1] else {})

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what was in the ring."""
        self._added = int(entry(state, "added", ()))
        size = len(self)
        self._prompts[:size] = entry(state, "prompts", (size, *self._prompts.shape[1:]))
        self._candidates[:size] = entry(state, "candidates", (size, *self._candidates.shape[1:]))
        self._targets[:size] = entry(state, "targets", (size,))
        if self._marks.shape[1]:
            self._marks[:size] = entry(state, "marks", (size, *self._marks.shape[1:]))
