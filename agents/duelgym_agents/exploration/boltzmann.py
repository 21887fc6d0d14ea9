"""Boltzmann: the better a candidate seems, the likelier it is compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32

from duelgym.checks import positive_number
from duelgym_agents.exploration.choice import check_mean
from duelgym_agents.exploration.rule import Selection


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
        positive_number("temperature", self.temperature)

    def __call__(self, utilities: Float32[np.ndarray, "1 batch n_candidates"], rng: np.random.Generator) -> Selection:
        """Return pairs drawn from one point utility per candidate.

        Raises:
            SpecificationError: if there is more or less than one sample.
        """
        n_samples, batch, n_candidates = utilities.shape
        check_mean(self.name, n_samples)
        noise = rng.gumbel(size=(batch, n_candidates))
        keys = utilities[0].astype(np.float64) / self.temperature + noise
        return Selection(np.argsort(-keys, axis=1)[:, :2])
