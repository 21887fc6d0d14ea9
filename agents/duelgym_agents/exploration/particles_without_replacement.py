"""Particles without replacement: the favourites of two particles, every particle asked before giving up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32

from duelgym.checks import whole_number
from duelgym_agents.exploration.choice import check_samples, random_best, random_other
from duelgym_agents.exploration.rule import Selection


@dataclass(frozen=True)
class ParticlesWithoutReplacement:
    """Shuffles the particles, shows the first one's favourite and the next different favourite in that order.

    The explore-and-exploit rule (E&E) of SEA (Liu et al. 2024, 2411.01493): double Thompson sampling whose second
    index is drawn without replacement, so that a lone dissenter is always found. (SEA's code, by a slip of its
    slice, never asks the last of the shuffled particles; this does.)
    Where all particles agree, SEA shows the favourite against itself and drops the answer; here the second
    candidate is uniform over the others, and the prompt counts as a fallback. Candidates that one particle holds
    equal are decided at random.

    Args:
        max_retries: how many further particles may be asked after the second; at least 0. None: all
            there are.

    Raises:
        SpecificationError: if ``max_retries`` is neither None nor such an integer.
    """

    max_retries: int | None = None
    name: ClassVar[str] = "particles_without_replacement"
    reads: ClassVar[Literal["samples"]] = "samples"

    def __post_init__(self) -> None:
        if self.max_retries is not None:
            whole_number("max_retries", self.max_retries, 0)

    def __call__(
        self, utilities: Float32[np.ndarray, "n_samples batch n_candidates"], rng: np.random.Generator
    ) -> Selection:
        """Return the first two different favourites of shuffled samples.

        Raises:
            SpecificationError: if there is no sample.
        """
        n_samples, batch, n_candidates = utilities.shape
        check_samples(self.name, n_samples, at_least=1)
        favourites = random_best(utilities.reshape(-1, n_candidates), rng).reshape(n_samples, batch)
        shuffled = rng.permuted(favourites, axis=0)
        asked = n_samples - 1 if self.max_retries is None else min(n_samples - 1, self.max_retries + 1)
        first, rivals = shuffled[0], shuffled[1 : 1 + asked]
        differ = np.concatenate([rivals != first, np.ones((1, batch), dtype=bool)])  # a last row that stops the search
        found = differ.argmax(axis=0)
        second = np.concatenate([rivals, random_other(first, n_candidates, rng)[None]])[found, np.arange(batch)]
        retries = int(np.minimum(found, max(asked - 1, 0)).sum())
        return Selection(
            np.stack([first, second], axis=1), retries=retries, fallbacks=int(np.count_nonzero(found == asked))
        )
