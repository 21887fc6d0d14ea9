"""A rater who is impressed by length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from duelgym.checks import finite_number
from duelgym.errors import SpecificationError
from duelgym.simulators.logistic import shifted
from duelgym.simulators.protocol import Duels
from duelgym.simulators.wrapper import Wrapper


@dataclass(frozen=True)
class LengthBias(Wrapper):
    """P(first preferred) = sigmoid(logit P + strength * d), with P the inner simulator's.

    d = (L_first - L_second) / max(L_first, L_second), L in characters, in [-1, 1]; 0 where both are empty. Twice the
    length gains half the strength. It is a bias of the asking, not a wish for longer answers: the judgement is the inner
    simulator's. A rater who truly wants length has it in the utility.

    Args:
        inner: the simulator whose answers lean.
        strength: in nats of log-odds; positive leans towards the longer response, negative towards the shorter.

    Raises:
        SpecificationError: if the strength is not a finite number.
    """

    strength: float
    name: ClassVar[str] = "length_bias"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "strength", finite_number("length_bias: strength", self.strength))

    @property
    def needs_lengths(self) -> bool:
        """It does."""
        return True

    def probability(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        """Return the probability with the lean towards length."""
        if duels.lengths is None:
            raise SpecificationError(
                "the length_bias simulator needs the lengths of the responses; these duels have none"
            )
        longest = np.maximum(duels.lengths.max(axis=1), 1.0)
        return shifted(
            self.inner.probability(duels), self.strength * (duels.lengths[:, 0] - duels.lengths[:, 1]) / longest
        )
