"""What rules share that read samples as confidence bounds: on utilities, and on their differences."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Float64

from duelgym_agents.exploration.pairs import lead, sample_variance


def mean_and_deviation(
    utilities: Float32[np.ndarray, "n_samples batch n_candidates"],
) -> tuple[Float64[np.ndarray, "batch n_candidates"], Float64[np.ndarray, "batch n_candidates"]]:
    """Return each candidate's mean utility and its standard deviation over samples (divisor n_samples - 1)."""
    wide = utilities.astype(np.float64)
    return wide[0] + (wide - wide[0]).mean(axis=0), np.sqrt(sample_variance(wide))


def interval_width(
    difference: Float64[np.ndarray, "*shape"], radius: Float64[np.ndarray, "*shape"]
) -> Float64[np.ndarray, "*shape"]:
    """Return how wide the interval of a win probability is: sigmoid(difference + radius) - sigmoid(difference - radius)."""
    return (lead(difference + radius) - lead(difference - radius)) / 2


def gaps(
    utilities: Float32[np.ndarray, "n_samples batch n_candidates"], width: float
) -> tuple[Float64[np.ndarray, "batch n_candidates"], Float64[np.ndarray, "batch n_candidates n_candidates"]]:
    """Return the upper bounds U, and U_i - L_j for every ordered pair: by how much i may at most be better than j.

    U and L are the mean plus and minus ``width`` standard deviations. The diagonal is -inf: no candidate meets itself.
    """
    mean, deviation = mean_and_deviation(utilities)
    upper, lower = mean + width * deviation, mean - width * deviation
    gap = upper[:, :, None] - lower[:, None, :]
    diagonal = np.arange(gap.shape[1])
    gap[:, diagonal, diagonal] = -np.inf
    return upper, gap


def difference_mean_and_deviation(
    utilities: Float32[np.ndarray, "n_samples batch n_candidates"], *, joint: bool = True
) -> tuple[
    Float64[np.ndarray, "batch n_candidates n_candidates"], Float64[np.ndarray, "batch n_candidates n_candidates"]
]:
    """Return mean and standard deviation over samples of u_i - u_j: antisymmetric and symmetric in i and j.

    Joint samples tell what candidates share from what sets them apart: the deviation is that of the difference,
    not the sum of two deviations, unless ``joint`` is false. One candidate is set against all others at a time.
    """
    _, batch, n_candidates = utilities.shape
    mean, single = mean_and_deviation(utilities)
    if not joint:
        return mean[:, :, None] - mean[:, None, :], single[:, :, None] + single[:, None, :]
    wide = utilities.astype(np.float64)
    deviation = np.empty((batch, n_candidates, n_candidates))
    for i in range(n_candidates):
        deviation[:, i] = np.sqrt(sample_variance(wide[:, :, i, None] - wide))
    return mean[:, :, None] - mean[:, None, :], deviation


def plausible_winners(
    mean: Float64[np.ndarray, "batch n_candidates n_candidates"],
    radius: Float64[np.ndarray, "batch n_candidates n_candidates"],
) -> Bool[np.ndarray, "batch n_candidates"]:
    """Return which candidates no other beats with confidence: mean + radius of u_i - u_j is at least 0 for every j.

    The candidate of highest mean always is one.
    """
    return (mean + radius >= 0).all(axis=2)
