"""The bootstrap: seeds and assessment prompts resampled together, the same draw for every agent.

Resamples are weights, not copies: one row of :class:`Draws` says how much each seed and each prompt counts, and a
statistic is computed for all rows at once. Row 0 always holds equal weights, i.e. the data as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

LEVEL = 0.95
AREA_START = 32


@dataclass(frozen=True)
class Draws:
    """Weights of bootstrap resamples; each row sums to one, row 0 is uniform.

    Attributes:
        seeds: weight of each seed index.
        prompts: prompt group -> weight of each assessment prompt of the group.
    """

    seeds: Float64[np.ndarray, "draws seeds"]
    prompts: Mapping[str, Float64[np.ndarray, "draws prompts"]]

    def only_seeds(self) -> Draws:
        """Return the same draws of seeds with every prompt counted equally: the seeds' share of the variance."""
        return Draws(self.seeds, {group: np.broadcast_to(w[:1], w.shape) for group, w in self.prompts.items()})

    def only_prompts(self) -> Draws:
        """Return the same draws of prompts with every seed counted equally: the prompts' share of the variance."""
        return Draws(np.broadcast_to(self.seeds[:1], self.seeds.shape), self.prompts)


def draw_resamples(
    n_seeds: int, prompts_per_group: Mapping[str, int], n_resamples: int, rng: np.random.Generator
) -> Draws:
    """Draw the weights of ``n_resamples`` resamples, after a first row of equal weights.

    From n seeds (and from the prompts of each group) n - 1 are drawn with replacement, not n: a mean over n - 1 draws
    has variance s² / n with the unbiased s², whereas n draws give (n - 1) / n of it, which with few seeds makes
    intervals too narrow (Rao and Wu 1988). A single seed or prompt keeps weight one: it has no variance to show.

    Seeds and prompts are resampled crosswise, as the pigeonhole bootstrap of Owen (2007): what seed and prompt have
    in common is counted more than once, so the intervals err on the wide side, most where every seed has prompts of
    its own. Percentile intervals still know nothing of Student's t: below about 8 seeds read them as too narrow.
    """

    def weights(n: int) -> Float64[np.ndarray, "draws n"]:
        uniform = np.full((1, n), 1 / n)
        if n == 1:
            return np.ones((n_resamples + 1, 1))
        counts = rng.multinomial(n - 1, uniform[0], size=n_resamples)
        return np.concatenate([uniform, counts / (n - 1)])

    return Draws(weights(n_seeds), {group: weights(n) for group, n in sorted(prompts_per_group.items())})


def mean_curve(
    values: Sequence[Float64[np.ndarray, "checkpoints prompts"]], groups: Sequence[str], draws: Draws
) -> Float64[np.ndarray, "draws checkpoints"]:
    """Average one agent's values over prompts, then over seeds, in every resample.

    Args:
        values: one array per seed, in the order of ``draws.seeds``.
        groups: the prompt group of each seed.
        draws: the resamples.
    """
    mean = np.zeros((len(draws.seeds), len(values[0])))
    for seed, (value, group) in enumerate(zip(values, groups, strict=True)):
        mean += draws.seeds[:, seed, None] * (draws.prompts[group] @ value.T)
    return mean


def area_weights(checkpoints: Int64[np.ndarray, " checkpoints"]) -> Float64[np.ndarray, " checkpoints"]:
    """Return the weights with which a curve's checkpoints enter its area against the logarithm of queries.

    The area is the trapezoid rule from 32 queries (or from the first positive checkpoint, if that is later) to the
    last checkpoint, divided by the length of that stretch, so that a constant curve's area is the constant. The weights
    sum to one. Where no stretch is left, the last checkpoint has all the weight.
    """
    weights = np.zeros(len(checkpoints))
    positions = np.flatnonzero(checkpoints > 0)
    if len(positions) < 2 or checkpoints[-1] <= AREA_START:
        weights[-1] = 1.0
        return weights
    log_queries = np.log(checkpoints[positions])
    start = max(np.log(AREA_START), log_queries[0])
    for left in range(len(positions) - 1):
        x0, x1 = log_queries[left], log_queries[left + 1]
        begin = max(x0, start)
        if begin >= x1:
            continue
        # The mean height over [begin, x1] of the segment through (x0, y0) and (x1, y1), as weights of y0 and y1.
        share = ((begin + x1) / 2 - x0) / (x1 - x0)
        weights[positions[left]] += (x1 - begin) * (1 - share)
        weights[positions[left + 1]] += (x1 - begin) * share
    return weights / (log_queries[-1] - start)


def area(
    win: Float64[np.ndarray, "draws checkpoints"],
    oracle: Float64[np.ndarray, " draws"],
    checkpoints: Int64[np.ndarray, " checkpoints"],
) -> Float64[np.ndarray, " draws"]:
    """Return the area under win rate against log queries, scaled so that 0 is a win rate of 0.5 and 1 the oracle's."""
    return (win @ area_weights(checkpoints) - 0.5) / (oracle - 0.5)


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % percentile interval; three arrays of one shape.

    Attributes:
        value: the estimate from the data as they are.
        low: 2.5 % quantile over the resamples.
        high: 97.5 % quantile over the resamples.
    """

    value: Float64[np.ndarray, "..."]
    low: Float64[np.ndarray, "..."]
    high: Float64[np.ndarray, "..."]

    @classmethod
    def of(cls, samples: Float64[np.ndarray, "draws ..."]) -> Interval:
        """Return the estimate (row 0) and the interval over the other rows."""
        low, high = np.quantile(samples[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        return cls(np.asarray(samples[0]), low, high)

    def __getitem__(self, index: int) -> Interval:
        return Interval(self.value[index], self.low[index], self.high[index])


def deviation(samples: Float64[np.ndarray, " draws"]) -> float:
    """Return the standard deviation over the resamples."""
    return float(samples[1:].std())
