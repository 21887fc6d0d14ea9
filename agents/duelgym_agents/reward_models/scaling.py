"""Bringing embeddings to a common scale before a network sees them, without looking at labels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32

from duelgym_agents.state import entry


class FeatureScaler:
    """Subtracts the running mean of each feature and divides all by one number: the running spread.

    Embeddings arrive divided by a whole pool's largest entry, so their size is arbitrary, and embeddings of one
    model share a large common direction that tells no two responses apart. Centred and scaled to unit mean
    square, any of them suits the same initial weights and learning rate. One number for all features, rather
    than one each, keeps angles and distances: features that hardly vary are not blown up.

    Moments are merged batch by batch (Chan, Golub and LeVeque 1983), in float64.
    """

    def __init__(self, dim: int) -> None:
        self._count = 0
        self._mean = np.zeros(dim)
        self._variation = 0.0  # sum over rows and features of squared distances from the mean
        self._magnitude = 0.0  # sum over rows and features of squares

    def update(self, rows: Float32[np.ndarray, "rows feature"]) -> None:
        """Take more rows into account."""
        count = len(rows)
        mean = rows.mean(axis=0, dtype=np.float64)
        centred = (rows - mean.astype(np.float32)).ravel()
        shift = mean - self._mean
        total = self._count + count
        self._variation += float(centred @ centred) + float(shift @ shift) * self._count * count / total
        self._magnitude += float(rows.ravel() @ rows.ravel())
        self._mean += shift * (count / total)
        self._count = total

    def or_fitted_to(self, rows: Float32[np.ndarray, "rows feature"]) -> FeatureScaler:
        """Return this scaler or, before its first update, one that takes the given rows as their own reference."""
        if self._count:
            return self
        fitted = FeatureScaler(rows.shape[1])
        fitted.update(rows)
        return fitted

    def __call__(self, features: Float32[np.ndarray, "*rows feature"]) -> Float32[np.ndarray, "*rows feature"]:
        """Return the features centred and scaled; a new array. There must have been an update."""
        # Features that do not vary beyond rounding (a single prompt, say) become 0 rather than amplified noise.
        varies = self._variation > 1e-12 * self._magnitude
        scale = np.sqrt(self._variation / (self._count * len(self._mean))) if varies else np.inf
        scaled = features - self._mean.astype(np.float32)
        scaled *= np.float32(1.0 / scale)
        return scaled

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the moments."""
        return {"mean": self._mean.copy(), "sums": np.array([self._count, self._variation, self._magnitude])}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore the moments."""
        self._mean = entry(state, "mean", self._mean.shape).astype(np.float64)
        count, self._variation, self._magnitude = entry(state, "sums", (3,)).tolist()
        self._count = int(count)
