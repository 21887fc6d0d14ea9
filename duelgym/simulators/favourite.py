"""How decided a rater is: the rate at which the favourite of a random pair is chosen, and the temperature for it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from duelgym.errors import SpecificationError
from duelgym.simulators.bradley_terry import win_probability

FAVOURITE_RATE = 0.70
"""The one knob of every problem: temperatures are set so that a random pair's favourite is chosen this often."""


def favourite_rate(gaps: Float64[np.ndarray, " pairs"], temperature: float) -> float:
    """Return the mean Bradley-Terry probability that the better of a pair is preferred; ``gaps`` are utility differences."""
    return float(np.mean(win_probability(np.abs(gaps), np.zeros(1), temperature=temperature)))


def temperature_for_rate(gaps: Float64[np.ndarray, " pairs"], rate: float = FAVOURITE_RATE) -> float:
    """Return the temperature at which :func:`favourite_rate` equals ``rate``, by bisection to 12 digits.

    Raises:
        SpecificationError: if no temperature reaches the rate, because too many pairs are tied.
    """
    reachable = 1.0 - 0.5 * float(np.mean(gaps == 0))
    if not 0.5 < rate < reachable:
        raise SpecificationError(
            f"a favourite rate of {rate} is out of reach: with {np.mean(gaps == 0):.1%} of pairs tied it lies below {reachable:.3f}"
        )
    scale = float(np.max(np.abs(gaps)))
    low, high = np.log(scale) - 30.0, np.log(scale) + 10.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if favourite_rate(gaps, float(np.exp(middle))) > rate else (low, middle)
    return float(np.exp(0.5 * (low + high)))
