"""From scored runs to every number of a report, all from one set of resamples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Float64, Int64

from duelgym.errors import DuelgymError
from duelgym_bench.aggregate import improvement, interquartile_mean, seed_areas
from duelgym_bench.curves import (
    ORACLE,
    SUPERVISED,
    AgentSummary,
    Components,
    Difference,
    ReferenceSummary,
    Summary,
    is_replica,
)
from duelgym_bench.ratio import (
    Check,
    Ratio,
    both_ways,
    check_passive,
    isotonic_fit,
    passive_levels,
    queries_to_level,
    ratio,
    ratio_bounds,
)
from duelgym_bench.scored import References, Results, RunScores
from duelgym_bench.statistics import Draws, Interval, area, area_weights, deviation, draw_resamples, mean_curve

COLUMNS = (640, 1280, 3200, 6400, 32000, 40000)
N_RESAMPLES = 2000


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
    runs, sizes = _aligned(results)
    first = runs[results.baseline]
    checkpoints = first[0].checkpoints
    resamples = draw_resamples([run.prompt_group for run in first], sizes, n_resamples, np.random.default_rng(seed))
    draws = resamples[0]
    wins = {agent: mean_curve([run.win for run in of], draws) for agent, of in runs.items()}
    references = _reference_means(results.references, draws)
    areas = {agent: area(win, references[ORACLE], checkpoints) for agent, win in wins.items()}
    by_seed = {
        agent: seed_areas([run.win for run in of], references[ORACLE], checkpoints, draws) for agent, of in runs.items()
    }
    pairs = _comparisons(runs, results.baseline, against)
    fits = {agent: isotonic_fit(win) for agent, win in wins.items()}
    levels = passive_levels(fits[results.baseline], references.get(SUPERVISED))
    ratios = _ratios(fits, levels, checkpoints, results.baseline)
    replica = f"{results.baseline}@1"
    return Summary(
        checkpoints=checkpoints,
        columns=table_columns(checkpoints),
        n_seeds=len(first),
        n_prompts=sum(sizes.values()),
        agents=tuple(_agent(of, wins[agent], areas[agent], by_seed[agent], draws) for agent, of in runs.items()),
        references=_references(results.references, references, draws),
        differences=tuple(
            Difference(
                agent,
                other,
                model,
                Interval.of(wins[agent] - wins[other]),
                Interval.of(areas[agent] - areas[other]),
                Interval.of(improvement(by_seed[agent], by_seed[other], draws.seeds)),
            )
            for agent, other, model in pairs
        ),
        levels={name: Interval.of(level) for name, level in levels.items()},
        ratios=ratios,
        check=_check(replica, fits, references.get(SUPERVISED), checkpoints, results.baseline),
        components=_components(runs, pairs, *resamples),
    )


def check_against(against: Sequence[str], agents: Iterable[str]) -> None:
    """Refuse to subtract an agent that is not there.

    Raises:
        DuelgymError: naming it, and those that are.
    """
    there = tuple(agents)
    for other in against:
        if other not in there:
            raise DuelgymError(f"{other!r} is not among the agents; there are runs of {', '.join(there)}")


def table_columns(checkpoints: Int64[np.ndarray, " checkpoints"]) -> tuple[int, ...]:
    """Return the positions of the checkpoints that tables show: the customary ones, or four evenly spaced in rank."""
    customary = [int(k) for k in np.flatnonzero(np.isin(checkpoints, COLUMNS))]
    if len(customary) >= 3:
        return tuple(customary)
    positive = np.flatnonzero(checkpoints > 0)
    if not len(positive):
        return (len(checkpoints) - 1,)
    return tuple(int(k) for k in np.unique(positive[np.round(np.linspace(0, len(positive) - 1, 4)).astype(int)]))


def _aligned(results: Results) -> tuple[dict[str, list[RunScores]], dict[str, int]]:
    """Return each agent's runs in the order of seed indices, and the number of prompts of each group."""
    runs: dict[str, list[RunScores]] = {}
    for run in results.runs:
        runs.setdefault(run.agent, []).append(run)
    if results.baseline not in runs:
        raise DuelgymError(
            f"the baseline {results.baseline!r} is not among the agents ({', '.join(runs) or 'there are no runs'}); "
            "ratios and differences need it: run it on the same seeds"
        )
    for of in runs.values():
        of.sort(key=lambda run: run.seed_index)
    base = runs[results.baseline]
    for agent, of in runs.items():
        if [run.seed_index for run in of] != [run.seed_index for run in base]:
            raise DuelgymError(
                f"{agent} has runs on seed indices {[run.seed_index for run in of]}, {results.baseline} on "
                f"{[run.seed_index for run in base]}; comparisons are paired: finish the missing runs"
            )
        for run, other in zip(of, base, strict=True):
            same = np.array_equal(run.checkpoints, other.checkpoints) and run.prompt_group == other.prompt_group
            if not same or run.win.shape != other.win.shape:
                raise DuelgymError(
                    f"{agent} and {results.baseline} were assessed at different checkpoints or on different prompts "
                    f"at seed index {run.seed_index}; run both with the same settings"
                )
    sizes: dict[str, int] = {}
    for run in base:
        if sizes.setdefault(run.prompt_group, run.win.shape[1]) != run.win.shape[1]:
            raise DuelgymError(
                f"runs of prompt group {run.prompt_group!r} have different numbers of assessment prompts"
            )
        if not np.array_equal(run.checkpoints, base[0].checkpoints):
            raise DuelgymError(f"seed index {run.seed_index} was assessed at other checkpoints than the first one")
    return runs, sizes


