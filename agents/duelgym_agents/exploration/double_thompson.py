"""Double Thompson sampling: the favourites of two independently drawn models of the rater."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32, Int64

from duelgym.checks import whole_number
from duelgym_agents.exploration.choice import check_samples, second_until_different
from duelgym_agents.exploration.rule import Selection


@dataclass(frozen=True)
class DoubleThompson:
    """Draws an epistemic index and shows its favourite; draws afresh until another favourite comes up.

    Dwaracherla et al. 2024, Algorithm 6. One index scores all candidates of a prompt jointly. Where every retry
    met the same favourite, the second candidate is uniform over the others, and the prompt counts as a fallback.
    Of candidates that one sample holds equal, the lowest position is its favourite (positions are permuted anyway).

    Args:
        max_retries: K, how often the second index may be drawn again; at least 0. The paper leaves it open.

    Raises:
        SpecificationError: if ``max_retries`` is not such an integer.
    """

    max_retries: int = 30
    name: ClassVar[str] = "double_thompson"
    reads: ClassVar[Literal["samples"]] = "samples"

    def __post_init__(self) -> None:
        whole_number("max_retries", self.max_retries, 0)

    def __call__(
        self, utilities: Float32[np.ndarray, "n_samples batch n_candidates"], rng: np.random.Generator
    ) -> Selection:
        """Return the favourites of two indices per prompt, drawn uniformly over the samples.

        Raises:
            SpecificationError: if there is no sample.
        """
        n_samples, batch, n_candidates = utilities.shape
        check_samples(self.name, n_samples, at_least=1)
        favourites = utilities.argmax(axis=2)

        def favourite(prompts: Int64[np.ndarray, " rows"]) -> Int64[np.ndarray, " rows"]:
            return favourites[rng.integers(n_samples, size=len(prompts)), prompts]

        first = favourite(np.arange(batch))
        return second_until_different(
            first, favourite, max_retries=self.max_retries, n_candidates=n_candidates, rng=rng
        )
