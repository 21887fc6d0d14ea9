"""A rater who leans towards what it reads first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from duelgym.checks import finite_number
from duelgym.simulators.logistic import shifted
from duelgym.simulators.protocol import Duels
from duelgym.simulators.wrapper import Wrapper


@dataclass(frozen=True)
class PositionBias(Wrapper):
    """P(first preferred) = sigmoid(logit P + shift), with P the inner simulator's.

    The odds of the first shown are multiplied by exp(shift). A response shown against itself stays a fair coin. The
    judgement averages both orders: (sigmoid(l + shift) + sigmoid(l - shift)) / 2 with l the inner judgement's logit.

    Args:
        inner: the simulator whose answers lean.
        shift: in nats of log-odds; positive leans towards the first shown, negative towards the second.

    Raises:
        SpecificationError: if the shift is not a finite number.
    """

    shift: float
    name: ClassVar[str] = "position_bias"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "shift", finite_number("position_bias: shift", self.shift))

    @property
    def symmetric(self) -> bool:
        """Not: the order of showing is what matters."""
        return False

    def probability(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        """Return the probability, in the order shown."""
        same = duels.candidate_ids[:, 0] == duels.candidate_ids[:, 1]
        return shifted(self.inner.probability(duels), np.where(same, 0.0, self.shift))

    def judgement(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        """Return the mean over both orders."""
        inner = self.inner.judgement(duels)
        return (shifted(inner, self.shift) + shifted(inner, -self.shift)) / 2
