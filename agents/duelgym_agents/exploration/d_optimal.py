"""D-optimal: the pair whose difference in utility is least certain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from duelgym.checks import flag
from duelgym_agents.exploration.linear import best_pairs, fisher_weights, from_first, projected, squared_distances
from duelgym_agents.exploration.posterior import LinearPosterior
from duelgym_agents.exploration.rule import Selection


@dataclass(frozen=True)
class DOptimal:
    """Picks the pair whose feature difference z is largest in the inverse information matrix: z' covariance z.

    Das et al. 2024 (APO, 2402.10500): the bonus of a pair is the norm of its difference in the inverse of the
    regularised information matrix. A label of precision w adds log(1 + w z' covariance z) to the log-determinant of
    that matrix, so with equal w this is the D-optimal next duel. APO also picks the prompt, which here the
    environment does. The paper weighs past duels by p (1 - p) and the next one not; ``fisher`` weighs that too.
    Equals are decided at random; the lower position is shown first. Where no difference is uncertain at all (identical
    candidates, no covariance) the pair is uniform, and the prompt counts as a fallback.

    Args:
        fisher: whether to multiply by p (1 - p) at the mean utilities, so that duels whose outcome is sure are worth
            little (Shen et al. 2025, 2502.04354).

    Raises:
        SpecificationError: if ``fisher`` is neither True nor False.
    """

    fisher: bool = False
    name: ClassVar[str] = "d_optimal"
    reads: ClassVar[Literal["posterior"]] = "posterior"

    def __post_init__(self) -> None:
        flag("fisher", self.fisher)

    def __call__(self, posterior: LinearPosterior, rng: np.random.Generator) -> Selection:
        """Return the pairs of largest variance."""
        features = from_first(posterior.features)
        scores = squared_distances(features, projected(features, posterior.covariance))
        if self.fisher:
            scores *= fisher_weights(posterior.utilities())
        return Selection(best_pairs(scores, rng), fallbacks=int(np.count_nonzero(scores.max(axis=(1, 2)) == 0)))
