"""RUCB: a plausible winner against the rival that might beat it most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32, Float64

from duelgym.checks import positive_number
from duelgym_agents.exploration.choice import check_samples, random_best
from duelgym_agents.exploration.pairs import lead, sample_variance
from duelgym_agents.exploration.rule import Selection


@dataclass(frozen=True)
class RUCB:
    """Relative upper confidence bounds, with the samples' mean and deviation of the probability for counts.

    Zoghi et al. 2014 (1312.3393), Algorithm 1: U_ij is an upper bound on the probability that i beats j. The first
    candidate is uniform over those with U_ij >= 1/2 for all j; the second is the rival j of largest U_j,first, the
    one that might beat it most often. U_ij is mean plus ``width`` standard deviations, over samples, of
    sigmoid(u_i - u_j); the paper's is built from the wins of two arms that meet again and again, which prompts never
    seen before do not have, and for the same reason its memory of one hypothesised best arm is left out. The
    challenger differs from the champion (the paper allows a self-duel). Ties are decided at random. Where no
    candidate qualifies, the champion is uniform over all, as in the paper, and the prompt counts as a fallback.

    Args:
        width: of the bounds, in standard deviations (divisor n_samples - 1); positive and finite.

    Raises:
        SpecificationError: if the width is not such a number.
    """

    width: float = 1.0
    name: ClassVar[str] = "rucb"
    reads: ClassVar[Literal["samples"]] = "samples"

    def __post_init__(self) -> None:
        positive_number("width", self.width)

    def __call__(
        self, utilities: Float32[np.ndarray, "n_samples batch n_candidates"], rng: np.random.Generator
    ) -> Selection:
        """Return champions and challengers.

        Raises:
            SpecificationError: if there are fewer than two samples (no deviation).
        """
        n_samples, batch, _ = utilities.shape
        check_samples(self.name, n_samples, at_least=2)
        upper = upper_leads(utilities, self.width)
        plausible = np.all(upper >= 0, axis=2)
        first = random_best(plausible, rng)  # uniform over the plausible, or over all where none is
        challenges = np.take_along_axis(upper, first[:, None, None], axis=2)[:, :, 0]
        second = random_best(challenges, rng, excluded=first)
        return Selection(
            np.stack([first, second], axis=1), fallbacks=int(batch - np.count_nonzero(np.any(plausible, axis=1)))
        )


def upper_leads(
    utilities: Float32[np.ndarray, "n_samples batch n_candidates"], width: float
) -> Float64[np.ndarray, "batch n_candidates n_candidates"]:
    """Return 2 U_ij - 1, U_ij being an upper bound on the probability that i beats j. The diagonal is 0."""
    _, batch, n_candidates = utilities.shape
    wide = utilities.astype(np.float64)
    upper = np.zeros((batch, n_candidates, n_candidates))
    for i in range(n_candidates - 1):
        leads = lead(wide[:, :, i, None] - wide[:, :, i + 1 :])
        mean, radius = leads.mean(axis=0), width * np.sqrt(sample_variance(leads))
        upper[:, i, i + 1 :] = radius + mean
        upper[:, i + 1 :, i] = radius - mean
    return upper
