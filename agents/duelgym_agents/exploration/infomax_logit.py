"""Infomax on the logit: the pair whose difference of utilities the samples disagree about most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32

from duelgym_agents.exploration.choice import check_samples
from duelgym_agents.exploration.pairs import random_best_pair, sample_variance, score_pairs
from duelgym_agents.exploration.rule import Selection


@dataclass(frozen=True)
class InfomaxLogit:
    """Picks the pair with the largest variance, over samples, of the difference u_i - u_j.

    The uncertainty rule of SEA's code (Liu et al. 2024, 2411.01493; its text prints the variance of the
    probability, which is infomax). The logit does not saturate: a pair whose outcome is as good as certain
    is still asked if its margin is uncertain. Divisor n_samples - 1. Equal variances are decided at random;
    the candidate at the lower position is shown first. Where all samples agree about every pair, the pair is
    uniform and the prompt counts as a fallback.
    """

    name: ClassVar[str] = "infomax_logit"
    reads: ClassVar[Literal["samples"]] = "samples"

    def __call__(
        self, utilities: Float32[np.ndarray, "n_samples batch n_candidates"], rng: np.random.Generator
    ) -> Selection:
        """Return the pairs of largest variance.

        Raises:
            SpecificationError: if there are fewer than two samples (no variance).
        """
        n_samples, _, n_candidates = utilities.shape
        check_samples(self.name, n_samples, at_least=2)
        return random_best_pair(score_pairs(utilities, sample_variance), n_candidates, rng)
