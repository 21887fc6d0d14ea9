"""Reverse double Thompson: a sampled best against a sampled worst."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32

from duelgym.checks import positive_number, whole_number
from duelgym_agents.exploration.bounds import mean_and_deviation
from duelgym_agents.exploration.choice import check_samples
from duelgym_agents.exploration.marginal_thompson import perturbed_pairs
from duelgym_agents.exploration.rule import Selection


@dataclass(frozen=True)
class ReverseDoubleThompson:
    """Perturbs the means once for a favourite and once more for the least liked, and shows the two.

    DRTS of ActiveUltraFeedback (2603.09692): the first candidate is the largest mean + width * u * deviation, the
    second the largest -mean + width * u * deviation, with u uniform on [-1, 1] and independent for each candidate
    and draw. A rule for data on which to train (wide gaps), not for low regret. Where both are one candidate the second
    noise is drawn afresh, and after ``max_retries`` the second candidate is uniform over the others, as in the paper's
    code, and the prompt counts as a fallback. Ties are decided at random.

    Args:
        width: of the noise, in standard deviations over samples (divisor n_samples - 1); positive and finite.
        max_retries: how often the second noise may be drawn again; at least 0.

    Raises:
        SpecificationError: if either is not such a number.
    """

    width: float = 1.0
    max_retries: int = 30
    name: ClassVar[str] = "reverse_double_thompson"
    reads: ClassVar[Literal["samples"]] = "samples"

    def __post_init__(self) -> None:
        positive_number("width", self.width)
        whole_number("max_retries", self.max_retries, 0)

    def __call__(
        self, utilities: Float32[np.ndarray, "n_samples batch n_candidates"], rng: np.random.Generator
    ) -> Selection:
        """Return a sampled best and a sampled worst per prompt.

        Raises:
            SpecificationError: if there are fewer than two samples (no deviation).
        """
        check_samples(self.name, len(utilities), at_least=2)
        mean, deviation = mean_and_deviation(utilities)
        return perturbed_pairs(mean, -mean, self.width * deviation, self.max_retries, rng)
