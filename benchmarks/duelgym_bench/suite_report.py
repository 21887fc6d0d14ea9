"""What the experiments of a suite say side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from duelgym_bench.aggregate import improvement, interquartile_mean
from duelgym_bench.curves import AgentSummary, Summary
from duelgym_bench.statistics import LEAST_SEEDS, N_RESAMPLES, Interval, draw_strata
from duelgym_bench.table import MISSING, Table, decimals, whole, with_interval


def suite_tables(summaries: Mapping[str, Summary], baseline: str, varies: str | None) -> tuple[Table, ...]:
    """Return tables of agents by experiments: areas, win rates, labels to a level, areas less the baseline's, ceilings.

    Args:
        summaries: experiment -> its numbers.
        baseline: the passive agent that others are subtracted from; where an experiment lacks it there is no difference.
        varies: the argument that tells the experiments apart; None where they differ otherwise.
    """
    apart = f"one column for each {varies}" if varies else "one column for each experiment"
    names = list(dict.fromkeys(agent.agent for summary in summaries.values() for agent in summary.agents))

    def table(title: str, note: str, cell: Callable[[AgentSummary, Summary], str]) -> Table:
        rows = []
        for name in names:
            cells = []
            for summary in summaries.values():
                agent = next((each for each in summary.agents if each.agent == name), None)
                cells.append(MISSING if agent is None else cell(agent, summary))
            rows.append((name, *cells))
        return Table(title, f"{note}; {apart}.", ("agent", *summaries), tuple(rows))

    def difference(agent: AgentSummary, summary: Summary) -> str:
        found = [each for each in summary.differences if each.agent == agent.agent and each.against == baseline]
        return with_interval(found[-1].area, signed=True) if found else ""

    def labels_to(share: str) -> Callable[[AgentSummary, Summary], str]:
        return lambda agent, _: whole(agent.queries_to[share])

    return (
        table(
            "Area under win rate against log labels",
            "0 = a win rate of .5, 1 = the oracle's, so that experiments can be compared",
            lambda agent, _: with_interval(agent.area),
        ),
        table(
            "Win rate at the budget", "Best of N on assessment prompts", lambda agent, _: with_interval(agent.win[-1])
        ),
        *(
            table(
                f"Labels to {share.replace('%', ' %')} of the way to the oracle",
                "From a win rate of .5, on the isotonic fit of the curve; not reached, and n.r. of an end of the interval: "
                "not within the budget",
                labels_to(share),
            )
            for share in next(iter(summaries.values())).agents[0].queries_to
        ),
        table(
            f"Area less that of {baseline}",
            "Same seeds, same prompts; intervals not corrected for their number",
            difference,
        ),
        _together(summaries, baseline),
        _ceilings(summaries, apart),
    )


def _together(summaries: Mapping[str, Summary], baseline: str) -> Table:
    """Return what all experiments say of the agents that are in all of them."""
    areas = {
        name: [agent.areas for summary in summaries.values() for agent in summary.agents if agent.agent == name]
        for name in dict.fromkeys(agent.agent for summary in summaries.values() for agent in summary.agents)
    }
    areas = {name: of for name, of in areas.items() if len(of) == len(summaries)}
    sizes = [summary.n_seeds for summary in summaries.values()]
    weights = draw_strata(sizes, N_RESAMPLES, np.random.default_rng(0), alike=True)
    parts = np.split(weights * len(sizes), np.cumsum(sizes)[:-1], axis=1)

    def middle(of: Sequence[np.ndarray]) -> Interval:
        return Interval.of(interquartile_mean(np.broadcast_to(np.concatenate(of), weights.shape), weights))

    def better(of: Sequence[np.ndarray]) -> Interval:
        each = [
            improvement(np.broadcast_to(own, part.shape), np.broadcast_to(base, part.shape), part)
            for own, base, part in zip(of, areas[baseline], parts, strict=True)
        ]
        return Interval.of_runs(np.mean(each, axis=0), min(sizes))

    found = {name: (middle(of), better(of) if baseline in areas else None) for name, of in areas.items()}
    return Table(
        "All experiments together",
        "Areas of single runs: interquartile mean over all seeds of all experiments; and how likely a run is to have a larger "
        f"area than an independent one of {baseline} in the same experiment. Experiments share their seeds, which are resampled "
        "for all of them at once."
        + (f" {LEAST_SEEDS} seeds each would give that an interval." if min(sizes) < LEAST_SEEDS else ""),
        ("agent", "interquartile mean", "probability of improvement"),
        tuple(
            (name, with_interval(iqm), "" if name == baseline or over is None else with_interval(over))
            for name, (iqm, over) in sorted(found.items(), key=lambda item: -float(item[1][0].value))
        ),
    )


def _ceilings(summaries: Mapping[str, Summary], apart: str) -> Table:
    names = list(dict.fromkeys(each.name for summary in summaries.values() for each in summary.references))
    rows = [
        (
            name,
            *(
                next((decimals(float(each.win.value)) for each in summary.references if each.name == name), MISSING)
                for summary in summaries.values()
            ),
        )
        for name in names
    ]
    return Table(
        "References",
        f"Win rates of ceilings and of policies that ask nothing; {apart}.",
        ("policy", *summaries),
        tuple(rows),
    )
