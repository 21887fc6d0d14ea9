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
ENDS = (1 - LEVEL) / 2, (1 + LEVEL) / 2
AREA_START = 32
LEAST_SEEDS = 5
"""With fewer, a resample that leaves out three is of one seed, from which a comparison of runs with runs is all or nothing."""
N_RESAMPLES = 2000


@dataclass(frozen=True)
class Draws:
    """Weights of bootstrap resamples; each row sums to one, row 0 is uniform.

    Attributes:
        seeds: weight of each seed.
        prompts: prompt group -> weight of each assessment prompt of the group.
        groups: the prompt group of each seed.
    """

    seeds: Float64[np.ndarray, "draws seeds"]
    prompts: Mapping[str, Float64[np.ndarray, "draws prompts"]]
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Resamples:
    """The draws of a bootstrap, each for its use; the prompts' weights are common to all.

    Attributes:
        light: seeds and prompts, n - 3 of n seeds: for percentile intervals of what is not a mean.
        full: seeds and prompts, n of n seeds: for studentised intervals of means.
        shared: seeds alike, prompts as above: what the seeds of a group have in common.
        seeds: the seeds of ``light`` alone.
        prompts: prompts alone, at full weight.
    """

    light: Draws
    full: Draws
    shared: Draws
    seeds: Draws
    prompts: Draws


def draw_resamples(
    groups: Sequence[str], sizes: Mapping[str, int], n_resamples: int, rng: np.random.Generator
) -> Resamples:
    """Draw the weights of ``n_resamples`` resamples, after a first row of equal weights.

    Seeds are drawn with replacement, and crosswise with them the prompts of each group (the pigeonhole bootstrap, Owen
    2007). Two things keep the intervals honest, both checked by simulation in the tests:

    * For percentile intervals, of n seeds, or prompts, n - 3 are drawn (at least one). n draws would give a mean
      (n - 1) / n of the variance s² / n; n - 3 give it (n - 1) / (n - 3), the variance of Student's t with n - 1 degrees
      of freedom. With fewer than 4 seeds intervals are nevertheless too narrow; a single seed has no variance to show.
    * A seed brings its prompts with it, so drawing seeds already draws prompts; only what the R seeds of a group share
      has to be drawn on top. The weights of prompts are therefore drawn towards equal ones by the factor
      sqrt(1 - 1/R), without which the variance of prompts counts up to twice. (A single seed: factor 1.)

    Args:
        groups: the prompt group of each seed.
        sizes: prompt group -> number of assessment prompts.
        n_resamples: number of resamples.
        rng: source of the draws.
    """
    n_seeds = len(groups)
    seeds = _weights(n_seeds, n_resamples, rng, leave=3)
    full = {group: _weights(n, n_resamples, rng, leave=3) for group, n in sorted(sizes.items())}
    even = {group: np.broadcast_to(weights[:1], weights.shape) for group, weights in full.items()}
    drawn = {}
    for group, weights in full.items():
        share = 1.0 if len(groups) == 1 else np.sqrt(1 - 1 / groups.count(group))
        drawn[group] = share * weights + (1 - share) * even[group]
    names = tuple(groups)
    alike = np.broadcast_to(seeds[:1], seeds.shape)
    return Resamples(
        light=Draws(seeds, drawn, names),
        full=Draws(_weights(n_seeds, n_resamples, rng, leave=0), drawn, names),
        shared=Draws(alike, drawn, names),
        seeds=Draws(seeds, even, names),
        prompts=Draws(alike, full, names),
    )


def draw_strata(
    sizes: Sequence[int], n_resamples: int, rng: np.random.Generator, *, leave: int = 3, alike: bool = False
) -> Float64[np.ndarray, "draws all_seeds"]:
    """Draw the weights of seeds of several experiments, each experiment's from its own alone: the stratified bootstrap.

    Args:
        sizes: number of seeds of each experiment.
        n_resamples: number of resamples, after a first row that weighs the seeds of an experiment equally.
        rng: source of the draws.
        leave: how many seeds fewer than there are each resample draws; see :func:`draw_resamples`.
        alike: whether experiments with equally many seeds draw the same ones, as they must where a seed is one rater and
            one set of questions in all of them.

    Returns:
        The experiments' weights side by side; each experiment's sum to one part in their number.
    """
    if alike:
        drawn = {n: _weights(n, n_resamples, rng, leave=leave) for n in sorted(set(sizes))}
        weights = [drawn[n] for n in sizes]
    else:
        weights = [_weights(n, n_resamples, rng, leave=leave) for n in sizes]
    return np.concatenate(weights, axis=1) / len(weights)


