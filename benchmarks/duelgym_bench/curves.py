"""Every number of a report: curves with intervals, paired differences, ratios, shares of the variance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int64

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duelgym_bench.power_law import PowerLaw
    from duelgym_bench.ratio import Check, Ratio
    from duelgym_bench.statistics import Interval

ORACLE = "oracle"
SUPERVISED = "supervised reference"


@dataclass(frozen=True)
class AgentSummary:
    """One agent's curves over the checkpoints, and what it cost.

    Attributes:
        agent: name.
        rule: exploration rule, or None.
        reward_model: reward model, or None.
        win: win rate against a uniformly drawn other candidate.
        win_reference: win rate against the pool's reference response, or None.
        common: win rate of the common learner, or None.
        simple_regret: regret of the recommendation, in win probability.
        regret: cumulative average, strong and weak regret, in win probability.
        area: area under ``win`` against log queries, 0 = 0.5 and 1 = the oracle's.
        area_iqm: interquartile mean over seeds of the same.
        areas: the same of each seed's run.
        queries_to: ``"25%"`` and ``"50%"`` of the way from a win rate of 0.5 to the oracle's -> queries that it takes;
            infinite where the budget does not suffice.
        profile: share of runs whose area is above each of the summary's ``thresholds``.
        fit: of the power law to ``win``; None where the curve does not rise, or is too short.
        counters: mean count per run.
        seconds_per_1000: mean wall time per 1 000 queries (``assess``: of all assessments of a run, likewise).
        labels: ``"gap"`` and ``"bits"`` of the queried pairs, averaged over the labels so far; NaN before the first.
        excess_nll: ``"marginal"`` and ``"dyadic"``, over the checkpoints, in nats; empty where a run did not report it.
        excess_nll_mean: the same, averaged over log queries as in ``area``.
        accuracy: ``"random"`` and ``"best"``, over the checkpoints; empty where a run did not report it.
        accuracy_mean: the same, averaged over log queries.
    """

    agent: str
    rule: str | None
    reward_model: str | None
    win: Interval
    win_reference: Interval | None
    common: Interval | None
    simple_regret: Interval
    regret: Mapping[str, Interval]
    area: Interval
    area_iqm: Interval
    areas: Float64[np.ndarray, " seeds"]
    queries_to: Mapping[str, Interval]
    profile: Interval
    fit: PowerLaw | None
    counters: Mapping[str, float]
    seconds_per_1000: Mapping[str, float]
    labels: Mapping[str, Interval]
    excess_nll: Mapping[str, Interval]
    excess_nll_mean: Mapping[str, Interval]
    accuracy: Mapping[str, Interval]
    accuracy_mean: Mapping[str, Interval]


@dataclass(frozen=True)
class ReferenceSummary:
    """A ceiling or a policy that asks nothing: its win rate, and where known that against the reference response."""

    name: str
    win: Interval
    win_reference: Interval | None
    area: Interval


@dataclass(frozen=True)
class Difference:
    """Paired difference of two agents: ``agent`` minus ``against``, on the same seeds and prompts.

    Attributes:
        agent: the first agent.
        against: the second: a passive one, or another that was asked for.
        reward_model: the reward model that both use; None where they differ in more than the rule.
        win: difference of win rates over the checkpoints.
        area: difference of areas.
        improvement: probability that a run of ``agent`` has a larger area than an independent one of ``against``; with fewer
            than :data:`~duelgym_bench.statistics.LEAST_SEEDS` seeds its interval has no ends.
    """

    agent: str
    against: str
    reward_model: str | None
    win: Interval
    area: Interval
    improvement: Interval


@dataclass(frozen=True)
class Components:
    """Standard deviations at the last checkpoint from seeds alone and prompts alone, and from both."""

    name: str
    seeds: float
    prompts: float
    both: float


@dataclass(frozen=True)
class Summary:
    """Every number of a report.

    Attributes:
        checkpoints: query counts of all curves.
        thresholds: areas at which ``profile`` is given, even from below the least of any run to the greatest.
        columns: positions in ``checkpoints`` that tables show.
        n_seeds: number of seed indices.
        n_prompts: number of different assessment prompts over all groups.
        agents: in order of first appearance.
        references: the oracle, the supervised reference if there is one, then the zero-query policies.
        differences: at equal reward model first, then against the baseline and others.
        levels: name -> win rate of the level.
        ratios: agent -> level -> ratio to the baseline.
        check: the baseline against its replica; None without a replica.
        components: variance at the last checkpoint, of agents and of differences.
    """

    checkpoints: Int64[np.ndarray, " checkpoints"]
    thresholds: Float64[np.ndarray, " thresholds"]
    columns: tuple[int, ...]
    n_seeds: int
    n_prompts: int
    agents: tuple[AgentSummary, ...]
    references: tuple[ReferenceSummary, ...]
    differences: tuple[Difference, ...]
    levels: Mapping[str, Interval]
    ratios: Mapping[str, Mapping[str, Ratio]]
    check: Check | None
    components: tuple[Components, ...]

    @property
    def budget(self) -> int:
        """Queries at the last checkpoint."""
        return int(self.checkpoints[-1])


def is_replica(agent: str, baseline: str) -> bool:
    """Whether ``agent`` is the baseline again, with another seed of its own."""
    return agent.startswith(f"{baseline}@")
