"""Sta'D and VACDB: the most informative pair among plausible winners, weeded out in stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float32

from duelgym.checks import positive_number, whole_number
from duelgym_agents.exploration.linear import best_pairs, from_first, projected, squared_distances
from duelgym_agents.exploration.posterior import LinearPosterior
from duelgym_agents.exploration.rule import Selection


@dataclass(frozen=True)
class StagewiseDuel:
    """Picks the least certain pair among the candidates that may still be best; where all is certain, any of those.

    Sta'D of Saha 2021 (NeurIPS, "Optimal algorithms for stochastic contextual preference bandits"; 2002.08583). Stage
    s = 1, 2, … asks for a precision of ``first_width`` / 2^(s-1). If some difference between two survivors is less
    certain than that, such a pair is asked. If none is, those that trail the best survivor by more than ``confidence``
    times that precision are dropped, and the next stage begins. After the last stage any two survivors will do: they
    are drawn uniformly, and the prompt counts as a fallback.

    What the paper leaves open, or what differs: which of several uncertain pairs is asked (here the least certain, as
    in its other algorithm, MaxInP; equals at random); every stage there has its own data and its own estimate, for the
    sake of the proof, where here one posterior serves all; precisions are posterior standard deviations in log-odds.
    A duel needs two, so the two best always survive.

    Args:
        confidence: how many of the stage's precisions behind the best a candidate may be; above 0.
        first_width: precision of the first stage, in log-odds; above 0.
        n_stages: at least 1. The paper stops at a precision of 1 / sqrt(budget); the default reaches 1/64.

    Raises:
        SpecificationError: if a setting is out of its range.
    """

    confidence: float = 2.0
    first_width: float = 1.0
    n_stages: int = 7
    name: ClassVar[str] = "stad"
    reads: ClassVar[Literal["posterior"]] = "posterior"

    def __post_init__(self) -> None:
        positive_number("confidence", self.confidence)
        positive_number("first_width", self.first_width)
        whole_number("n_stages", self.n_stages, 1)

    def __call__(self, posterior: LinearPosterior, rng: np.random.Generator) -> Selection:
        """Return the least certain pairs of survivors; the lower position is shown first."""
        survivors, settled, scores = self._stages(posterior)
        scores[settled] = 0  # all equal: drawn uniformly
        return Selection(best_pairs(scores, rng, survivors), fallbacks=int(np.count_nonzero(settled)))

    def _stages(
        self, posterior: LinearPosterior
    ) -> tuple[
        Bool[np.ndarray, "batch n_candidates"],
        Bool[np.ndarray, " batch"],
        Float32[np.ndarray, "batch n_candidates n_candidates"],
    ]:
        """Return the survivors, for which prompts no two of them are uncertain, and the variances of all differences."""
        features = from_first(posterior.features)
        variances = squared_distances(features, projected(features, posterior.covariance))
        utilities = posterior.utilities()
        survivors = np.ones(utilities.shape, dtype=np.bool_)
        settled = np.ones(len(utilities), dtype=np.bool_)
        for stage in range(self.n_stages):
            width = self.first_width / 2**stage
            both = survivors[:, :, None] & survivors[:, None, :]
            settled &= np.where(both, variances, 0).max(axis=(1, 2)) <= width**2
            if not settled.any():
                break
            runner_up, best = np.partition(np.where(survivors, utilities, -np.inf), (-2, -1), axis=1)[:, -2:].T
            bar = np.minimum(runner_up, best - self.confidence * width)
            survivors[settled] &= (utilities >= bar[:, None])[settled]
        return survivors, settled, variances


@dataclass(frozen=True)
class VarianceAware(StagewiseDuel):
    """As :class:`StagewiseDuel`, but of certain survivors it asks the two that are best and may be better still.

    VACDB of Di et al. 2024 (2310.00968), Algorithm 1: after the last layer it takes the pair i, j with the largest
    u_i + u_j + confidence * deviation of u_i - u_j, which is no fallback. Its layers are those of
    :class:`StagewiseDuel`; which of several uncertain pairs is asked is open here too.

    What makes the paper's bound aware of variance is its regression, which belongs to the reward model: there, each
    duel is weighed by its layer and the layer's confidence by the labels' estimated variance. The posterior of a
    logistic likelihood weighs every duel by p (1 - p), that variance, and stands in for it.
    """

    name: ClassVar[str] = "vacdb"

    def __call__(self, posterior: LinearPosterior, rng: np.random.Generator) -> Selection:
        """Return the least certain pairs of survivors or, where all are certain, the most promising."""
        survivors, settled, scores = self._stages(posterior)
        utilities = posterior.utilities()[settled]
        promise = self.confidence * np.sqrt(scores[settled])
        scores[settled] = promise + utilities[:, :, None] + utilities[:, None, :]
        return Selection(best_pairs(scores, rng, survivors))
