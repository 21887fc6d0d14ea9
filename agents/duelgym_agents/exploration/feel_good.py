"""Feel-good Thompson sampling: double Thompson with samples that promise much drawn more often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32, Float64, Int64

from duelgym.checks import finite_number, whole_number
from duelgym_agents.exploration.choice import check_samples, second_until_different
from duelgym_agents.exploration.rule import Selection


@dataclass(frozen=True)
class FeelGoodThompson:
    """Shows the favourites of two samples, drawn with odds exp(feel_good * how much better than known they promise).

    FGTS.CDB of Li, Zhao and Gu 2024 (2404.06013), Algorithm 1: both arms are favourites of independent draws from a
    posterior whose likelihood has one more factor per past query i, exp(mu * (max_a u(x_i, a) - u(x_i, a_i))), a_i
    being the arm that the other draw chose then. It favours weights that hold some response to be much better than
    what was tried. (The paper also tempers the likelihood; that is up to the reward model.)

    How that changes the sampling here: samples of the plain posterior are weighed and drawn again (sampling importance
    resampling; the paper runs Langevin dynamics on the tilted posterior). A rule has no memory, so the sum over past
    prompts is replaced by ``feel_good`` times the mean over the prompts of this batch, which come from the same
    distribution; and the arm that the other draw chose by the favourite of the mean utility. ``feel_good`` is thus mu
    times the number of queries, held constant. One weight per sample serves the whole batch, then each prompt draws its
    own two. With ``feel_good`` 0 this is double Thompson.

    Where the favourites are equal, the paper shows one response twice; here the second is drawn again, and after the
    last retry it is uniform over the others, and the prompt counts as a fallback, as in
    :class:`~duelgym_agents.exploration.double_thompson.DoubleThompson`, whose way with equals it also has.

    Args:
        feel_good: per log-odds of promised gain; at least 0. The paper leaves it to theory, of order sqrt(budget) in
            total; 1 is chosen.
        max_retries: how often the second sample may be drawn again; at least 0.

    Raises:
        SpecificationError: if a setting is out of its range.
    """

    feel_good: float = 1.0
    max_retries: int = 30
    name: ClassVar[str] = "feel_good_thompson"
    reads: ClassVar[Literal["samples"]] = "samples"

    def __post_init__(self) -> None:
        finite_number("feel_good", self.feel_good, low=0)
        whole_number("max_retries", self.max_retries, 0)

    def __call__(
        self, utilities: Float32[np.ndarray, "n_samples batch n_candidates"], rng: np.random.Generator
    ) -> Selection:
        """Return the favourites of two samples per prompt.

        Raises:
            SpecificationError: if there is no sample.
        """
        n_samples, batch, n_candidates = utilities.shape
        check_samples(self.name, n_samples, at_least=1)
        odds = self.sample_probabilities(utilities)
        favourites = utilities.argmax(axis=2)

        def favourite(prompts: Int64[np.ndarray, " rows"]) -> Int64[np.ndarray, " rows"]:
            return favourites[rng.choice(n_samples, size=len(prompts), p=odds), prompts]

        first = favourite(np.arange(batch))
        return second_until_different(
            first, favourite, max_retries=self.max_retries, n_candidates=n_candidates, rng=rng
        )

    def sample_probabilities(
        self, utilities: Float32[np.ndarray, "n_samples batch n_candidates"]
    ) -> Float64[np.ndarray, " n_samples"]:
        """Return with which probability each sample is drawn; they sum to 1."""
        known = utilities.mean(axis=0).argmax(axis=1)
        promised = utilities.max(axis=2) - np.take_along_axis(utilities, known[None, :, None], axis=2)[:, :, 0]
        logits = self.feel_good * promised.mean(axis=1, dtype=np.float64)
        odds = np.exp(logits - logits.max())
        return odds / odds.sum()
