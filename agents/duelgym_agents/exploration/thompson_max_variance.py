"""Thompson and variance: a sampled favourite against the candidate most uncertain relative to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32

from duelgym.errors import SpecificationError
from duelgym_agents.exploration.choice import check_samples, random_best
from duelgym_agents.exploration.pairs import lead, sample_variance
from duelgym_agents.exploration.rule import Selection


@dataclass(frozen=True)
class ThompsonMaxVariance:
    """Shows one sample's favourite against the candidate whose duel with it the samples disagree about most.

    The best-arm rule (BAI) of SEA (Liu et al. 2024, 2411.01493). Ties are decided at random. Where the
    samples agree about every duel with the favourite, the second candidate is uniform over the others, and the
    prompt counts as a fallback.

    Args:
        variance_of: ``"probability"`` sigmoid(u_first - u_j), as SEA prints, or ``"logit"`` u_first - u_j, as SEA's
            code runs.

    Raises:
        SpecificationError: if ``variance_of`` is neither.
    """

    variance_of: Literal["probability", "logit"] = "probability"
    name: ClassVar[str] = "thompson_max_variance"
    reads: ClassVar[Literal["samples"]] = "samples"

    def __post_init__(self) -> None:
        if self.variance_of not in ("probability", "logit"):
            raise SpecificationError(f"variance_of is {self.variance_of!r}; it must be 'probability' or 'logit'")

    def __call__(
        self, utilities: Float32[np.ndarray, "n_samples batch n_candidates"], rng: np.random.Generator
    ) -> Selection:
        """Return a favourite and its most uncertain rival per prompt.

        Raises:
            SpecificationError: if there are fewer than two samples (no variance).
        """
        n_samples, batch, _ = utilities.shape
        check_samples(self.name, n_samples, at_least=2)
        prompts = np.arange(batch)
        first = random_best(utilities[rng.integers(n_samples, size=batch), prompts], rng)
        wide = utilities.astype(np.float64)
        differences = wide[:, prompts, first, None] - wide
        variances = sample_variance(lead(differences) if self.variance_of == "probability" else differences)
        second = random_best(variances, rng, excluded=first)
        agreed = int(np.count_nonzero(variances[prompts, second] == 0))
        return Selection(np.stack([first, second], axis=1), fallbacks=agreed)
