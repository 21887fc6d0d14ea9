"""The curves of Dwaracherla et al. (2024) beside those of a finished ``ee2024`` suite.

    duelgym-bench run --suite ee2024 --out runs/ee2024
    duelgym-bench report runs/ee2024 --baseline passive-ensemble
    python benchmarks/published.py runs/ee2024 --figure benchmarks/figures/ee2024.svg

The published values were read off figure 5 of arXiv:2402.00396, to about .003. They are win rates of another language
model's answers, under another simulator, on other prompts: order, shape and ratios can agree, heights need not. Our ratios
are to the baseline of the report, the published ones to the only passive agent there is.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from duelgym_bench.curves import is_replica
from duelgym_bench.files import write_atomically
from duelgym_bench.plots import GRID, MUTED, agent_styles, save, styled
from duelgym_bench.ratio import Ratio
from duelgym_bench.statistics import Interval
from duelgym_bench.table import Table, as_markdown, decimals, format_ratio, span, with_interval

LABELS = (2000, 5000, 10_000, 20_000, 30_000, 39_000)
PUBLISHED: dict[str, tuple[float, ...]] = {
    "ee2024-double_thompson": (0.594, 0.635, 0.653, 0.666, 0.673, 0.677),
    "ee2024-infomax": (0.608, 0.621, 0.636, 0.646, 0.653, 0.657),
    "ee2024-boltzmann": (0.554, 0.593, 0.618, 0.638, 0.647, 0.649),
    "ee2024-passive": (0.546, 0.575, 0.594, 0.609, 0.616, 0.614),
}
"""Win rate at :data:`LABELS`."""
PASSIVE = "ee2024-passive"
PUBLISHED_LABELS = {"ee2024-double_thompson": 2700, "ee2024-infomax": 4000, "ee2024-boltzmann": 8600, PASSIVE: 28_900}
"""Labels to a win rate of .614, which is passive's last."""


def win_rates(agent: Mapping[str, Any], checkpoints: np.ndarray, labels: np.ndarray) -> Interval:
    """Return an agent's win rates at numbers of labels, between checkpoints linear in their logarithm."""
    at = np.log(labels)
    return Interval(*(np.interp(at, np.log(checkpoints), agent["win"][end][1:]) for end in ("value", "low", "high")))


def ratio(found: Mapping[str, Any]) -> Ratio:
    """Return a ratio as the report has it; what is null there is infinite."""
    least, most, low, high = (math.inf if x is None else x for x in (*found["median"], found["low"], found["high"]))
    return Ratio((least, most), low, high)


def shown(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the agents but for replicas, which check the ratio measure alone."""
    return [agent for agent in summary["agents"] if not is_replica(agent["agent"], PASSIVE)]


def table(summary: Mapping[str, Any], baseline: str) -> Table:
    """Return published and own win rates, and how many times fewer labels than passive each needs to passive's last."""
    checkpoints = np.array(summary["checkpoints"][1:])
    rows = []
    for agent in shown(summary):
        name = agent["agent"]
        if name in PUBLISHED:
            fewer = "1" if name == PASSIVE else f"{PUBLISHED_LABELS[PASSIVE] / PUBLISHED_LABELS[name]:.1f}"
            rows.append((f"{name}, published", *map(decimals, PUBLISHED[name]), fewer))
        wins = win_rates(agent, checkpoints, np.array(LABELS))
        fewer = "1" if name == baseline else format_ratio(ratio(summary["ratios"][name]["final"]))
        rows.append((name, *(with_interval(wins[k]) for k in range(len(LABELS))), fewer))
    return Table(
        "Win rate by number of labels, and labels to passive's last win rate",
        f"Ours: {summary['n_seeds']} seeds, {span([summary['n_prompts']])} assessment prompts, 95 % intervals; times fewer labels than "
        f"{baseline} to its last win rate. Published: read off figure 5 of arXiv:2402.00396.",
        ("agent", *(span([labels]) for labels in LABELS), "times fewer"),
        tuple(rows),
    )


def figure(summary: Mapping[str, Any]) -> bytes:
    """Return both sets of curves as SVG, side by side on equal axes."""
    from matplotlib.figure import Figure

    styles = agent_styles([agent["agent"] for agent in shown(summary)], PASSIVE)
    checkpoints = np.array(summary["checkpoints"][1:])
    with styled():
        drawn = Figure(figsize=(9.6, 4.6))
        ours, theirs = drawn.subplots(1, 2, sharex=True, sharey=True)
        for agent in shown(summary):
            colour, dash, width = styles[agent["agent"]]
            wins = win_rates(agent, checkpoints, checkpoints)
            ours.fill_between(checkpoints, wins.low, wins.high, color=colour, alpha=0.11, linewidth=0)
            ours.plot(checkpoints, wins.value, color=colour, linestyle=dash, linewidth=width, label=agent["agent"])
            if agent["agent"] in PUBLISHED:
                theirs.plot(
                    LABELS,
                    PUBLISHED[agent["agent"]],
                    color=colour,
                    linestyle=dash,
                    linewidth=width,
                    marker="o",
                    markersize=3.5,
                )
        ours.set_title(f"LLMDuel-v0, {summary['n_seeds']} seeds, 95 % intervals", fontsize=9.5, loc="left")
        theirs.set_title("arXiv:2402.00396, figure 5", fontsize=9.5, loc="left")
        ticks = (100, 1000, 10_000, 40_000)
        ours.set_xscale("log")
        ours.set_xlim(checkpoints[0], checkpoints[-1])
        ours.set_xticks(ticks, [f"{tick:,}".replace(",", "\N{NARROW NO-BREAK SPACE}") for tick in ticks])
        ours.set_ylabel("win rate against a random other answer")
        for axes in (ours, theirs):
            axes.minorticks_off()
            axes.set_xlabel("labels")
            axes.grid(axis="y", color=GRID, linewidth=0.6)
            axes.axhline(0.5, color=MUTED, linewidth=0.8)
        drawn.legend(loc="lower center", ncols=3, fontsize=8.5, handlelength=3.2)
        drawn.subplots_adjust(left=0.075, right=0.97, top=0.93, bottom=0.25, wspace=0.08)
        return save(drawn, "svg")


def main() -> int:
    """Print the table as Markdown; write the figure if it has a place."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("directory", type=Path, metavar="DIR", help="runs of the suite ee2024, reported")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="SVG to write")
    arguments = parser.parse_args()
    try:
        results = json.loads((arguments.directory / "results.json").read_text(encoding="utf-8"))
    except OSError as error:
        parser.error(f"{arguments.directory} has no report: run 'duelgym-bench report' first ({error})")
    first, last = (results["summary"]["checkpoints"][k] for k in (1, -1))
    if first > LABELS[0] or last < LABELS[-1]:
        parser.error(
            f"the runs are assessed from {first} to {last} labels, the published ones from {LABELS[0]} to {LABELS[-1]}: "
            "run the suite ee2024 in its own size"
        )
    print(as_markdown(table(results["summary"], results["baseline"])))
    if arguments.figure:
        write_atomically(arguments.figure, figure(results["summary"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
