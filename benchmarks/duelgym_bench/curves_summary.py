"""From scored runs to every number of a report, all from one set of resamples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float64, Int64

from duelgym_bench.aggregate import improvement, interquartile_mean, profile, seed_areas
from duelgym_bench.curves import (
    ORACLE,
    SUPERVISED,
    AgentSummary,
    Components,
    Difference,
    ReferenceSummary,
    Summary,
)
from duelgym_bench.paired import aligned, comparisons
from duelgym_bench.power_law import power_law
from duelgym_bench.ratio import (
    Check,
    Ratio,
    both_ways,
    check_passive,
    isotonic_fit,
    oracle_levels,
    passive_levels,
    queries_to_level,
    ratio,
    ratio_bounds,
)
from duelgym_bench.scored import References, Results, RunScores
from duelgym_bench.statistics import (
    N_RESAMPLES,
    Draws,
    Interval,
    Resamples,
    area,
    area_weights,
    deviation,
    draw_resamples,
    mean_curve,
)
from duelgym_bench.studentised import Mean

N_THRESHOLDS = 100
COLUMNS = (640, 1280, 3200, 6400, 32000, 40000)


def summarise(
    results: Results, *, against: Sequence[str] = (), n_resamples: int = N_RESAMPLES, seed: int = 0
) -> Summary:
    """Compute every number of a report; equal arguments give equal numbers.

    Args:
        results: scored runs. Every agent needs one run on every seed index, with equal checkpoints and prompt groups.
        against: agents from which all others are subtracted too, whatever their reward models, beside the baseline.
        n_resamples: bootstrap resamples.
        seed: seed of the bootstrap.

    Raises:
        DuelgymError: there are no runs, no baseline, or runs that do not fit together; an agent of ``against`` has none.
    """
    runs, sizes = aligned(results)
    first = runs[results.baseline]
    checkpoints = first[0].checkpoints
    resamples = draw_resamples([run.prompt_group for run in first], sizes, n_resamples, np.random.default_rng(seed))
    wins = {agent: Mean.over_prompts([run.win for run in of], resamples) for agent, of in runs.items()}
    references = reference_means(results.references, first, resamples)
    oracle, light = references[ORACLE], resamples.light
    areas = {
        agent: win.formula(lambda win, oracle: area(win, oracle, checkpoints), oracle) for agent, win in wins.items()
    }
    by_seed = {
        agent: seed_areas([run.win for run in of], oracle.light, checkpoints, light) for agent, of in runs.items()
    }
    least, most = (float(of([areas[0] for areas in by_seed.values()])) for of in (np.min, np.max))
    thresholds = np.linspace(least - 0.02 * (most - least), most, N_THRESHOLDS)
    pairs = comparisons(runs, results.baseline, against)
    fits = {agent: isotonic_fit(win.light) for agent, win in wins.items()}
    supervised = references[SUPERVISED].light if SUPERVISED in references else None
    levels = passive_levels(fits[results.baseline], supervised)
    queries_to = {
        agent: {
            name: Interval.of_censored(queries_to_level(fit, checkpoints, level))
            for name, level in oracle_levels(oracle.light).items()
        }
        for agent, fit in fits.items()
    }
    ratios = _ratios(fits, levels, checkpoints, results.baseline)
    replica = f"{results.baseline}@1"
    return Summary(
        checkpoints=checkpoints,
        thresholds=thresholds,
        columns=table_columns(checkpoints),
        n_seeds=len(first),
        n_prompts=sum(sizes.values()),
        agents=tuple(
            _agent(of, wins[agent], areas[agent], by_seed[agent], queries_to[agent], thresholds, resamples)
            for agent, of in runs.items()
        ),
        references=_references(results.references, references, first, resamples),
        differences=tuple(
            Difference(
                agent,
                other,
                model,
                (wins[agent] - wins[other]).interval(resamples),
                (areas[agent] - areas[other]).interval(resamples),
                Interval.of_runs(improvement(by_seed[agent], by_seed[other], light.seeds), len(first)),
            )
            for agent, other, model in pairs
        ),
        levels={name: Interval.of(level) for name, level in levels.items()},
        ratios=ratios,
        check=_check(replica, fits, supervised, checkpoints, results.baseline, len(first)),
        components=_components(runs, pairs, resamples),
    )


def table_columns(checkpoints: Int64[np.ndarray, " checkpoints"]) -> tuple[int, ...]:
    """Return the positions of the checkpoints that tables show: the customary ones, or four evenly spaced in rank."""
    customary = [int(k) for k in np.flatnonzero(np.isin(checkpoints, COLUMNS))]
    if len(customary) >= 3:
        return tuple(customary)
    positive = np.flatnonzero(checkpoints > 0)
    if not len(positive):
        return (len(checkpoints) - 1,)
    return tuple(int(k) for k in np.unique(positive[np.round(np.linspace(0, len(positive) - 1, 4)).astype(int)]))


def _policy_mean(
    wins: Sequence[Float64[np.ndarray, " prompts"]], runs: Sequence[RunScores], resamples: Resamples
) -> Mean:
    """Return the mean win rate of a policy that asks nothing, on the seeds and prompts of ``runs``."""
    each = Mean.over_prompts([wins[run.seed_index][None] for run in runs], resamples)
    return each.formula(lambda rows: rows[:, 0])


def reference_means(references: References, runs: Sequence[RunScores], resamples: Resamples) -> dict[str, Mean]:
    """Return the mean win rates of the oracle, the supervised reference and the policies that ask nothing.

    Args:
        references: win rates per prompt.
        runs: those of one agent, whose seeds and prompts the means are over.
        resamples: of these seeds and prompts.
    """
    return {name: _policy_mean(of, runs, resamples) for name, of in reference_wins(references).items()}


def reference_wins(references: References) -> dict[str, Sequence[Float64[np.ndarray, " prompts"]]]:
    """Return win rates per prompt, one array a seed, of the oracle, the supervised reference (if any) and every policy."""
    wins = {ORACLE: references.oracle}
    if references.supervised is not None:
        wins[SUPERVISED] = references.supervised
    return {**wins, **references.policies}


def _references(
    references: References, means: Mapping[str, Mean], runs: Sequence[RunScores], resamples: Resamples
) -> tuple[ReferenceSummary, ...]:
    against = references.policies_reference or {}
    return tuple(
        ReferenceSummary(
            name=name,
            win=mean.interval(resamples),
            win_reference=(
                _policy_mean(against[name], runs, resamples).interval(resamples) if name in against else None
            ),
            # A policy that asks nothing has a level curve, whose area is its height.
            area=mean.formula(lambda win, oracle: (win - 0.5) / (oracle - 0.5), means[ORACLE]).interval(resamples),
        )
        for name, mean in means.items()
    )


def _agent(
    of: Sequence[RunScores],
    win: Mean,
    area_mean: Mean,
    by_seed: Float64[np.ndarray, "draws seeds"],
    queries_to: Mapping[str, Interval],
    thresholds: Float64[np.ndarray, " thresholds"],
    resamples: Resamples,
) -> AgentSummary:
    def over_prompts(
        values: Callable[[RunScores], Float64[np.ndarray, "checkpoints prompts"] | None],
    ) -> Interval | None:
        present = [value for run in of if (value := values(run)) is not None]
        return Mean.over_prompts(present, resamples).interval(resamples) if len(present) == len(of) else None

    def over_seeds(values: Callable[[RunScores], Mapping[str, Float64[np.ndarray, " checkpoints"]]]) -> dict[str, Mean]:
        kinds = [kind for kind in values(of[0]) if all(kind in values(run) for run in of)]
        return {kind: Mean.over_seeds([values(run)[kind] for run in of], resamples) for kind in kinds}

    queries = max(int(of[0].checkpoints[-1]), 1)
    excess_nll, accuracy = over_seeds(lambda run: run.excess_nll), over_seeds(lambda run: run.accuracy)
    weights, asked = area_weights(of[0].checkpoints), np.where(of[0].checkpoints > 0, of[0].checkpoints, np.nan)

    def per_label(rows: Float64[np.ndarray, "rows checkpoints"]) -> Float64[np.ndarray, "rows checkpoints"]:
        return rows / asked

    def over_log_queries(rows: Float64[np.ndarray, "rows checkpoints"]) -> Float64[np.ndarray, " rows"]:
        return rows @ weights

    def intervals(means: Mapping[str, Mean]) -> dict[str, Interval]:
        return {kind: mean.interval(resamples) for kind, mean in means.items()}

    return AgentSummary(
        agent=of[0].agent,
        rule=of[0].rule,
        reward_model=of[0].reward_model,
        win=win.interval(resamples),
        win_reference=over_prompts(lambda run: run.win_reference),
        common=over_prompts(lambda run: run.common),
        simple_regret=Mean.over_prompts([run.simple_regret for run in of], resamples).interval(resamples),
        regret=intervals(over_seeds(lambda run: run.regret)),
        area=area_mean.interval(resamples),
        area_iqm=Interval.of(interquartile_mean(by_seed, resamples.light.seeds)),
        areas=by_seed[0],
        queries_to=queries_to,
        profile=Interval.of(profile(by_seed, resamples.light.seeds, thresholds)),
        fit=power_law(win.light, of[0].checkpoints),
        counters=_means([run.counters for run in of]),
        seconds_per_1000={part: mean * 1000 / queries for part, mean in _means([run.seconds for run in of]).items()},
        labels=intervals({kind: sums.formula(per_label) for kind, sums in over_seeds(lambda run: run.labels).items()}),
        excess_nll=intervals(excess_nll),
        excess_nll_mean=intervals({kind: mean.formula(over_log_queries) for kind, mean in excess_nll.items()}),
        accuracy=intervals(accuracy),
        accuracy_mean=intervals({kind: mean.formula(over_log_queries) for kind, mean in accuracy.items()}),
    )


def _means(reports: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the means over runs of what every run reports."""
    names = [name for name in reports[0] if all(name in report for report in reports)]
    return {name: float(np.mean([report[name] for report in reports])) for name in names}


