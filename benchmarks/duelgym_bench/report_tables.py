"""The tables of a report."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from duelgym_bench.curves import Difference, Summary, is_replica
from duelgym_bench.ratio import FINAL
from duelgym_bench.scored import Results
from duelgym_bench.statistics import LEAST_SEEDS, Interval
from duelgym_bench.table import MISSING, Table, decimals, format_ratio, printable, with_interval
from duelgym_bench.uncertainty import ACCURACIES, KINDS, N_SAMPLES


def tables(results: Results, summary: Summary, *, main: bool = False) -> tuple[Table, ...]:
    """Return the tables that there is something to fill with, in the order in which they are read.

    ``main`` leaves out what a first look does not need: common learner, uncertainty, regret and cost, components of variance.
    """
    every = [_win(results, summary), *_differences(results, summary), _ratios(results, summary), _check(summary)]
    if not main:
        every += [
            _robust(results, summary),
            _fits(summary),
            _common(summary),
            _uncertainty(results, summary),
            _accuracy(summary),
            _labels(results, summary),
            _cost(summary),
            _components(summary),
        ]
    return tuple(table for table in every if table is not None and table.rows)


def _counts(summary: Summary) -> tuple[str, ...]:
    return tuple(f"{int(summary.checkpoints[k]):,}".replace(",", " ") for k in summary.columns)


def _win(results: Results, summary: Summary) -> Table:
    rows = []
    chosen = results.tuned_mark != "untuned"
    against_reference = any(agent.win_reference for agent in summary.agents)
    for agent in sorted(summary.agents, key=lambda agent: -float(agent.area.value)):
        row = [agent.agent, *(with_interval(agent.win[k]) for k in summary.columns), with_interval(agent.area)]
        if chosen:
            row.append(results.settings_of(agent.agent))
        if against_reference:
            row.append(with_interval(agent.win_reference[-1]) if agent.win_reference else MISSING)
        rows.append(tuple(row))
    for policy in summary.references:
        row = [policy.name, with_interval(policy.win), *[""] * (len(summary.columns) - 1), with_interval(policy.area)]
        if chosen:
            row.append("")
        if against_reference:
            row.append(with_interval(policy.win_reference) if policy.win_reference else MISSING)
        rows.append(tuple(row))
    header = ("agent or policy", *_counts(summary), "area")
    header += ("settings",) * chosen + ("against reference",) * against_reference
    return Table(
        "Win rate against a random other response, by number of labels",
        "Best of N on assessment prompts; the area is under win rate against log labels, 0 = a win rate of .5, "
        "1 = the oracle's. Policies that ask nothing have one win rate."
        + (" Last column: against the pool's reference response, at the budget." if against_reference else ""),
        header,
        tuple(rows),
    )


def _robust(results: Results, summary: Summary) -> Table:
    over = {each.agent: each.improvement for each in summary.differences if each.against == results.baseline}
    rows = tuple(
        (agent.agent, with_interval(agent.area_iqm), with_interval(over[agent.agent]) if agent.agent in over else "")
        for agent in sorted(summary.agents, key=lambda agent: -float(agent.area_iqm.value))
    )
    return Table(
        "Areas of single runs",
        "Interquartile mean over seeds, which no single run can move far; and how likely a run of the agent is to have a larger "
        f"area than an independent one of {results.baseline}, .5 where neither is better"
        + (f"; {LEAST_SEEDS} seeds would give it an interval." if summary.n_seeds < LEAST_SEEDS else "."),
        ("agent", "interquartile mean", "probability of improvement"),
        rows,
    )


def _fits(summary: Summary) -> Table:
    def number(interval: Interval) -> str:
        value, low, high = (
            f"{end:.3g}" if math.isfinite(end) else MISSING
            for end in (float(interval.value), float(interval.low), float(interval.high))
        )
        return f"{value} [{low} {high}]"

    return Table(
        "Power law 1 - (labels / a)^-b / 2, fitted to the win rate",
        "a: labels at which the fit is .5; b: the greater, the steeper; error: root mean square distance from what was measured. "
        "Beyond the last label it is a guess, and too high where the oracle's ceiling is near. Without a row: curves that do not "
        "rise.",
        ("agent", "a", "b", "error"),
        tuple(
            (agent.agent, number(agent.fit.a), number(agent.fit.b), decimals(agent.fit.error))
            for agent in summary.agents
            if agent.fit is not None
        ),
    )


def _differences(results: Results, summary: Summary) -> list[Table]:
    """Return one table for each agent that others are subtracted from, and reward model that both use."""
    groups: dict[tuple[str, str | None], list[Difference]] = {}
    for difference in summary.differences:
        groups.setdefault((difference.against, difference.reward_model), []).append(difference)
    return [
        Table(
            f"Paired differences of win rate: agent minus {against}"
            + (f", both with reward model {model}" if model else ", whatever the reward model"),
            "Same seeds, same prompts. "
            + ("What the rule does" if model else "Rule, reward model and settings may differ together")
            + (". " if results.tuned_mark == "untuned" else ", each agent with its own settings. ")
            + f"{len(summary.differences)} comparisons in all, intervals not corrected for their number.",
            ("agent", *_counts(summary), "area"),
            tuple(
                (
                    each.agent,
                    *(with_interval(each.win[k], signed=True) for k in summary.columns),
                    with_interval(each.area, signed=True),
                )
                for each in differences
            ),
        )
        for (against, model), differences in groups.items()
    ]


def _ratios(results: Results, summary: Summary) -> Table:
    def name(level: str) -> str:
        at = decimals(float(summary.levels[level].value))
        return f"{'final' if level == FINAL else level} ({at})"

    note = (
        f"Labels that {printable(results.baseline)} needs for a win rate, divided by those that the agent needs: median "
        "over resamples and 95 % interval. final: the baseline's fitted win rate at the budget."
    )
    if len(summary.levels) > 1:
        note += " Per cent: of the way from the baseline's start to the supervised reference."
    note += (
        " not reached: by the agent within the budget in most resamples; >=: the baseline does not reach it; "
        "undetermined: too often neither does; n.r.: that end of the interval lies beyond the budget."
    )
    rows = tuple(
        (agent, *(format_ratio(of[level]) for level in summary.levels))
        for agent, of in summary.ratios.items()
        if not is_replica(agent, results.baseline)
    )
    return Table(
        f"Queries to a level, as a ratio to {printable(results.baseline)}",
        note,
        ("agent", *map(name, summary.levels)),
        rows,
    )


def _check(summary: Summary) -> Table | None:
    if summary.check is None:
        return None
    check = summary.check
    if check.level:
        why = f"decided at level {check.level}"
    elif summary.n_seeds < LEAST_SEEDS:
        why = f"{summary.n_seeds} seeds decide nothing, {LEAST_SEEDS} may"
    else:
        why = "no level is reached often enough to decide"
    note = (
        f"check {check.verdict} ({why}): the median ratio must lie in 0.8 to 1.25, its interval must cover 1. "
        "One way: what chance gives an agent exactly as good as passive. Both ways: the geometric mean with either as the "
        "baseline, in which chance cancels; it decides."
    )
    if "FAILED" in check.levels.values():
        note += " At a level that fails, the measure itself leans to one side: read no lead at it from the table above."
    return Table(
        "Passive against itself",
        note,
        (check.replica, *summary.levels),
        (
            ("one way", *(format_ratio(summary.ratios[check.replica][level]) for level in summary.levels)),
            ("both ways", *(format_ratio(check.ratios[level]) for level in summary.levels)),
            ("verdict", *(check.levels[level] for level in summary.levels)),
        ),
    )


def _common(summary: Summary) -> Table:
    rows = [
        (agent.agent, *(with_interval(agent.common[k]) for k in summary.columns))
        for agent in summary.agents
        if agent.common is not None
    ]
    return Table(
        "Win rate of the common learner",
        "One fixed reward model fitted from scratch to the first labels of each agent's log: the data without the learner.",
        ("labels of", *_counts(summary)),
        tuple(rows),
    )


def _uncertainty(results: Results, summary: Summary) -> Table:
    coin = results.references.bits_per_label * math.log(2)
    return Table(
        "Uncertainty",
        f"Negative log-likelihood of new labels under {N_SAMPLES} samples of the agent's utilities, less the simulator's own, in "
        "nats: 0 is the simulator. Marginal: of one label. Dyadic: of ten labels of two random pairs together, where samples "
        f"that disagree about what is unknown do better than one guess. Saying .5 to every pair has about {decimals(coin)} and "
        f"{decimals(10 * coin)}. At the budget, and the mean over log labels as for the area; intervals over seeds alone. As "
        "the runs report it: shown, not ranked.",
        ("agent", *(f"{kind}{what}" for kind in KINDS for what in ("", ", mean"))),
        tuple((agent.agent, *_reported(KINDS, agent.excess_nll, agent.excess_nll_mean)) for agent in summary.agents)
        if any(agent.excess_nll for agent in summary.agents)
        else (),
    )


def _reported(kinds: Sequence[str], curves: Mapping[str, Interval], means: Mapping[str, Interval]) -> Iterator[str]:
    """Yield, of each kind, what a run reports at the budget, and its mean over log labels."""
    for kind in kinds:
        yield with_interval(curves[kind][-1]) if kind in curves else MISSING
        yield with_interval(means[kind]) if kind in means else MISSING


def _accuracy(summary: Summary) -> Table:
    return Table(
        "Accuracy of the reward model",
        "Share of held-out pairs that the mean of the sampled utilities puts in the simulator's order: of random pairs, and of "
        "the best response with a random other. At the budget, and the mean over log labels as for the area; intervals over "
        "seeds alone. As the runs report it: shown, not ranked.",
        ("agent", "random pairs", "random pairs, mean", "best and another", "best and another, mean"),
        tuple((agent.agent, *_reported(ACCURACIES, agent.accuracy, agent.accuracy_mean)) for agent in summary.agents)
        if any(agent.accuracy for agent in summary.agents)
        else (),
    )


def _labels(results: Results, summary: Summary) -> Table:
    return Table(
        "The pairs that were asked about",
        "Gap: how far from .5 the probability lies that the first is better, on average over the labels so far; a data set for "
        "direct preference optimisation learns from the contrast. Bits: the most that a label can carry, likewise, at the "
        f"budget; {decimals(results.references.bits_per_label)} for a random pair.",
        ("agent", *(f"gap, {count}" for count in _counts(summary)), "bits"),
        tuple(
            (
                agent.agent,
                *(with_interval(agent.labels["gap"][k]) for k in summary.columns),
                with_interval(agent.labels["bits"][-1]),
            )
            for agent in summary.agents
            if agent.labels and summary.budget
        ),
    )


def _cost(summary: Summary) -> Table:
    budget = max(summary.budget, 1)

    def count(name: str) -> Callable[..., str]:
        return lambda agent: f"{agent.counters[name]:.0f}" if name in agent.counters else MISSING

    def share(name: str) -> Callable[..., str]:
        return lambda agent: f"{100 * agent.counters[name] / budget:.1f} %" if name in agent.counters else MISSING

    def regret(kind: str) -> Callable[..., str]:
        return lambda agent: f"{float(agent.regret[kind].value[-1]):.1f}" if kind in agent.regret else MISSING

    cells: dict[str, Callable[..., str]] = {
        "average": regret("average"),
        "strong": regret("strong"),
        "weak": regret("weak"),
        "simple regret": lambda agent: with_interval(agent.simple_regret[-1]),
        "repeated": share("repeated_pairs"),
        "self-duels": share("self_duels"),
        "retries": count("retries"),
        "fallbacks": count("fallbacks"),
        "s/1000": lambda agent: f"{sum(agent.seconds_per_1000.get(part, 0.0) for part in ('select', 'learn')):.1f}",
    }
    return Table(
        "Regret and cost",
        f"Means per run, at {budget} labels. Regrets are in win probability: cumulative, and simple that of the final "
        "recommendation. Retries and fallbacks as agents report them. s/1000: seconds of selecting and learning per 1 000 "
        "labels.",
        ("agent", *cells),
        tuple((agent.agent, *(cell(agent) for cell in cells.values())) for agent in summary.agents),
    )


def _components(summary: Summary) -> Table:
    def points(value: float) -> str:
        return f"{value:.4f}".replace("0.", ".", 1)

    return Table(
        "Where the uncertainty comes from",
        "Standard deviation of the win rate at the budget, over resamples of seeds alone, of prompts alone, and of both, "
        "where what seeds and prompts have in common counts once. Where no two seeds share prompts, new seeds are new prompts "
        "too, so that seeds and both are equal."
        + (" With one seed nothing is known of the variance between seeds." if summary.n_seeds == 1 else ""),
        ("win rate of", "seeds", "prompts", "both"),
        tuple((part.name, points(part.seeds), points(part.prompts), points(part.both)) for part in summary.components),
    )
