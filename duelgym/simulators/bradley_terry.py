"""The Bradley-Terry rater: the better a response, the likelier it is preferred, on a logistic scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from duelgym.checks import positive_number
from duelgym.simulators.protocol import Duels, required_utilities


def win_probability(
    first: Float[np.ndarray, "*#shape"], second: Float[np.ndarray, "*#shape"], *, temperature: float
) -> Float[np.ndarray, "*#shape"]:
    """Return the probability that the first response is preferred (Bradley and Terry 1952, eq. 1).

    Utilities are in nats at temperature 1; a larger temperature means a noisier rater. The two orders of a
    pair give numbers that sum to 1 exactly, not only up to rounding.

    >>> float(win_probability(np.array(1.0), np.array(1.0), temperature=0.5))
    0.5
    """
    with np.errstate(over="ignore"):  # an infinite gap is as sure as a very large one
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
        positive_number("temperature", self.temperature)

    def probability(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        """Return the Bradley-Terry probability that the first shown is preferred."""
        utilities = required_utilities("bradley_terry", duels)
        return win_probability(utilities[:, 0], utilities[:, 1], temperature=self.temperature)

    def judgement(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        """Return the same as :meth:`probability`: this rater is noisy but not biased."""
        return self.probability(duels)

    def specification(self) -> list[dict[str, object]]:
        """Return ``[{"name": "bradley_terry", "temperature": …}]``."""
        return [{"name": "bradley_terry", "temperature": float(self.temperature)}]
