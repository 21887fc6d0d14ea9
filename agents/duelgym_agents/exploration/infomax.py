"""Infomax: the pair whose winner the samples disagree about most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32

from duelgym_agents.exploration.choice import check_samples
from duelgym_agents.exploration.pairs import random_best_pair
from duelgym_agents.exploration.rule import Selection

_ROUNDING = 1e-13  # variances below are the rounding error of single-precision probabilities


@dataclass(frozen=True)
class Infomax:
    """Picks the pair with the largest variance, over samples, of the probability that one beats the other.

    Dwaracherla et al. 2024, Algorithm 5, with divisor n_samples - 1. Utilities are log-odds, so the probability
    is sigmoid(u_i - u_j), not the ratio of positive strengths that the paper prints. Equal variances are decided
    at random; the candidate at the lower position is shown first. Where all samples agree about every pair, the pair
    is uniform and the prompt counts as a fallback.
    """

    name: ClassVar[str] = "infomax"
    reads: ClassVar[Literal["samples"]] = "samples"

    def __call__(
        self, utilities: Float32[np.ndarray, "n_samples batch n_candidates"], rng: np.random.Generator
    ) -> Selection:
        """Return the pairs of largest variance.

        Raises:
            SpecificationError: if there are fewer than two samples (no variance).
        """
        n_samples, _, n_candidates = utilities.shape
        check_samples(self.name, n_samples, at_least=2)
        return random_best_pair(win_probability_variances(utilities), n_candidates, rng)


def win_probability_variances(
    utilities: Float32[np.ndarray, "n_samples batch n_candidates"],
) -> Float32[np.ndarray, "batch n_pairs"]:
    """Return for every pair i < j (row by row) the sample variance of sigmoid(u_i - u_j), in [0, 0.5].

    One candidate is set against all later ones at a time, so that no array of all pairs and samples is built.
    """
    n_samples, batch, n_candidates = utilities.shape
    half = utilities * np.float32(0.5)
    variances = np.empty((batch, n_candidates * (n_candidates - 1) // 2), dtype=np.float32)
    start = 0
    for i in range(n_candidates - 1):
        # sigmoid(x) = 1/2 + tanh(x/2) / 2: never overflows, and is centred where precision is needed.
        centred = half[:, :, i, None] - half[:, :, i + 1 :]
        np.tanh(centred, out=centred)
        centred -= centred.mean(axis=0)
        stop = start + n_candidates - 1 - i
        np.einsum("sbj,sbj->bj", centred, centred, out=variances[:, start:stop])
        start = stop
    variances *= np.float32(0.25 / (n_samples - 1))
    variances[variances < _ROUNDING] = 0
    return variances
