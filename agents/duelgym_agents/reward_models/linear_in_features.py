"""What reward models share whose utility is linear in features, with a Gaussian belief about the weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

import numpy as np
from jaxtyping import Float32, Float64

from duelgym.agent import Contexts
from duelgym_agents.exploration import LinearPosterior


class Features(Protocol):
    """Features of every candidate."""

    def __call__(self, contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates feature"]:
        """Return them."""
        ...


class Weights(Protocol):
    """A Gaussian belief about one weight for each feature."""

    mean: Float64[np.ndarray, " d"]
    covariance: Float64[np.ndarray, "d d"]

    def sample(self, n_samples: int, rng: np.random.Generator) -> Float32[np.ndarray, "n_samples d"]:
        """Return independent draws of the weights."""
        ...


class LinearInFeatures(ABC):
    """Utilities, samples, features and posterior of a model that has features and weights."""

    def sample_utilities(
        self, contexts: Contexts, n_samples: int, rng: np.random.Generator
    ) -> Float32[np.ndarray, "n_samples batch n_candidates"]:
        """Return the utilities under ``n_samples`` independent draws of the weights."""
        features, weights = self._or_begun_with(contexts)
        return np.moveaxis(features(contexts) @ weights.sample(n_samples, rng).T, 2, 0)

    def mean(self, contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates"]:
        """Return the utilities under the mean weights."""
        features, weights = self._or_begun_with(contexts)
        return features(contexts) @ weights.mean.astype(np.float32)

    def features(self, contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates feature"]:
        """Return the features in which the utility is linear."""
        return self._or_begun_with(contexts)[0](contexts)

    def posterior(self, contexts: Contexts) -> LinearPosterior:
        """Return the beliefs about the weights, and the candidates' features."""
        features, weights = self._or_begun_with(contexts)
        mean, covariance = weights.mean.astype(np.float32), weights.covariance.astype(np.float32)
        return LinearPosterior(features(contexts), mean, covariance)

    @abstractmethod
    def _or_begun_with(self, contexts: Contexts) -> tuple[Features, Weights]:
        """Return features and beliefs or, before the first labels, those that these contexts would begin."""
