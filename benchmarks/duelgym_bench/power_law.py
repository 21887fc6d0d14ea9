"""The fit w(n) = 1 - (n / a)^-b / 2 of a curve of win rates: a labels until the win rate is .5, then the rest falls by b.

A summary in two numbers and a guess at what more labels would bring. It is no measurement: curves that end at a ceiling below
1, as the best of N candidates does, are flatter beyond the data than it says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from duelgym_bench.statistics import Interval, area_weights

_NEAREST = 1e-6
"""To a win rate of 1, whose logarithm is needed."""


@dataclass(frozen=True)
class PowerLaw:
    """What a fit says.

    Attributes:
        a: labels at which the fitted win rate is .5; the interval's ends are NaN where some resamples do not rise.
        b: exponent; the way left to 1 halves when labels are multiplied by 2^(1/b).
        error: root mean square distance of the fit from the measured win rates, weighted as in the area.
    """

    a: Interval
    b: Interval
    error: float

    def __call__(self, labels: Float64[np.ndarray, " points"]) -> Float64[np.ndarray, " points"]:
        """Return the fitted win rate."""
        return 1 - 0.5 * (labels / float(self.a.value)) ** -float(self.b.value)


def power_law(
    win: Float64[np.ndarray, "draws checkpoints"], checkpoints: Int64[np.ndarray, " checkpoints"]
) -> PowerLaw | None:
    """Fit a curve in every resample, by least squares of log 2 (1 - w) on log n, weighted as in the area.

    Args:
        win: win rates, row 0 the data as they are.
        checkpoints: query counts; those that have no weight in the area are left out.

    Returns:
        The fit; None where fewer than three checkpoints are left, or the data do not rise.
    """
    weights = area_weights(checkpoints)
    kept = (weights > 0) & (checkpoints > 0)
    if kept.sum() < 3:
        return None
    x, weights = np.log(checkpoints[kept]), weights[kept] / weights[kept].sum()
    y = np.log(2 * np.maximum(1 - win[:, kept], _NEAREST))
    away = x - weights @ x
    b = -(y * away) @ weights / (weights @ away**2)
    if b[0] <= 0:
        return None
    height = y @ weights + b * (weights @ x)  # b log a
    a = Interval.of(np.exp(np.divide(height, b, out=np.full_like(b, np.nan), where=b > 0)))
    fitted = 1 - 0.5 * np.exp(height[0] - b[0] * np.log(checkpoints[kept]))
    error = np.sqrt(weights @ (fitted - win[0, kept]) ** 2)
    return PowerLaw(a, Interval.of(b), float(error))
