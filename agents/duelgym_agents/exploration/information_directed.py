"""Information-directed sampling: the least squared regret per unit of information."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32, Float64, Int64

from duelgym.errors import SpecificationError
from duelgym_agents.exploration.bald import information
from duelgym_agents.exploration.choice import check_samples, random_best
from duelgym_agents.exploration.pairs import lead, score_pairs
from duelgym_agents.exploration.rule import Selection

_CLOSE = 1e-12  # of the larger regret: an option this little below a chord is on it


@dataclass(frozen=True)
class InformationDirected:
    """Draws the pair from the distribution that minimises (expected regret)^2 / (expected information).

    Russo and Van Roy 2014 (1403.5556). Samples are equally likely. A pair's regret is half the sum, over its
    two candidates, of the mean probability beyond 1/2 that the sample's favourite beats it (the suite's average
    regret); its information is the mutual information, in nats, between the answer and the favourite (the paper's)
    or the sample itself (as in BALD). The minimum over distributions is attained by at most two pairs, as they
    prove; these are found exactly, on the lower hull of regret against information. What 2603.17378 calls
    information-directed exploration is no such ratio but the largest variance of the probability: that is Infomax.

    Ties are decided at random; the candidate at the lower position is shown first. Where no pair carries
    information (all samples have one favourite, for example), the ratio is undefined: the pair is the one of least
    regret, and the prompt counts as a fallback.

    Args:
        about: what answers shall tell: ``"best"``, this prompt's favourite, or ``"sample"``, which sample is right;
            the second also values what an answer tells about other prompts.

    Raises:
        SpecificationError: if ``about`` is neither.
    """

    about: Literal["best", "sample"] = "best"
    name: ClassVar[str] = "information_directed"
    reads: ClassVar[Literal["samples"]] = "samples"

    def __post_init__(self) -> None:
        if self.about not in ("best", "sample"):
            raise SpecificationError(f"about is {self.about!r}; it must be 'best' or 'sample'")

    def __call__(
        self, utilities: Float32[np.ndarray, "n_samples batch n_candidates"], rng: np.random.Generator
    ) -> Selection:
        """Return pairs drawn from the minimising distributions.

        Raises:
            SpecificationError: if there are fewer than two samples (no information).
        """
        n_samples, batch, n_candidates = utilities.shape
        check_samples(self.name, n_samples, at_least=2)
        first, second = np.triu_indices(n_candidates, k=1)
        shortfall = _shortfalls(utilities)
        regrets = (shortfall[:, first] + shortfall[:, second]) / 2
        gains = answer_information(utilities, self.about)
        safe, telling, share = least_ratio(regrets, gains)
        rows = np.arange(batch)
        drawn = np.where(rng.random(batch) < share, telling, safe)
        alike = (regrets == regrets[rows, drawn, None]) & (gains == gains[rows, drawn, None])
        chosen = random_best(alike, rng)
        return Selection(
            np.stack([first[chosen], second[chosen]], axis=1),
            fallbacks=int(np.count_nonzero(gains.max(axis=1) == 0)),
        )


def _shortfalls(
    utilities: Float32[np.ndarray, "n_samples batch n_candidates"],
) -> Float64[np.ndarray, "batch n_candidates"]:
    """Return the mean over samples of P(favourite beats candidate) - 1/2, in [0, 1/2]."""
    wide = utilities.astype(np.float64)
    return lead(wide.max(axis=2, keepdims=True) - wide).mean(axis=0) / 2


def answer_information(
    utilities: Float32[np.ndarray, "n_samples batch n_candidates"], about: Literal["best", "sample"]
) -> Float64[np.ndarray, "batch n_pairs"]:
    """Return for every pair i < j the mutual information, in nats, between its answer and the favourite or sample.

    Given the favourite, an answer's probability is the mean over the samples that share it.
    """
    favourites = utilities.argmax(axis=2).T
    shared = (favourites[:, :, None] == favourites[:, None, :]).astype(np.float64)
    shared /= shared.sum(axis=2, keepdims=True)

    def gain(differences: Float64[np.ndarray, "n_samples batch n_rivals"]) -> Float64[np.ndarray, "batch n_rivals"]:
        leads = lead(differences)
        cases = leads if about == "sample" else (shared @ leads.transpose(1, 0, 2)).transpose(1, 0, 2)
        return information(leads.mean(axis=0), cases)

    return score_pairs(utilities, gain)


def least_ratio(
    regrets: Float64[np.ndarray, "batch n_options"], gains: Float64[np.ndarray, "batch n_options"]
) -> tuple[Int64[np.ndarray, " batch"], Int64[np.ndarray, " batch"], Float64[np.ndarray, " batch"]]:
    """Return two options and the share of the second that together minimise regret^2 / gain over all distributions.

    The ratio is convex in (regret, gain), so the minimum lies on an edge of the lower hull of regret over gain, where
    the slope is half of regret / gain. The edge is closed in on from both sides: the option furthest below the
    chord of the two options at hand replaces one of them, until none is below.

    Args:
        regrets: at least 0.
        gains: at least 0. Where all are 0, the first option is the one of least regret and the share is 0.
    """
    rows = np.arange(len(regrets))
    low = np.where(regrets == regrets.min(axis=1, keepdims=True), gains, -1.0).argmax(axis=1)
    high = np.where(gains == gains.max(axis=1, keepdims=True), regrets, np.inf).argmin(axis=1)
    for _ in range(regrets.shape[1]):  # every step rules an option out; a handful is enough
        rise, run = regrets[rows, high] - regrets[rows, low], gains[rows, high] - gains[rows, low]
        slope = np.divide(rise, run, out=np.zeros_like(rise), where=run > 0)
        heights = regrets - slope[:, None] * gains
        lowest = heights.argmin(axis=1)
        below = heights[rows, lowest] < heights[rows, low] - _CLOSE * regrets[rows, high]
        if not below.any():
            break
        too_safe = 2 * slope * gains[rows, lowest] < regrets[rows, lowest]
        low = np.where(below & too_safe, lowest, low)
        high = np.where(below & ~too_safe, lowest, high)
    # d/dq of (regret + q rise)^2 / (gain + q run) is 0 at q = regret / rise - 2 gain / run.
    rise, run = regrets[rows, high] - regrets[rows, low], gains[rows, high] - gains[rows, low]
    certain = np.where(run > 0, np.inf, -np.inf)  # no rise: all to the more telling one, if it is one
    share = np.divide(regrets[rows, low], rise, out=certain, where=(rise > 0) & (run > 0))
    share -= np.divide(2 * gains[rows, low], run, out=np.zeros_like(run), where=run > 0)
    return low, high, share.clip(0.0, 1.0)
