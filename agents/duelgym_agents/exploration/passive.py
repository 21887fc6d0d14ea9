"""Passive: two different candidates, uniformly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32

from duelgym_agents.exploration.choice import random_other
from duelgym_agents.exploration.rule import Selection


@dataclass(frozen=True)
class Passive:
    """Compares two different candidates drawn uniformly (Dwaracherla et al. 2024, Algorithm 3)."""

    name: ClassVar[str] = "passive"
    reads: ClassVar[Literal["nothing"]] = "nothing"

    def __call__(
        self, utilities: Float32[np.ndarray, "n_samples batch n_candidates"], rng: np.random.Generator
    ) -> Selection:
        """Return uniform pairs; of ``utilities`` only the shape matters."""
        _, batch, n_candidates = utilities.shape
        first = rng.integers(n_candidates, size=(batch,))
        return Selection(np.stack([first, random_other(first, n_candidates, rng)], axis=1))
