"""MaxInP: among candidates that may still be the best, the pair that is most uncertain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32

from duelgym.checks import positive_number
from duelgym_agents.exploration.bounds import difference_mean_and_deviation, plausible_winners
from duelgym_agents.exploration.choice import check_samples, random_best
from duelgym_agents.exploration.rule import Selection


@dataclass(frozen=True)
class MaxInP:
    """Keeps the candidates that no other beats with confidence, and picks the pair of them most in doubt.

    Maximum informative pair, Saha 2021 (2002.08583), the first of two algorithms: candidate i stays if,
    for every j, mean + ``width`` standard deviations of u_i - u_j over samples is at least 0; of those that stay,
    the pair with the largest deviation of u_i - u_j. The paper's deviation is the norm of the feature difference in the inverse
    design matrix, of which the samples' deviation is the posterior counterpart. Ties are decided at random; the
    candidate at the lower position is shown first.

    Where only one stays, the paper shows it against itself, which teaches nothing; here its rival is the most
    uncertain of all others, and the prompt counts as a fallback.

    Args:
        width: of the bounds, in standard deviations (divisor n_samples - 1); positive and finite. Stands for the
            paper's confidence radius, whose constant is for proofs.

    Raises:
        SpecificationError: if the width is not such a number.
    """

    width: float = 1.0
    name: ClassVar[str] = "max_in_p"
    reads: ClassVar[Literal["samples"]] = "samples"

    def __post_init__(self) -> None:
        positive_number("width", self.width)

    def __call__(
        self, utilities: Float32[np.ndarray, "n_samples batch n_candidates"], rng: np.random.Generator
    ) -> Selection:
        """Return the most uncertain pairs of plausible winners.

        Raises:
            SpecificationError: if there are fewer than two samples (no deviation).
        """
        n_samples, _, n_candidates = utilities.shape
        check_samples(self.name, n_samples, at_least=2)
        mean, deviation = difference_mean_and_deviation(utilities)
        plausible = plausible_winners(mean, self.width * deviation)
        alone = plausible.sum(axis=1) == 1
        first, second = np.triu_indices(n_candidates, k=1)
        both, either = plausible[:, first] & plausible[:, second], plausible[:, first] | plausible[:, second]
        allowed = np.where(alone[:, None], either, both)
        best = random_best(np.where(allowed, deviation[:, first, second], -np.inf), rng)
        return Selection(np.stack([first[best], second[best]], axis=1), fallbacks=int(np.count_nonzero(alone)))
