"""MaxMinLCB: the candidate surest to beat its most dangerous rival, against that rival."""

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
class MaxMinLCB:
    """Plays a game of leader and follower on the lower confidence bounds of utility differences.

    Pasztor, Kassraie and Krause 2024 (2406.16745). LCB(i, j) is mean minus ``width`` standard deviations of
    u_i - u_j over samples. Among candidates that no other beats with confidence, the first is the one of largest
    min_j LCB(i, j), the second the j that attains the minimum. The probability is monotone in the difference, so
    bounds on either choose alike. ActiveUltraFeedback (2603.09692) adds two single deviations where the paper takes the
    deviation of the difference, and lets every candidate be first and second: see the settings. Ties are decided at
    random.

    Where one candidate beats all others with confidence, the paper shows it against itself, which teaches nothing;
    here its rival is the j of lowest LCB among all, and the prompt counts as a fallback.

    Args:
        width: of the bounds, in standard deviations (divisor n_samples - 1); positive and finite. Stands for the
            paper's beta_t, which grows slowly with the number of queries; a rule that keeps no count cannot.
        joint: whether the deviation is that of the difference; else the sum of the two candidates' own.
        plausible_only: whether candidates that another beats with confidence are left out.

    Raises:
        SpecificationError: if the width is not such a number.
    """

    width: float = 1.0
    joint: bool = True
    plausible_only: bool = True
    name: ClassVar[str] = "max_min_lcb"
    reads: ClassVar[Literal["samples"]] = "samples"

    def __post_init__(self) -> None:
        positive_number("width", self.width)

    def __call__(
        self, utilities: Float32[np.ndarray, "n_samples batch n_candidates"], rng: np.random.Generator
    ) -> Selection:
        """Return leaders and followers.

        Raises:
            SpecificationError: if there are fewer than two samples (no deviation).
        """
        n_samples, batch, n_candidates = utilities.shape
        check_samples(self.name, n_samples, at_least=2)
        mean, radius = difference_mean_and_deviation(utilities, joint=self.joint)
        radius *= self.width
        plausible = (
            plausible_winners(mean, radius) if self.plausible_only else np.ones((batch, n_candidates), dtype=bool)
        )
        alone = plausible.sum(axis=1) == 1
        bound = mean - radius
        rivals = plausible | alone[:, None]
        bound[~np.broadcast_to(rivals[:, None, :], bound.shape)] = np.inf
        diagonal = np.arange(n_candidates)
        bound[:, diagonal, diagonal] = np.inf
        first = random_best(np.where(plausible, bound.min(axis=2), -np.inf), rng)
        second = random_best(-bound[np.arange(batch), first], rng)
        return Selection(np.stack([first, second], axis=1), fallbacks=int(np.count_nonzero(alone)))
