"""Queries to a level of win rate, and how many times fewer than the passive baseline needs.

A curve's cost of a level is read from its isotonic fit, so that a lucky checkpoint does not count as an arrival; a
first crossing of the raw curve would give passive a large lead over itself. Costs that lie beyond the budget are
censored, and censoring is carried through to the interval: a ratio is a pair of bounds, equal where nothing is censored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float64, Int64

from duelgym_bench.statistics import ENDS, LEAST_SEEDS, order_statistic

if TYPE_CHECKING:
    from collections.abc import Mapping

Verdict = Literal["passed", "FAILED", "undetermined"]
FRACTIONS = (0.25, 0.5, 0.75, 0.9)
ORACLE_SHARES = (0.25, 0.5)
FINAL = "final"
CHECK_RANGE = (0.8, 1.25)
# Two isotonic fits of one curve differ by rounding; a level counts as reached within this.
_TOLERANCE = 1e-9


def isotonic_fit(curves: Float64[np.ndarray, "draws checkpoints"]) -> Float64[np.ndarray, "draws checkpoints"]:
    """Return the rising curves nearest in least squares to ``curves``, checkpoints weighted equally.

    The min-max formula (Robertson, Wright and Dykstra 1988, theorem 1.4.4): the fit at k is the largest over i <= k of
    the smallest over j >= k of the mean of points i to j.
    """
    n = curves.shape[1]
    sums = np.concatenate([np.zeros((len(curves), 1)), np.cumsum(curves, axis=1)], axis=1)
    i, j = np.arange(n)[:, None], np.arange(n)[None, :]
    means = np.where(i <= j, (sums[:, None, 1:] - sums[:, :-1, None]) / np.maximum(j - i + 1, 1), np.inf)
    smallest = np.minimum.accumulate(means[:, :, ::-1], axis=2)[:, :, ::-1]
    return np.where(i <= j, smallest, -np.inf).max(axis=1)


def queries_to_level(
    fits: Float64[np.ndarray, "draws checkpoints"],
    checkpoints: Int64[np.ndarray, " checkpoints"],
    levels: Float64[np.ndarray, " draws"],
) -> Float64[np.ndarray, " draws"]:
    """Return the fewest queries at which each rising curve reaches its level; infinity where it never does.

    Between checkpoints the win rate is taken as linear in the logarithm of the queries. Checkpoint 0 has none: it
    stands at half the first positive checkpoint, which is also the least number returned.

    Args:
        fits: isotonic fits.
        checkpoints: query counts, increasing.
        levels: the win rate to reach, one per curve.
    """
    positive = checkpoints[checkpoints > 0]
    log_queries = np.log(np.where(checkpoints > 0, checkpoints, (positive[0] if len(positive) else 1) / 2))
    reached = fits >= levels[:, None] - _TOLERANCE
    first = reached.argmax(axis=1)
    before = np.maximum(first - 1, 0)
    row = np.arange(len(fits))
    rise = fits[row, first] - fits[row, before]
    share = np.where(first > 0, (levels - fits[row, before]) / np.where(rise > 0, rise, 1.0), 0.0)
    log_cost = log_queries[before] + np.clip(share, 0.0, 1.0) * (log_queries[first] - log_queries[before])
    return np.where(reached.any(axis=1), np.exp(log_cost), np.inf)


def passive_levels(
    fits: Float64[np.ndarray, "draws checkpoints"], supervised: Float64[np.ndarray, " draws"] | None
) -> dict[str, Float64[np.ndarray, " draws"]]:
    """Return the levels that costs are read at, in every resample.

    ``"final"`` is the baseline's last fitted win rate; ``"25%"`` to ``"90%"`` lie that far on the way from the start,
    which is the baseline's fitted win rate at the first checkpoint (no query), to the supervised reference.
    """
    levels = {FINAL: fits[:, -1]}
    if supervised is not None:
        for fraction in FRACTIONS:
            levels[f"{fraction:.0%}"] = fits[:, 0] + fraction * (supervised - fits[:, 0])
    return levels


def oracle_levels(oracle: Float64[np.ndarray, " draws"]) -> dict[str, Float64[np.ndarray, " draws"]]:
    """Return the levels that suites compare, in every resample: ``"25%"`` and ``"50%"`` of the way from 0.5 to the oracle."""
    return {f"{share:.0%}": 0.5 + share * (oracle - 0.5) for share in ORACLE_SHARES}


@dataclass(frozen=True)
class Ratio:
    """How many times fewer queries an agent needs than passive, as bounds where censoring leaves only bounds.

    A resample in which the agent does not reach the level lies between 0 and T_passive / budget; one in which passive
    does not lies between budget / T_agent and infinity; one in which neither does, between 0 and infinity.

    Attributes:
        median: lower and upper bound of the median over the resamples; equal where censoring does not touch it.
        low: lower end of the 95 % interval, every resample taken at its lower bound: 0 where the agent did not arrive.
        high: upper end, every resample taken at its upper bound: infinite where passive did not arrive.
    """

    median: tuple[float, float]
    low: float
    high: float

    @property
    def exact(self) -> bool:
        """Whether the median is a number rather than two bounds."""
        return self.median[0] == self.median[1]


Bounds = tuple[Float64[np.ndarray, " draws"], Float64[np.ndarray, " draws"]]


def ratio_bounds(passive: Float64[np.ndarray, " draws"], agent: Float64[np.ndarray, " draws"], budget: int) -> Bounds:
    """Return the lower and upper bound of T_passive / T_agent in every resample.

    Args:
        passive: queries to the level, in each resample; infinite where it is not reached.
        agent: the same for the agent.
        budget: the last checkpoint, which bounds a cost that is not reached from below.
    """
    lower = np.where(np.isinf(agent), 0.0, np.minimum(passive, budget) / agent)
    upper = np.where(np.isinf(passive), np.inf, passive / np.minimum(agent, budget))
    return lower, upper


def both_ways(one: Bounds, other: Bounds) -> Bounds:
    """Return the geometric mean of two ratios within their bounds: a lead that is chance alone cancels in it."""
    (lower, upper), (other_lower, other_upper) = one, other
    unbounded = np.isinf(upper) | np.isinf(other_upper)
    finite = np.sqrt(np.where(unbounded, 1.0, upper) * np.where(unbounded, 1.0, other_upper))
    return np.sqrt(lower * other_lower), np.where(unbounded, np.inf, finite)


def ratio(bounds: Bounds) -> Ratio:
    """Return median and interval over the resamples (row 0, the data as they are, is left out)."""
    lower, upper = bounds[0][1:], bounds[1][1:]
    return Ratio(
        median=(order_statistic(lower, 0.5), order_statistic(upper, 0.5)),
        low=order_statistic(lower, ENDS[0]),
        high=order_statistic(upper, ENDS[1]),
    )


@dataclass(frozen=True)
class Check:
    """Passive against itself: whether the measure gives a lead to an agent that has none.

    Attributes:
        replica: the agent compared with the baseline.
        ratios: level -> ratio, as the geometric mean of both ways: baseline over replica, with the baseline's levels, and
            replica over baseline, with the replica's. One way alone would also fail by chance, whenever one of two
            equal agents happens to learn faster; that cancels, and a lead that the measure gives to passive does not.
        levels: level -> ``"passed"`` if the median lies in 0.8 to 1.25 and the interval covers 1; all are
            ``"undetermined"`` where there are fewer than :data:`~duelgym_bench.statistics.LEAST_SEEDS` seeds.
        level: the level that decided, or None: the final one or, where its bounds leave it open, the highest that can.
        verdict: at that level.
    """

    replica: str
    ratios: Mapping[str, Ratio]
    levels: Mapping[str, Verdict]
    level: str | None
    verdict: Verdict


def check_passive(replica: str, ratios: Mapping[str, Ratio], n_seeds: int) -> Check:
    """Judge passive against itself.

    Args:
        replica: name of the replica.
        ratios: level -> ratio of both ways, the levels rising after ``"final"``, as :func:`passive_levels` gives them.
        n_seeds: seeds that the ratios are over.
    """
    enough = n_seeds >= LEAST_SEEDS
    levels: dict[str, Verdict] = {
        level: _verdict(value) if enough else "undetermined" for level, value in ratios.items()
    }
    by_rank = (FINAL, *(level for level in reversed(list(ratios)) if level != FINAL))
    deciding = next((level for level in by_rank if levels[level] != "undetermined"), None)
    return Check(replica, ratios, levels, deciding, levels[deciding] if deciding else "undetermined")


def _verdict(value: Ratio) -> Verdict:
    least, most = value.median
    if most < CHECK_RANGE[0] or least > CHECK_RANGE[1]:
        return "FAILED"
    if CHECK_RANGE[0] <= least and most <= CHECK_RANGE[1]:
        return "passed" if value.low <= 1 <= value.high else "FAILED"
    return "undetermined"
