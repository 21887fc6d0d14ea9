"""Probabilities on the logistic scale."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from duelgym.simulators.bradley_terry import win_probability


def shifted(
    probability: Float64[np.ndarray, " batch"], shift: Float64[np.ndarray, " batch"] | float
) -> Float64[np.ndarray, " batch"]:
    """Return sigmoid(logit(p) + shift): the odds are multiplied by exp(shift). 0 and 1 stay what they are.

    >>> float(shifted(np.array([0.5]), np.log(3.0))[0])
    0.75
    """
    favourite = np.maximum(probability, 1.0 - probability)
    with np.errstate(divide="ignore"):
        # From the favourite's side 1 - p is exact, so that mirrored pairs have exactly opposite logits.
        size = np.log(favourite) - np.log(1.0 - favourite)
    return win_probability(np.where(probability >= 0.5, size, -size), np.negative(shift), temperature=1.0)