def _ratios(
    fits: Mapping[str, Float64[np.ndarray, "draws checkpoints"]],
    levels: Mapping[str, Float64[np.ndarray, " draws"]],
    checkpoints: Int64[np.ndarray, " checkpoints"],
    baseline: str,
) -> dict[str, dict[str, Ratio]]:
    costs = {
        agent: {name: queries_to_level(fit, checkpoints, level) for name, level in levels.items()}
        for agent, fit in fits.items()
    }
    return {
        agent: {name: ratio(ratio_bounds(costs[baseline][name], cost[name], int(checkpoints[-1]))) for name in levels}
        for agent, cost in costs.items()
        if agent != baseline
    }


def _check(
    replica: str,
    fits: Mapping[str, Float64[np.ndarray, "draws checkpoints"]],
    supervised: Float64[np.ndarray, " draws"] | None,
    checkpoints: Int64[np.ndarray, " checkpoints"],
    baseline: str,
    n_seeds: int,
) -> Check | None:
    if replica not in fits:
        return None
    ways = []
    for passive, other in ((baseline, replica), (replica, baseline)):
        levels = passive_levels(fits[passive], supervised)
        costs = [
            {name: queries_to_level(fits[agent], checkpoints, level) for name, level in levels.items()}
            for agent in (passive, other)
        ]
        ways.append({name: ratio_bounds(costs[0][name], costs[1][name], int(checkpoints[-1])) for name in levels})
    ratios = {name: ratio(both_ways(ways[0][name], ways[1][name])) for name in ways[0]}
    return check_passive(replica, ratios, n_seeds)


def _components(
    runs: Mapping[str, Sequence[RunScores]], pairs: Sequence[tuple[str, str, str | None]], resamples: Resamples
) -> tuple[Components, ...]:
    """Return the shares of the variance at the last checkpoint: of every agent, then of every difference."""

    def final(of: Draws) -> dict[str, Float64[np.ndarray, " draws"]]:
        last = {agent: mean_curve([run.win[-1:] for run in own], of)[:, 0] for agent, own in runs.items()}
        return {**last, **{f"{agent} - {against}": last[agent] - last[against] for agent, against, _ in pairs}}

    parts = final(resamples.seeds), final(resamples.prompts), final(resamples.light)
    return tuple(Components(name, *(deviation(part[name]) for part in parts)) for name in parts[0])
