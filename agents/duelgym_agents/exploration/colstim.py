"""CoLSTIM: the favourite under perturbed utilities, against its strongest plausible challenger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from duelgym.checks import finite_number, positive_number
from duelgym_agents.exploration.choice import random_best
from duelgym_agents.exploration.linear import projected
from duelgym_agents.exploration.posterior import LinearPosterior
from duelgym_agents.exploration.rule import Selection


@dataclass(frozen=True)
class CoLSTIM:
    """Shows the largest mean + noise * deviation, and against it i the largest mean difference + c * deviation.

    Bengs, Saha and Hüllermeier 2022 (2202.04593), the algorithm of that name. The noise is Gumbel, one draw per
    candidate, cut off at ``threshold``: differences of Gumbels are logistic, so the first arm imitates a label. The
    second maximises u_j - u_i + confidence * deviation of u_j - u_i.

    What the paper leaves open, or what differs: it measures deviations in the inverse of an unweighted design matrix,
    scaled by sqrt(d log T); here they are those of the posterior, so both settings count posterior deviations. A first
    phase of random pairs, which makes that matrix invertible, is not needed with a prior. The deviation of a single
    candidate depends on where the origin of features lies, which no duel can reveal: the mean of a prompt's candidates
    is taken, since otherwise what all share stays uncertain for ever and drowns the utilities. The challenger may be
    the first arm itself in the paper; here it is another. Equals are decided at random.

    Args:
        confidence: c_1, in posterior standard deviations; at least 0.
        threshold: C_thresh, where the noise is cut off on both sides; above 0. The largest of 100 Gumbels is above 5
            about one time in two.

    Raises:
        SpecificationError: if a setting is out of its range.
    """

    confidence: float = 2.0
    threshold: float = 5.0
    name: ClassVar[str] = "colstim"
    reads: ClassVar[Literal["posterior"]] = "posterior"

    def __post_init__(self) -> None:
        finite_number("confidence", self.confidence, low=0)
        positive_number("threshold", self.threshold)

    def __call__(self, posterior: LinearPosterior, rng: np.random.Generator) -> Selection:
        """Return the perturbed favourite and its challenger, in this order."""
        batch, n_candidates, _ = posterior.features.shape
        rows = np.arange(batch)
        features = posterior.features - posterior.features.mean(axis=1, keepdims=True)
        products = projected(features, posterior.covariance)
        variances = np.maximum(np.einsum("bnd,bnd->bn", features, products), 0)
        utilities = posterior.utilities()
        noise = np.clip(rng.gumbel(size=(batch, n_candidates)), -self.threshold, self.threshold)
        first = random_best(utilities + noise * np.sqrt(variances), rng)
        shared = np.einsum("bnd,bd->bn", features, products[rows, first])
        widths = np.sqrt(np.maximum(variances + variances[rows, first, None] - 2 * shared, 0))
        second = random_best(utilities + self.confidence * widths, rng, excluded=first)
        return Selection(np.stack([first, second], axis=1))