def _weights(n: int, n_resamples: int, rng: np.random.Generator, *, leave: int) -> Float64[np.ndarray, "draws n"]:
    n_drawn = max(1, n - leave)
    counts = rng.multinomial(n_drawn, np.full(n, 1 / n), size=n_resamples)
    return np.concatenate([np.full((1, n), 1 / n), counts / n_drawn])


def mean_curve(
    values: Sequence[Float64[np.ndarray, "checkpoints prompts"]], draws: Draws
) -> Float64[np.ndarray, "draws checkpoints"]:
    """Average one agent's values over prompts, then over seeds, in every resample.

    Args:
        values: one array per seed, in the order of ``draws.seeds``.
        draws: the resamples.
    """
    mean = np.zeros((len(draws.seeds), len(values[0])))
    for seed, (value, group) in enumerate(zip(values, draws.groups, strict=True)):
        mean += draws.seeds[:, seed, None] * (draws.prompts[group] @ value.T)
    return mean


def area_weights(checkpoints: Int64[np.ndarray, " checkpoints"]) -> Float64[np.ndarray, " checkpoints"]:
    """Return the weights with which a curve's checkpoints enter its area against the logarithm of queries.

    The area is the trapezoid rule from 32 queries to the last checkpoint, divided by the length of that stretch, so that a
    constant curve's area is the constant. Up to a first positive checkpoint beyond 32, which larger batches have, an agent
    has learnt nothing: there the curve has the height of checkpoint 0, so that large batches pay for their wait. The
    weights sum to one. Where no stretch is left, or there is one positive checkpoint, the last has all the weight.
    """
    weights = np.zeros(len(checkpoints))
    positions = np.flatnonzero(checkpoints > 0)
    if len(positions) < 2 or checkpoints[-1] <= AREA_START:
        weights[-1] = 1.0
        return weights
    log_queries = np.log(checkpoints[positions])
    start = np.log(AREA_START)
    weights[0] += max(0.0, log_queries[0] - start)
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
    """An estimate with its 95 % interval; three arrays of one shape.

    Attributes:
        value: the estimate from the data as they are.
        low: lower end.
        high: upper end.
    """

    value: Float64[np.ndarray, "*shape"]
    low: Float64[np.ndarray, "*shape"]
    high: Float64[np.ndarray, "*shape"]

    @classmethod
    def of(cls, samples: Float64[np.ndarray, "draws ..."]) -> Interval:
        """Return the estimate (row 0) and the percentile interval over the other rows."""
        low, high = np.quantile(samples[1:], ENDS, axis=0)
        return cls(np.asarray(samples[0]), low, high)

    @classmethod
    def of_censored(cls, samples: Float64[np.ndarray, " draws"]) -> Interval:
        """Return the same of one number that may be infinite, i.e. beyond what was observed, in any row."""
        low, high = (order_statistic(samples[1:], end) for end in ENDS)
        return cls(np.asarray(samples[0]), np.asarray(low), np.asarray(high))

    @classmethod
    def of_runs(cls, samples: Float64[np.ndarray, " draws"], n_seeds: int) -> Interval:
        """Return the same of a comparison of runs with runs; without ends (NaN) where there are too few seeds for any."""
        found = cls.of(samples)
        return found if n_seeds >= LEAST_SEEDS else cls(found.value, np.asarray(np.nan), np.asarray(np.nan))

    def __getitem__(self, index: int) -> Interval:
        return Interval(self.value[index], self.low[index], self.high[index])


def deviation(samples: Float64[np.ndarray, " draws"]) -> float:
    """Return the standard deviation over the resamples."""
    return float(samples[1:].std())


def order_statistic(samples: Float64[np.ndarray, " draws"], share: float) -> float:
    """Return the sample below which ``share`` of them lie; interpolating would make NaN of two infinities."""
    return float(np.sort(samples)[min(int(share * len(samples)), len(samples) - 1)])
