"""Preferences that go in a circle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64, Int64, UInt64

from duelgym.checks import finite_number
from duelgym.simulators.logistic import shifted
from duelgym.simulators.protocol import Duels
from duelgym.simulators.wrapper import Wrapper


@dataclass(frozen=True)
class Intransitive(Wrapper):
    """P(first preferred) = sigmoid(logit P + strength * sin(a_first - a_second)), with P the inner simulator's.

    Every response has a hidden angle a, uniform on the circle, a hash of its prompt's and its own number: the same for
    every seed, and unrelated to utilities and features. Of responses alike in utility each beats those up to half a turn
    behind it, so three at a third of a turn from each other beat one another in a circle. No utility explains this; it is
    a real preference and part of the judgement, where a Condorcet winner need not exist and the Borda winner counts.

    Args:
        inner: the simulator to which the circle is added.
        strength: of the circle, in nats of log-odds, at least 0.

    Raises:
        SpecificationError: if the strength is not a finite number of at least 0.
    """

    strength: float
    name: ClassVar[str] = "intransitive"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "strength", finite_number("intransitive: strength", self.strength, low=0.0))

    @property
    def follows_utility(self) -> bool:
        """Not: that is its point."""
        return False

    def probability(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        """Return the probability with the circle."""
        return shifted(self.inner.probability(duels), self._circle(duels))

    def judgement(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        """Return the inner judgement with the circle."""
        return shifted(self.inner.judgement(duels), self._circle(duels))

    def _circle(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        angles = hidden_angles(duels.prompt_ids, duels.candidate_ids)
        return self.strength * np.sin(angles[:, 0] - angles[:, 1])


def hidden_angles(
    prompt_ids: Int64[np.ndarray, " batch"], candidate_ids: Int64[np.ndarray, "batch n"]
) -> Float64[np.ndarray, "batch n"]:
    """Return the angle in [0, 2 pi) of each response: 53 bits of a hash of the two numbers."""
    keys = _mixed(_mixed(prompt_ids.astype(np.uint64))[:, None] + candidate_ids.astype(np.uint64))
    return 2.0 * np.pi * ((keys >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def _mixed(keys: UInt64[np.ndarray, "*shape"]) -> UInt64[np.ndarray, "*shape"]:
    """Return one step of SplitMix64 for each key (Steele, Lea and Flood 2014, fig. 17)."""
    keys = keys + np.uint64(0x9E3779B97F4A7C15)
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))
