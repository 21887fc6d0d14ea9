"""What answers have taught so far: a Gaussian belief about a linear utility, and what it says of candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from duelgym.agent import PREFERENCE_NONE, PREFERENCE_TIE

BOUND = 10.0
"""Posterior means and deviations are in logits and are shown up to here: beyond, a preference is certain to 5e-5."""


@dataclass
class GaussianBelief:
    """N(mean, covariance) about the weights w of a linear utility: P(first preferred) = σ(xᵀw), x first minus second.

    A Bayesian logistic regression, updated online after every answer by one Laplace step (Spiegelhalter and Lauritzen
    1990): with p = σ(xᵀm/κ), κ = sqrt(1 + π xᵀSx / 8), precision += p(1-p) x xᵀ and m += S x (y - p), y = 1 if the first
    was preferred, 0 if the second, 1/2 for a tie.

    Attributes:
        mean: m, of the weights.
        covariance: S, of the weights; symmetric, positive semi-definite.
    """

    mean: Float64[np.ndarray, " d"]
    covariance: Float64[np.ndarray, "d d"]

    @classmethod
    def before_labels(
        cls, candidates: Float[np.ndarray, "*batch n_candidates d"], prior_scale: float
    ) -> GaussianBelief:
        """Return the prior, measured on embeddings without labels.

        Args:
            candidates: of one prompt or several.
            prior_scale: standard deviation, in logits, of the difference of two candidates of one prompt, drawn with
                replacement; of two different ones of n it is sqrt(n / (n - 1)) times that. Positive.
        """
        spread = float(np.mean(np.sum(_centred(candidates.astype(np.float64)) ** 2, axis=-1)))
        # Two candidates differ by twice the spread in mean square.
        variance = prior_scale**2 / (2.0 * spread) if tell_scale(candidates) else 1.0
        d = candidates.shape[-1]
        return cls(np.zeros(d), variance * np.eye(d))

    def observe(
        self,
        candidates: Float[np.ndarray, "n_candidates d"],
        pair: Sequence[int] | Int64[np.ndarray, " 2"],
        preference: int,
    ) -> None:
        """Learn from one answer; no answer, and a candidate against itself or its copy, teach nothing.

        Args:
            candidates: of the prompt that was asked about.
            pair: positions (first shown, second shown).
            preference: 0 first, 1 second, 2 no answer, 3 tie.
        """
        if preference == PREFERENCE_NONE:
            return
        won = 0.5 if preference == PREFERENCE_TIE else 1.0 - float(preference)
        first, second = candidates[list(pair)].astype(np.float64)
        x = first - second
        direction = self.covariance @ x
        variance = float(x @ direction)
        if variance <= 0.0:  # below 0 by rounding alone
            return
        kappa = np.sqrt(1.0 + np.pi * variance / 8.0)
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ self.mean / kappa, -500, 500)))
        curvature = p * (1.0 - p)
        self.covariance = self.covariance - np.outer(direction, direction) * (curvature / (1.0 + curvature * variance))
        self.mean = self.mean + (self.covariance @ x) * (won - p)

    def about(
        self, candidates: Float[np.ndarray, "*batch n_candidates d"]
    ) -> Float32[np.ndarray, "*batch n_candidates 2"]:
        """Return each candidate's posterior mean and standard deviation in logits, against the average of its prompt.

        Means are cut off at ±:data:`BOUND`, deviations at :data:`BOUND`.
        """
        centred = _centred(candidates.astype(np.float64))
        variance = np.sum((centred @ self.covariance) * centred, axis=-1)
        both = np.stack([centred @ self.mean, np.sqrt(np.maximum(variance, 0.0))], axis=-1)
        return np.clip(both, -BOUND, BOUND).astype(np.float32)


def tell_scale(candidates: Float[np.ndarray, "*batch n_candidates d"]) -> bool:
    """Whether candidates of a prompt differ, beyond rounding: identical ones tell no scale for a prior."""
    wide = candidates.astype(np.float64)
    return bool(np.mean(_centred(wide) ** 2) > 1e-12 * np.mean(wide**2))


def _centred(candidates: Float64[np.ndarray, "*batch n_candidates d"]) -> Float64[np.ndarray, "*batch n_candidates d"]:
    return candidates - candidates.mean(axis=-2, keepdims=True)
