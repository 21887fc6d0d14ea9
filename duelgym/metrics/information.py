"""How much a label can say."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64


def binary_entropy(probability: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """Return the entropy of a coin in bits.

    >>> float(binary_entropy(np.array(0.5)))
    1.0
    """
    p = np.clip(probability, 1e-300, 1.0)
    q = np.clip(1.0 - probability, 1e-300, 1.0)
    return -(p * np.log2(p) + q * np.log2(q))


def bits_per_label(probabilities: Float64[np.ndarray, " pairs"]) -> float:
    """Return the bits that a label of these pairs can carry at most, on average: 1 - h(p).

    A label tells which response is better through a binary symmetric channel that errs with probability
    1 - max(p, 1 - p); its capacity is 1 - h(p) (Shannon 1948).
    """
    return float(np.mean(1.0 - binary_entropy(probabilities)))
