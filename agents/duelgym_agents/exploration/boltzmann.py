"""Boltzmann: the better a candidate seems, the likelier it is compared."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32

from duelgym.errors import SpecificationError
from duelgym_agents.exploration.rule import Selection, only_pair


@dataclass(frozen=True)
class Boltzmann:
    """Draws two candidates without replacement, with odds exp(utility / temperature).

    Dwaracherla et al. 2024, Algorithm 4. Adding Gumbel noise and taking the two largest is exactly that draw
    (Vieira 2014; Kool et al. 2019). As the temperature grows the rule becomes passive.

    Args:
        temperature: in units of utility; positive and finite. The paper leaves it open. Learned utilities are
            log-odds, so at 1 a candidate is drawn with the odds at which it would win.

    Raises:
        SpecificationError: if the temperature is not a positive finite number.
    """

    temperature: float = 1.0
    name: ClassVar[str] = "boltzmann"
    reads: ClassVar[Literal["mean"]] = "mean"

    def __post_init__(self) -> None:
        valid = isinstance(self.temperature, (int, float)) and not isinstance(self.temperature, bool)
        if not (valid and math.isfinite(self.temperature) and self.temperature > 0):
            raise SpecificationError(
                f"temperature is {self.temperature!r}; it must be a positive finite number (utilities are divided by it)"
            )

    def __call__(self, utilities: Float32[np.ndarray, "1 batch n_candidates"], rng: np.random.Generator) -> Selection:
        """Return pairs drawn from one point utility per candidate.

        Raises:
            SpecificationError: if there is more or less than one sample.
        """
        n_samples, batch, n_candidates = utilities.shape
        if n_samples != 1:
            raise SpecificationError(
                f"boltzmann was given {n_samples} utility samples; it takes one: give it the mean over samples"
            )
        if n_candidates == 1:
            return only_pair(batch)
        noise = rng.gumbel(size=(batch, n_candidates))
        keys = utilities[0].astype(np.float64) / self.temperature + noise
        return Selection(np.argsort(-keys, axis=1)[:, :2])
