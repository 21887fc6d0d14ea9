"""Best against worst: the widest margin under the mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32

from duelgym_agents.exploration.choice import check_mean, random_best
from duelgym_agents.exploration.rule import Selection


@dataclass(frozen=True)
class BestAgainstWorst:
    """Shows the candidate of highest mean utility against that of lowest.

    MaxMin in ActiveUltraFeedback (2603.09692), there by a judge's scores; also the preference-certainty criterion of
    Active Preference Learning (Muldrew et al. 2024, 2402.08114): the largest absolute difference of
    implicit rewards, with learned utilities in their place. Ties are decided at random.
    """

    name: ClassVar[str] = "best_against_worst"
    reads: ClassVar[Literal["mean"]] = "mean"

    def __call__(self, utilities: Float32[np.ndarray, "1 batch n_candidates"], rng: np.random.Generator) -> Selection:
        """Return the best and the worst, in this order.

        Raises:
            SpecificationError: if there is more or less than one sample.
        """
        check_mean(self.name, len(utilities))
        first = random_best(utilities[0], rng)
        return Selection(np.stack([first, random_best(-utilities[0], rng, excluded=first)], axis=1))
