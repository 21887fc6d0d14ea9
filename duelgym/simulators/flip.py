"""Labels that come out wrong now and then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from duelgym.checks import finite_number
from duelgym.simulators.protocol import Duels
from duelgym.simulators.wrapper import Wrapper


@dataclass(frozen=True)
class Flip(Wrapper):
    """P(first preferred) = (1 - rate) * P + rate * (1 - P), with P the inner simulator's.

    Every label is turned around with a fixed probability, however clear the pair is: the mistake of Lee et al. 2021
    (B-Pref, section 3). Skips and ties are left alone. The judgement is the inner simulator's.

    Args:
        inner: the simulator whose labels are flipped.
        rate: probability of a flip, from 0 to 0.5 (at which labels say nothing).

    Raises:
        SpecificationError: if the rate is outside that range.
    """

    rate: float
    name: ClassVar[str] = "flip"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "rate", finite_number("flip: rate", self.rate, low=0.0, high=0.5))

    def probability(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        """Return the probability after flips."""
        inner = self.inner.probability(duels)
        return (1.0 - self.rate) * inner + self.rate * (1.0 - inner)
