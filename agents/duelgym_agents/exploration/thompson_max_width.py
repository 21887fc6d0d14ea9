"""Thompson and width: a perturbed favourite against the candidate whose interval against it is widest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32

from duelgym.checks import positive_number
from duelgym_agents.exploration.bounds import interval_width, mean_and_deviation
from duelgym_agents.exploration.choice import check_samples, random_best
from duelgym_agents.exploration.marginal_thompson import perturbed_favourites
from duelgym_agents.exploration.rule import Selection


@dataclass(frozen=True)
class ThompsonMaxWidth:
    """Shows a favourite under independent noise against the candidate of largest sigmoid(U_i - L_j) - sigmoid(L_i - U_j).

    What ActiveUltraFeedback (2603.09692) calls InfoGain. The first candidate i is the favourite of
    :class:`~duelgym_agents.exploration.marginal_thompson.MarginalThompson`, the second the one whose interval against
    it, as :class:`~duelgym_agents.exploration.infomax_width.InfomaxWidth` has it, is widest: each candidate's own spread,
    where :class:`~duelgym_agents.exploration.thompson_max_variance.ThompsonMaxVariance` reads joint samples. Ties are
    decided at random. Where every interval is a point, the second candidate is uniform over the others, and the prompt
    counts as a fallback.

    Args:
        width: of noise and intervals, in standard deviations over samples (divisor n_samples - 1); positive and finite.

    Raises:
        SpecificationError: if the width is not such a number.
    """

    width: float = 1.0
    name: ClassVar[str] = "thompson_max_width"
    reads: ClassVar[Literal["samples"]] = "samples"

    def __post_init__(self) -> None:
        positive_number("width", self.width)

    def __call__(
        self, utilities: Float32[np.ndarray, "n_samples batch n_candidates"], rng: np.random.Generator
    ) -> Selection:
        """Return a favourite and the rival of widest interval per prompt.

        Raises:
            SpecificationError: if there are fewer than two samples (no deviation).
        """
        check_samples(self.name, len(utilities), at_least=2)
        mean, deviation = mean_and_deviation(utilities)
        radius = self.width * deviation
        first = perturbed_favourites(mean, radius, rng)
        prompts = np.arange(len(mean))
        widths = interval_width(mean[prompts, first, None] - mean, radius[prompts, first, None] + radius)
        second = random_best(widths, rng, excluded=first)
        agreed = int(np.count_nonzero(widths[prompts, second] == 0))
        return Selection(np.stack([first, second], axis=1), fallbacks=agreed)
