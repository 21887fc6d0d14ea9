"""Marginal Thompson: double Thompson sampling that perturbs each candidate by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32, Float64, Int64

from duelgym.checks import positive_number, whole_number
from duelgym_agents.exploration.bounds import mean_and_deviation
from duelgym_agents.exploration.choice import check_samples, random_best, second_until_different
from duelgym_agents.exploration.rule import Selection


@dataclass(frozen=True)
class MarginalThompson:
    """Perturbs every candidate's mean by its own uniform noise, twice, and shows the two favourites.

    What ActiveUltraFeedback (2603.09692) calls DTS: the favourite is the largest mean + width * u * deviation, with
    u uniform on [-1, 1] and independent for each candidate. It is not double Thompson sampling, whose one epistemic
    index scores all candidates jointly: here a doubt that all candidates share still reorders them. Where every
    retry met the same favourite, the second candidate is uniform over the others, and the prompt counts as a
    fallback. Ties are decided at random.

    Args:
        width: of the noise, in standard deviations over samples (divisor n_samples - 1); positive and finite.
        max_retries: how often the second noise may be drawn again; at least 0. The published experiments draw it 30
            times in all, which is 29.

    Raises:
        SpecificationError: if either is not such a number.
    """

    width: float = 1.0
    max_retries: int = 30
    name: ClassVar[str] = "marginal_thompson"
    reads: ClassVar[Literal["samples"]] = "samples"

    def __post_init__(self) -> None:
        positive_number("width", self.width)
        whole_number("max_retries", self.max_retries, 0)

    def __call__(
        self, utilities: Float32[np.ndarray, "n_samples batch n_candidates"], rng: np.random.Generator
    ) -> Selection:
        """Return the favourites of two draws of noise per prompt.

        Raises:
            SpecificationError: if there are fewer than two samples (no deviation).
        """
        check_samples(self.name, len(utilities), at_least=2)
        mean, deviation = mean_and_deviation(utilities)
        radius = self.width * deviation
        return perturbed_pairs(mean, mean, radius, self.max_retries, rng)


def perturbed_favourites(
    means: Float64[np.ndarray, "rows n_candidates"],
    radius: Float64[np.ndarray, "rows n_candidates"],
    rng: np.random.Generator,
) -> Int64[np.ndarray, " rows"]:
    """Return each row's favourite under noise that is uniform in [-radius, radius], independent for each candidate."""
    return random_best(means + radius * rng.uniform(-1.0, 1.0, size=means.shape), rng)


def perturbed_pairs(
    first_means: Float64[np.ndarray, "batch n_candidates"],
    second_means: Float64[np.ndarray, "batch n_candidates"],
    radius: Float64[np.ndarray, "batch n_candidates"],
    max_retries: int,
    rng: np.random.Generator,
) -> Selection:
    """Return the favourites under two perturbed means; the second is drawn afresh until it differs, then uniformly.

    Args:
        first_means: what the first candidate is the favourite of.
        second_means: what the second candidate is the favourite of.
        radius: of the noise (:func:`perturbed_favourites`).
        max_retries: how often the second may be drawn again.
        rng: draws noise and ties.
    """
    return second_until_different(
        perturbed_favourites(first_means, radius, rng),
        lambda prompts: perturbed_favourites(second_means[prompts], radius[prompts], rng),
        max_retries=max_retries,
        n_candidates=first_means.shape[1],
        rng=rng,
    )
