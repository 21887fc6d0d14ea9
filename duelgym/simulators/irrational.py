"""A teacher who skips what is not worth an answer and cannot tell close pairs apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from duelgym.checks import finite_number
from duelgym.simulators.protocol import Duels, required_utilities
from duelgym.simulators.wrapper import Wrapper


@dataclass(frozen=True)
class Irrational(Wrapper):
    """Skips with probability 1 if max(u_first, u_second) < skip_below; else calls a tie if |u_first - u_second| < tie_within.

    Everything else is answered as the inner simulator does: P(first) = P. The skipping and equally preferring teachers of
    Lee et al. 2021 (B-Pref, section 3), with thresholds fixed in units of utility. Its mistaken teacher is
    :class:`~duelgym.simulators.flip.Flip`, its stochastic one Bradley-Terry; a myopic teacher has no meaning for single
    responses. The judgement is the inner simulator's.

    Args:
        inner: answers what is neither skipped nor tied.
        skip_below: utility under which a response is not worth reading; None: never skips.
        tie_within: utility difference that goes unseen, at least 0; 0: no ties.

    Raises:
        SpecificationError: if a threshold is not such a number.
    """

    skip_below: float | None = None
    tie_within: float = 0.0
    name: ClassVar[str] = "irrational"
    over_utilities: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.skip_below is not None:
            object.__setattr__(self, "skip_below", finite_number("irrational: skip_below", self.skip_below))
        object.__setattr__(self, "tie_within", finite_number("irrational: tie_within", self.tie_within, low=0.0))

    def undecided(self, duels: Duels) -> Float64[np.ndarray, "batch 2"]:
        """Return the probabilities of a skip and of a tie; what the inner simulator leaves undecided comes after."""
        utilities = required_utilities("irrational", duels)
        skips = utilities.max(axis=1) < (-np.inf if self.skip_below is None else self.skip_below)
        ties = ~skips & (np.abs(utilities[:, 0] - utilities[:, 1]) < self.tie_within)
        own = np.stack([skips, ties], axis=1).astype(np.float64)
        return own + (1.0 - own.sum(axis=1, keepdims=True)) * super().undecided(duels)
