"""Student's t, for whole degrees of freedom: the finite sums of Abramowitz and Stegun 1964, 26.7.3 and 26.7.4."""

from __future__ import annotations

import math


def upper_tail(t: float, degrees: int) -> float:
    """Return the probability that Student's t exceeds a value.

    Args:
        t: any number, infinities included.
        degrees: of freedom, at least 1.
    """
    if math.isinf(t):
        return 0.0 if t > 0 else 1.0
    angle = math.atan(t / math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2
    term = cosine if odd else 1.0
    total = 0.0 if degrees == 1 else term
    for k in range(2 + odd, degrees - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    within = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return (1 - within) / 2


def quantile(level: float, degrees: int) -> float:
    """Return the value that Student's t stays below with a probability, to about 12 digits.

    Args:
        level: in [0.5, 1).
        degrees: of freedom, at least 1.
    """
    low, high = 0.0, 1.0
    while upper_tail(high, degrees) > 1 - level:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if upper_tail(middle, degrees) > 1 - level else (low, middle)
    return (low + high) / 2
