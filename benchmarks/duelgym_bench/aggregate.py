"""What many runs come to, beside their mean: interquartile mean, performance profile, probability of improvement.

All are those of Agarwal et al. 2021 (2108.13264), section 4, here with weights: one row of weights is one resample of the
seeds, as in :mod:`duelgym_bench.statistics`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int64

from duelgym_bench.statistics import Draws, area_weights


def seed_areas(
    values: Sequence[Float64[np.ndarray, "checkpoints prompts"]],
    oracle: Float64[np.ndarray, " draws"],
    checkpoints: Int64[np.ndarray, " checkpoints"],
    draws: Draws,
) -> Float64[np.ndarray, "draws seeds"]:
    """Return each seed's area under win rate, on the scale of :func:`~duelgym_bench.statistics.area`, whose mean they have.

    Args:
        values: one array of win rates per seed, in the order of ``draws.seeds``.
        oracle: the oracle's win rate in every resample.
        checkpoints: query counts.
        draws: the resamples; prompts are drawn anew in each, seeds are only told apart.
    """
    weights = area_weights(checkpoints)
    wins = [draws.prompts[group] @ (weights @ value) for value, group in zip(values, draws.groups, strict=True)]
    return (np.stack(wins, axis=1) - 0.5) / (oracle - 0.5)[:, None]


def interquartile_mean(
    scores: Float64[np.ndarray, "draws seeds"], weights: Float64[np.ndarray, "draws seeds"]
) -> Float64[np.ndarray, " draws"]:
    """Return the mean of the middle half of the scores by weight; a seed on a quartile counts for its part inside.

    Args:
        scores: of each seed, in every resample.
        weights: how much each seed counts; each row sums to one.
    """
    order = np.argsort(scores, axis=1, kind="stable")
    ordered, weights = np.take_along_axis(scores, order, axis=1), np.take_along_axis(weights, order, axis=1)
    up_to = np.cumsum(weights, axis=1)
    inside = np.clip(up_to, 0.25, 0.75) - np.clip(up_to - weights, 0.25, 0.75)
    return (inside * ordered).sum(axis=1) / inside.sum(axis=1)


def profile(
    scores: Float64[np.ndarray, "draws seeds"],
    weights: Float64[np.ndarray, "draws seeds"],
    thresholds: Float64[np.ndarray, " thresholds"],
) -> Float64[np.ndarray, "draws thresholds"]:
    """Return the share of runs, by weight, that score more than each threshold: the performance profile.

    Args:
        scores: of each seed, in every resample.
        weights: how much each seed counts; each row sums to one.
        thresholds: scores.
    """
    return np.stack([((scores > threshold) * weights).sum(axis=1) for threshold in thresholds], axis=1)


def improvement(
    scores: Float64[np.ndarray, "draws seeds"],
    others: Float64[np.ndarray, "draws seeds"],
    weights: Float64[np.ndarray, "draws seeds"],
) -> Float64[np.ndarray, " draws"]:
    """Return the probability that a run of one agent scores higher than a run of another, ties counting half.

    The runs are on seeds of their own, drawn independently of each other, since somebody's next run is on neither.

    Args:
        scores: of one agent on each seed, in every resample.
        others: of the other agent.
        weights: how much each seed counts, for both; each row sums to one.
    """
    signs = np.sign(scores[:, :, None] - others[:, None, :])
    return np.einsum("da,dab,db->d", weights, (1 + signs) / 2, weights)