def _policy_mean(wins: Mapping[str, Float64[np.ndarray, " prompts"]], draws: Draws) -> Float64[np.ndarray, " draws"]:
    return mean_curve([wins[group][None] for group in draws.groups], draws)[:, 0]


def _reference_means(references: References, draws: Draws) -> dict[str, Float64[np.ndarray, " draws"]]:
    wins = {ORACLE: references.oracle}
    if references.supervised is not None:
        wins[SUPERVISED] = references.supervised
    return {name: _policy_mean(of, draws) for name, of in {**wins, **references.policies}.items()}


def _references(
    references: References,
    means: Mapping[str, Float64[np.ndarray, " draws"]],
    draws: Draws,
) -> tuple[ReferenceSummary, ...]:
    against = references.policies_reference or {}
    return tuple(
        ReferenceSummary(
            name=name,
            win=Interval.of(mean),
            win_reference=Interval.of(_policy_mean(against[name], draws)) if name in against else None,
            # A policy that asks nothing has a level curve, whose area is its height.
            area=Interval.of((mean - 0.5) / (means[ORACLE] - 0.5)),
        )
        for name, mean in means.items()
    )


def _agent(
    of: Sequence[RunScores],
    win: Float64[np.ndarray, "draws checkpoints"],
    area_samples: Float64[np.ndarray, " draws"],
    by_seed: Float64[np.ndarray, "draws seeds"],
    draws: Draws,
) -> AgentSummary:
    def interval(values: Callable[[RunScores], Float64[np.ndarray, "checkpoints prompts"] | None]) -> Interval | None:
        present = [value for run in of if (value := values(run)) is not None]
        return Interval.of(mean_curve(present, draws)) if len(present) == len(of) else None

    queries = max(int(of[0].checkpoints[-1]), 1)
    everywhere = [kind for kind in of[0].excess_nll if all(kind in run.excess_nll for run in of)]
    excess_nll = {kind: draws.seeds @ np.stack([run.excess_nll[kind] for run in of]) for kind in everywhere}
    weights = area_weights(of[0].checkpoints)
    return AgentSummary(
        agent=of[0].agent,
        rule=of[0].rule,
        reward_model=of[0].reward_model,
        win=Interval.of(win),
        win_reference=interval(lambda run: run.win_reference),
        common=interval(lambda run: run.common),
        simple_regret=Interval.of(mean_curve([run.simple_regret for run in of], draws)),
        regret={kind: Interval.of(draws.seeds @ np.stack([run.regret[kind] for run in of])) for kind in of[0].regret},
        area=Interval.of(area_samples),
        area_iqm=Interval.of(interquartile_mean(by_seed, draws.seeds)),
        counters=_means([run.counters for run in of]),
        seconds_per_1000={part: mean * 1000 / queries for part, mean in _means([run.seconds for run in of]).items()},
        excess_nll={kind: Interval.of(samples) for kind, samples in excess_nll.items()},
        excess_nll_mean={kind: Interval.of(samples @ weights) for kind, samples in excess_nll.items()},
    )


def _means(reports: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the means over runs of what every run reports."""
    names = [name for name in reports[0] if all(name in report for report in reports)]
    return {name: float(np.mean([report[name] for report in reports])) for name in names}


def _comparisons(
    runs: Mapping[str, Sequence[RunScores]], baseline: str, against: Sequence[str]
) -> list[tuple[str, str, str | None]]:
    """Return (agent, against, shared reward model): rule against passive first, then against the baseline and others."""
    check_against(against, runs)
    passive: dict[str, str] = {}
    for agent in (baseline, *runs):
        run = runs[agent][0]
        if run.rule == "passive" and run.reward_model is not None and not is_replica(agent, baseline):
            passive.setdefault(run.reward_model, agent)
    equal = []
    for agent, of in runs.items():
        model = of[0].reward_model
        if model in passive and of[0].rule != "passive":
            equal.append((agent, passive[model], model))
    done = {(agent, against) for agent, against, _ in equal}
    others = []
    for other in dict.fromkeys((baseline, *against)):
        later = (agent for agent in runs if other == baseline or not is_replica(agent, baseline))
        others += [(agent, other, None) for agent in later if agent != other and (agent, other) not in done]
    return [*equal, *others]


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
    return check_passive(replica, {name: ratio(both_ways(ways[0][name], ways[1][name])) for name in ways[0]})


def _components(
    runs: Mapping[str, Sequence[RunScores]],
    pairs: Sequence[tuple[str, str, str | None]],
    both: Draws,
    seeds: Draws,
    prompts: Draws,
) -> tuple[Components, ...]:
    """Return the shares of the variance at the last checkpoint: of every agent, then of every difference."""

    def final(of: Draws) -> dict[str, Float64[np.ndarray, " draws"]]:
        last = {agent: mean_curve([run.win[-1:] for run in own], of)[:, 0] for agent, own in runs.items()}
        return {**last, **{f"{agent} - {against}": last[agent] - last[against] for agent, against, _ in pairs}}

    parts = final(seeds), final(prompts), final(both)
    return tuple(Components(name, *(deviation(part[name]) for part in parts)) for name in parts[0])
