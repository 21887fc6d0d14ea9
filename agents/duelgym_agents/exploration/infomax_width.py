"""Infomax on the interval: the pair whose win probability has the widest confidence interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32

from duelgym.checks import positive_number
from duelgym_agents.exploration.bounds import interval_width, mean_and_deviation
from duelgym_agents.exploration.choice import check_samples
from duelgym_agents.exploration.pairs import random_best_pair
from duelgym_agents.exploration.rule import Selection


@dataclass(frozen=True)
class InfomaxWidth:
    """Picks the pair with the largest sigmoid(U_i - L_j) - sigmoid(L_i - U_j).

    The infomax of ActiveUltraFeedback (2603.09692): U and L are each candidate's mean plus and minus ``width``
    standard deviations over samples. It knows each candidate's own spread only; what two candidates share (an
    offset that the samples disagree about) widens the interval although no duel could narrow it. Equal widths are
    decided at random; the candidate at the lower position is shown first. Where every interval is a point, the
    pair is uniform and the prompt counts as a fallback.

    Args:
        width: of the interval, in standard deviations (divisor n_samples - 1) to either side; positive and finite.
            1 is the default of the reward models that the paper uses; the divisor is left open.

    Raises:
        SpecificationError: if the width is not such a number.
    """

    width: float = 1.0
    name: ClassVar[str] = "infomax_width"
    reads: ClassVar[Literal["samples"]] = "samples"

    def __post_init__(self) -> None:
        positive_number("width", self.width)

    def __call__(
        self, utilities: Float32[np.ndarray, "n_samples batch n_candidates"], rng: np.random.Generator
    ) -> Selection:
        """Return the pairs of widest interval.

        Raises:
            SpecificationError: if there are fewer than two samples (no deviation).
        """
        n_samples, _, n_candidates = utilities.shape
        check_samples(self.name, n_samples, at_least=2)
        mean, deviation = mean_and_deviation(utilities)
        first, second = np.triu_indices(n_candidates, k=1)
        difference = mean[:, first] - mean[:, second]
        radius = self.width * (deviation[:, first] + deviation[:, second])
        return random_best_pair(interval_width(difference, radius), n_candidates, rng)
