"""DeltaUCB: the pair that may be furthest apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32

from duelgym.checks import positive_number
from duelgym_agents.exploration.bounds import gaps
from duelgym_agents.exploration.choice import check_samples, random_best
from duelgym_agents.exploration.rule import Selection


@dataclass(frozen=True)
class DeltaUCB:
    """Picks the ordered pair with the largest U_i - L_j: an optimistic best against a pessimistic worst.

    ActiveUltraFeedback (2603.09692): U and L are each candidate's mean plus and minus ``width`` standard deviations
    over samples. The hoped-for winner is shown first. Ties are decided at random. Where all samples agree it shows
    the best against the worst, as its definition says.

    Args:
        width: of the bounds, in standard deviations (divisor n_samples - 1); positive and finite. 1 is the default
            of the reward models that the paper uses.

    Raises:
        SpecificationError: if the width is not such a number.
    """

    width: float = 1.0
    name: ClassVar[str] = "delta_ucb"
    reads: ClassVar[Literal["samples"]] = "samples"

    def __post_init__(self) -> None:
        positive_number("width", self.width)

    def __call__(
        self, utilities: Float32[np.ndarray, "n_samples batch n_candidates"], rng: np.random.Generator
    ) -> Selection:
        """Return the pairs of widest optimistic gap.

        Raises:
            SpecificationError: if there are fewer than two samples (no deviation).
        """
        n_samples, batch, n_candidates = utilities.shape
        check_samples(self.name, n_samples, at_least=2)
        _, gap = gaps(utilities, self.width)
        best = random_best(gap.reshape(batch, -1), rng)
        return Selection(np.stack(np.divmod(best, n_candidates), axis=1))
