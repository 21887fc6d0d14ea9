"""What a reward model that is linear in its features can hand to a rule, beyond sampled utilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from duelgym.agent import Contexts
from duelgym.errors import SpecificationError


@dataclass(frozen=True)
class LinearPosterior:
    """Gaussian beliefs about a utility that is linear in features, and the features of one batch of candidates.

    A candidate with features x has utility <weights, x> in log-odds, weights ~ N(mean, covariance). The covariance is
    the inverse of the information matrix: prior precision plus, over the duels so far, p (1 - p) times the outer
    product of the difference of their features with itself (Laplace), p the probability of a win.

    Attributes:
        features: of each candidate, prompt and response taken together.
        mean: of the weights.
        covariance: of the weights; symmetric, positive semi-definite.

    Raises:
        SpecificationError: if the shapes do not belong together or an entry is not finite.
    """

    features: Float32[np.ndarray, "batch n_candidates feature"]
    mean: Float32[np.ndarray, " feature"]
    covariance: Float32[np.ndarray, "feature feature"]

    def __post_init__(self) -> None:
        dim = self.features.shape[2:]
        if len(dim) != 1 or self.mean.shape != dim or self.covariance.shape != 2 * dim:
            raise SpecificationError(
                f"a linear posterior was given features {self.features.shape}, mean {self.mean.shape} and covariance "
                f"{self.covariance.shape}; it takes (batch, n_candidates, d), (d,) and (d, d)"
            )
        for name in ("features", "mean", "covariance"):
            if not np.isfinite(getattr(self, name)).all():
                raise SpecificationError(f"the {name} of the linear posterior must be finite; strengthen the prior")

    def utilities(self) -> Float32[np.ndarray, "batch n_candidates"]:
        """Return the mean utilities."""
        return self.features @ self.mean


@runtime_checkable
class GivesFeatures(Protocol):
    """A reward model that has features in which distances mean something; rules that read "features" need it."""

    def features(self, contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates feature"]:
        """Return the features of each candidate."""
        ...


@runtime_checkable
class GivesPosterior(Protocol):
    """A reward model that is linear in features, with Gaussian weights; rules that read "posterior" need it."""

    def posterior(self, contexts: Contexts) -> LinearPosterior:
        """Return the beliefs about the weights, and the features of each candidate."""
        ...
