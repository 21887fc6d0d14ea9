"""Uniform pair: each of the pairs there are equally often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32

from duelgym.checks import flag
from duelgym_agents.exploration.rule import Selection


@dataclass(frozen=True)
class UniformPair:
    """Draws an unordered pair uniformly, then by a fair coin which of the two is shown first.

    The control of dueling-bandit studies. Where candidates are a fixed set, as here, it has the distribution of
    passive (which draws two responses from the generator); another stream of draws, so a second, independent
    passive run.

    Args:
        with_replacement: draw both positions independently instead, as ActiveUltraFeedback's random rule does
            (2603.09692). One pair in n_candidates then is a candidate against itself: legal, costs a query, teaches
            nothing, and is counted by agents as a self-duel.

    Raises:
        SpecificationError: if ``with_replacement`` is neither True nor False.
    """

    with_replacement: bool = False
    name: ClassVar[str] = "uniform_pair"
    reads: ClassVar[Literal["nothing"]] = "nothing"

    def __post_init__(self) -> None:
        flag("with_replacement", self.with_replacement)

    def __call__(
        self, utilities: Float32[np.ndarray, "n_samples batch n_candidates"], rng: np.random.Generator
    ) -> Selection:
        """Return uniform pairs; of ``utilities`` only the shape matters."""
        _, batch, n_candidates = utilities.shape
        if self.with_replacement:
            return Selection(rng.integers(n_candidates, size=(batch, 2)))
        first, second = np.triu_indices(n_candidates, k=1)
        drawn = rng.integers(len(first), size=batch)
        pairs = np.stack([first[drawn], second[drawn]], axis=1)
        return Selection(rng.permuted(pairs, axis=1))
