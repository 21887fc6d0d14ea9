"""The Bradley-Terry rater: the better a response, the likelier it is preferred, on a logistic scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from duelgym.errors import SpecificationError
from duelgym.simulators.protocol import Duels


def win_probability(
    first: Float[np.ndarray, "*#shape"], second: Float[np.ndarray, "*#shape"], *, temperature: float
) -> Float[np.ndarray, "*#shape"]:
    """Return the probability that the first response is preferred (Bradley and Terry 1952, eq. 1).

    Utilities are in nats at temperature 1; a larger temperature means a noisier rater. The two orders of a
    pair give numbers that sum to 1 exactly, not only up to rounding.

    >>> float(win_probability(np.array(1.0), np.array(1.0), temperature=0.5))
    0.5
    """
    gap = (first - second) / temperature
    favourite = 1.0 / (1.0 + np.exp(-np.abs(gap)))
    # 1 - x is exact for x in [0.5, 1] (Sterbenz), so mirrored pairs use the very same two numbers.
    return np.where(gap >= 0, favourite, 1.0 - favourite)


@dataclass(frozen=True)
class BradleyTerry:
    """P(first preferred) = 1 / (1 + exp(-(u_first - u_second) / temperature)).

    Args:
        temperature: scale of the noise, in units of utility; positive and finite.

    Raises:
        SpecificationError: if the temperature is not a positive finite number.
    """

    temperature: float
    symmetric = True
    follows_utility = True
    has_judgement = True
    needs_texts = False

    def __post_init__(self) -> None:
        valid = isinstance(self.temperature, (int, float)) and not isinstance(self.temperature, bool)
        if not (valid and math.isfinite(self.temperature) and self.temperature > 0):
            raise SpecificationError(
                f"temperature is {self.temperature!r}; it must be a positive finite number (utilities are divided by it)"
            )

    def probability(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        """Return the Bradley-Terry probability that the first shown is preferred."""
        if duels.utilities is None:
            raise SpecificationError("the bradley_terry simulator needs utilities; this environment has none")
        return win_probability(duels.utilities[:, 0], duels.utilities[:, 1], temperature=self.temperature)

    def judgement(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        """Return the same as :meth:`probability`: this rater is noisy but not biased."""
        return self.probability(duels)

    def specification(self) -> list[dict[str, object]]:
        """Return ``[{"name": "bradley_terry", "temperature": …}]``."""
        return [{"name": "bradley_terry", "temperature": float(self.temperature)}]
