"""What the experiments of a suite say side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from duelgym_bench.curves import AgentSummary, Summary
from duelgym_bench.report_tables import MISSING, Table, decimals, with_interval


def suite_tables(summaries: Mapping[str, Summary], baseline: str, varies: str | None) -> tuple[Table, ...]:
    """Return tables of agents by experiments: areas, win rates at the budget, areas less the baseline's, and ceilings.

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

    return (
        table(
            "Area under win rate against log labels",
            "0 = a win rate of .5, 1 = the oracle's, so that experiments can be compared",
            lambda agent, _: with_interval(agent.area),
        ),
        table(
            "Win rate at the budget", "Best of N on assessment prompts", lambda agent, _: with_interval(agent.win[-1])
        ),
        table(
            f"Area less that of {baseline}",
            "Same seeds, same prompts; intervals not corrected for their number",
            difference,
        ),
        _ceilings(summaries, apart),
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
