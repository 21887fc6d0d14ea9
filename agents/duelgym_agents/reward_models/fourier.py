"""Random Fourier features: a squared-exponential kernel as an inner product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from duelgym_agents.state import entry

_PAIRS = 512


@dataclass(frozen=True)
class FourierFeatures:
    """Cosines of random frequencies (Rahimi and Recht 2007).

    Two points' features have the inner product exp(-distance^2 / (2 length^2)), nearly.

    Attributes:
        frequencies: of the cosines.
        phases: of the cosines, in [0, 2 pi).
    """

    frequencies: Float32[np.ndarray, "d fourier"]
    phases: Float32[np.ndarray, " fourier"]

    @classmethod
    def measured(
        cls, points: Float32[np.ndarray, "points d"], n_fourier: int, rng: np.random.Generator, length: float = 1.0
    ) -> FourierFeatures:
        """Return features whose length scale suits points.

        Args:
            points: any; copies are left out where most are, and points that are all alike get frequencies of deviation 1.
            n_fourier: number of cosines.
            rng: draws the pairs that are measured, frequencies and phases.
            length: of the kernel, as a multiple of the points' median distance.
        """
        first, second = rng.integers(len(points), size=(_PAIRS, 2)).T
        apart = first != second
        distances = np.linalg.norm(points[first[apart]] - points[second[apart]], axis=1)
        distance = float(np.median(distances)) if len(distances) else 0.0
        if distance == 0 and distances.any():  # most are copies
            distance = float(np.median(distances[distances > 0]))
        frequencies = rng.standard_normal((points.shape[1], n_fourier)) / (length * distance or 1.0)
        return cls(frequencies.astype(np.float32), rng.uniform(0, 2 * np.pi, n_fourier).astype(np.float32))

    def __call__(self, points: Float32[np.ndarray, "*batch d"]) -> Float32[np.ndarray, "*batch fourier"]:
        """Return the features of points."""
        waves = np.cos(points @ self.frequencies + self.phases)
        return waves * np.float32(np.sqrt(2 / len(self.phases)))

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return what was drawn."""
        return {"frequencies": self.frequencies.copy(), "phases": self.phases.copy()}

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray], dim: int, n_fourier: int) -> FourierFeatures:
        """Return the features that :meth:`state_dict` described.

        Raises:
            SpecificationError: if the state is of points of another dimension, or of another number of features.
        """
        frequencies = entry(state, "frequencies", (dim, n_fourier)).astype(np.float32)
        return cls(frequencies, entry(state, "phases", (n_fourier,)).astype(np.float32))
