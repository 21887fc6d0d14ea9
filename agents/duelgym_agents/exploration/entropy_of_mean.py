"""Entropy of the mean: the pair whose answer is hardest to foretell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32, Float64

from duelgym_agents.exploration.choice import check_samples, random_best
from duelgym_agents.exploration.pairs import lead, score_pairs
from duelgym_agents.exploration.rule import Selection


@dataclass(frozen=True)
class EntropyOfMean:
    """Picks the pair with the largest entropy of the mean, over samples, of the probability that one beats the other.

    Uncertainty sampling (Lewis and Gale 1994): the first term of BALD without the second, so doubt and chance count
    alike, and two equally good candidates are asked for ever. The entropy is largest where the mean probability is
    nearest to 1/2, which is how it is computed. The certainty criterion that Active Preference Learning (Muldrew et
    al. 2024, 2402.08114) pairs with an entropy filter on prompts is the opposite, the largest margin: see
    BestAgainstWorst. Equal pairs are decided at random; the candidate at the lower position is shown first.
    """

    name: ClassVar[str] = "entropy_of_mean"
    reads: ClassVar[Literal["samples"]] = "samples"

    def __call__(
        self, utilities: Float32[np.ndarray, "n_samples batch n_candidates"], rng: np.random.Generator
    ) -> Selection:
        """Return the pairs nearest to a fair coin.

        Raises:
            SpecificationError: if there is no sample.
        """
        n_samples, _, n_candidates = utilities.shape
        check_samples(self.name, n_samples, at_least=1)
        first, second = np.triu_indices(n_candidates, k=1)
        best = random_best(score_pairs(utilities, _nearness_to_even), rng)
        return Selection(np.stack([first[best], second[best]], axis=1))


def _nearness_to_even(
    differences: Float64[np.ndarray, "n_samples batch n_rivals"],
) -> Float64[np.ndarray, "batch n_rivals"]:
    return -np.abs(lead(differences).mean(axis=0))
