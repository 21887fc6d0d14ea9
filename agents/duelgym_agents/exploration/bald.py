"""BALD: the pair whose answer tells most about which sample is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32, Float64

from duelgym_agents.exploration.choice import check_samples
from duelgym_agents.exploration.pairs import binary_entropy, lead, random_best_pair, score_pairs
from duelgym_agents.exploration.rule import Selection

_ROUNDING = 1e-14  # nats: information below is the rounding error of entropies


@dataclass(frozen=True)
class BALD:
    """Picks the pair with the largest mutual information between the answer and the epistemic index.

    Houlsby et al. 2011 (1112.5745), eq. 2: h(mean p) - mean h(p), where p = sigmoid(u_i - u_j) under each sample and
    h is the entropy of a bit. Near p = 1/2 and for small spread it orders pairs as infomax does; in the tails it
    prefers pairs that are decided for most samples and reversed for a few. Equal pairs are decided at random; the
    candidate at the lower position is shown first. Where all samples agree about every pair, the pair is uniform
    and the prompt counts as a fallback.
    """

    name: ClassVar[str] = "bald"
    reads: ClassVar[Literal["samples"]] = "samples"

    def __call__(
        self, utilities: Float32[np.ndarray, "n_samples batch n_candidates"], rng: np.random.Generator
    ) -> Selection:
        """Return the pairs of largest mutual information.

        Raises:
            SpecificationError: if there are fewer than two samples (no disagreement).
        """
        n_samples, _, n_candidates = utilities.shape
        check_samples(self.name, n_samples, at_least=2)
        return random_best_pair(score_pairs(utilities, _information), n_candidates, rng)


def _information(differences: Float64[np.ndarray, "n_samples batch n_rivals"]) -> Float64[np.ndarray, "batch n_rivals"]:
    leads = lead(differences)
    return information(leads.mean(axis=0), leads)


def information(
    mean: Float64[np.ndarray, "batch n_rivals"], cases: Float64[np.ndarray, "n_cases batch n_rivals"]
) -> Float64[np.ndarray, "batch n_rivals"]:
    """Return the mutual information, in nats, between a bit and which of equally likely cases holds; in [0, ln 2].

    Args:
        mean: the bit's lead (2p - 1) before the case is known: the mean over cases.
        cases: its lead in each case.
    """
    gain = binary_entropy(mean) - binary_entropy(cases).mean(axis=0)
    gain[gain < _ROUNDING] = 0.0
    return gain
