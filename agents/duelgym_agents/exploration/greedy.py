"""Greedy: the two that seem best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32

from duelgym_agents.exploration.choice import check_mean, random_best
from duelgym_agents.exploration.rule import Selection


@dataclass(frozen=True)
class Greedy:
    """Shows the candidates of highest and second highest mean utility: Boltzmann as its temperature goes to 0.

    The control without exploration (greedy against greedy, without the self-duel). Ties are decided at random.
    """

    name: ClassVar[str] = "greedy"
    reads: ClassVar[Literal["mean"]] = "mean"

    def __call__(self, utilities: Float32[np.ndarray, "1 batch n_candidates"], rng: np.random.Generator) -> Selection:
        """Return the best and the second best, in this order.

        Raises:
            SpecificationError: if there is more or less than one sample.
        """
        check_mean(self.name, len(utilities))
        first = random_best(utilities[0], rng)
        return Selection(np.stack([first, random_best(utilities[0], rng, excluded=first)], axis=1))
