"""k-centre and determinant-greedy: pairs whose feature differences, over the batch, are unlike each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32

from duelgym.checks import flag
from duelgym_agents.exploration.choice import check_numbers
from duelgym_agents.exploration.linear import fisher_weights, from_first, projected, squared_distances
from duelgym_agents.exploration.posterior import LinearPosterior
from duelgym_agents.exploration.rule import Selection

_ROUNDING = 1e-6


@dataclass(frozen=True)
class KCentre:
    """Picks, again and again, the pair whose feature difference is farthest from all those picked in the batch.

    Sener and Savarese 2018 (1708.00489), the greedy core-set, on differences of features. A pair asked the other way
    round is the same question, so the distance of two differences is the smaller one of |z - z'| and |z + z'|. The
    paper starts from the points already labelled; a rule has no memory, so here a batch starts from the difference 0,
    whose label is known (a coin): the first pair is the longest. Each prompt gets one pair; the prompt that has the
    farthest left is served next. Equals are decided at random; the lower position is shown first. Where all candidates
    are identical the pair is uniform, and the prompt counts as a fallback.
    """

    name: ClassVar[str] = "k_centre"
    reads: ClassVar[Literal["features"]] = "features"

    def __call__(
        self, features: Float32[np.ndarray, "batch n_candidates feature"], rng: np.random.Generator
    ) -> Selection:
        """Return the pairs, picked jointly."""
        features = from_first(features)
        lengths = squared_distances(features, features)
        nearest = lengths.copy()

        def lower(prompt: int, first: int, second: int, left: int) -> None:
            distances = _differences(features[:left] @ (features[prompt, first] - features[prompt, second]))
            np.abs(distances, out=distances)
            distances *= -2
            distances += lengths[:left]
            distances += lengths[prompt, first, second]
            np.minimum(nearest[:left], distances, out=nearest[:left])

        return _one_pair_each(nearest, [features, lengths], lower, rng)


@dataclass(frozen=True)
class DeterminantGreedy:
    """Picks the pairs of a batch jointly, greedily, for the log-determinant of the information matrix after it.

    With differences z of precision w, that gain is the log-determinant of their Gram matrix in the posterior,
    det(identity + w Z covariance Z'): each pair adds log(1 + w z' covariance z), in the covariance that the pairs
    before it leave. It is the batch form of :class:`~duelgym_agents.exploration.d_optimal.DOptimal`, and prefers
    differences that are uncertain and unlike each other. The recursion is that of Chen, Zhang and Zhou 2018
    (1709.05135), greedy inference of determinantal point processes; each prompt gets one pair, and the prompt with the
    largest gain is served next, which keeps half of the best gain (Fisher, Nemhauser and Wolsey 1978). Equals are
    decided at random; the lower position is shown first. Where no difference is uncertain at all the pair is uniform,
    and the prompt counts as a fallback.

    Args:
        fisher: whether the precision of a label is p (1 - p) at the mean utilities, or the largest it can be, 1/4.

    Raises:
        SpecificationError: if ``fisher`` is neither True nor False.
    """

    fisher: bool = False
    name: ClassVar[str] = "determinant_greedy"
    reads: ClassVar[Literal["posterior"]] = "posterior"

    def __post_init__(self) -> None:
        flag("fisher", self.fisher)

    def __call__(self, posterior: LinearPosterior, rng: np.random.Generator) -> Selection:
        """Return the pairs, picked jointly."""
        features = from_first(posterior.features)
        products = projected(features, posterior.covariance)
        gains = squared_distances(features, products)
        # What float32 can tell of a variance; less than that is rounding, which dividing by it would blow up.
        least = _ROUNDING * float(gains.max())
        weights = (
            fisher_weights(posterior.utilities()) if self.fisher else np.full((len(gains), 1, 1), np.float32(0.25))
        )
        gains *= weights  # w z' covariance z, in the covariance given the pairs so far
        # What each pair so far takes off a covariance: the product of two candidates' entries.
        taken = np.zeros((len(features), *features.shape[:2]), dtype=np.float32)

        def lower(prompt: int, first: int, second: int, left: int) -> None:
            served = len(features) - left
            shared = products[:left] @ (features[prompt, first] - features[prompt, second])
            shared -= (taken[prompt, :served, first] - taken[prompt, :served, second]) @ taken[:left, :served]
            variance = shared[prompt, first] - shared[prompt, second]
            weight = weights[prompt, first, second] if self.fisher else weights[prompt, 0, 0]
            shared *= np.sqrt(weight / (1 + weight * max(variance, least)))
            taken[:left, served] = shared
            loss = _differences(shared)
            np.square(loss, out=loss)
            loss *= weights[:left]
            np.subtract(gains[:left], loss, out=gains[:left])

        return _one_pair_each(gains, [features, products, weights, taken], lower, rng)


def _one_pair_each(
    values: Float32[np.ndarray, "batch n_candidates n_candidates"],
    tables: Sequence[Float32[np.ndarray, "batch ..."]],
    lower: Callable[[int, int, int, int], None],
    rng: np.random.Generator,
) -> Selection:
    """Serve the prompt that has the largest value left by its best pair, until all are served.

    Args:
        values: symmetric; not below 0. Changed.
        tables: what else is known of each prompt. Rows of prompts still to be served move to the front, here and in values.
        lower: told row, first and second of each pair picked and the number of rows left, it lowers those in place.
        rng: decides between equals.
    """
    batch, n_candidates, _ = values.shape
    fallbacks = int(np.count_nonzero(values.max(axis=(1, 2)) == 0))
    values[:, np.arange(n_candidates), np.arange(n_candidates)] = -np.inf
    pairs = np.empty((batch, 2), dtype=np.int64)
    prompts = np.arange(batch)
    for left in range(batch, 0, -1):
        best = values[:left]
        largest = best.max()
        check_numbers(largest)
        ties = np.flatnonzero(best == largest)
        row, first, second = map(int, np.unravel_index(ties[rng.integers(len(ties))], best.shape))
        pairs[prompts[row]] = min(first, second), max(first, second)
        lower(row, first, second, left)
        for table in (prompts, values, *tables):
            table[row] = table[left - 1]
    return Selection(pairs, fallbacks=fallbacks)


def _differences(
    values: Float32[np.ndarray, "batch n_candidates"],
) -> Float32[np.ndarray, "batch n_candidates n_candidates"]:
    return values[:, :, None] - values[:, None, :]
