"""The picture of a suite: every agent's area under win rate, experiment by experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duelgym_bench.curves import is_replica
from duelgym_bench.plots import GRID, MUTED, agent_styles, styled
from duelgym_bench.report_tables import cut, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    from duelgym_bench.curves import Summary
    from duelgym_bench.suite import SavedSuite


def draw_suite(suite: SavedSuite, summaries: Mapping[str, Summary], baseline: str, caption: str) -> Figure:
    """Draw areas with their 95 % intervals: lines over the values where a suite varies a number, else marks in rows.

    Args:
        suite: title and values.
        summaries: experiment -> its numbers.
        baseline: the passive agent, drawn in ink; its replicas are left out.
        caption: printed below.
    """
    from matplotlib.figure import Figure

    agents = list(dict.fromkeys(agent.agent for summary in summaries.values() for agent in summary.agents))
    agents = [agent for agent in agents if not is_replica(agent, baseline)]
    values = [suite.values[name] for name in summaries]
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    lines = len(numbers) == len(values)
    styles = agent_styles(agents, baseline)
    with styled():
        height = 5.4 if lines else 1.6 + 0.16 * len(summaries) * (len(agents) + 1)
        figure = Figure(figsize=(9.6, height))
        axes = figure.add_subplot()
        for k, agent in enumerate(agents):
            here = [
                (place, each.area)
                for place, summary in enumerate(summaries.values())
                for each in summary.agents
                if each.agent == agent
            ]
            at = np.array([place for place, _ in here])
            area, low, high = (
                np.array([float(getattr(of, end)) for _, of in here]) for end in ("value", "low", "high")
            )
            colour, dash, _ = styles[agent]
            label = cut(printable(agent), 30)
            if lines:
                x = np.array(numbers)[at]
                axes.fill_between(x, low, high, color=colour, alpha=0.11, linewidth=0)
                axes.plot(x, area, color=colour, linestyle=dash, marker="o", markersize=3.5, label=label)
            else:
                y = at + (k - (len(agents) - 1) / 2) / (len(agents) + 1)
                axes.hlines(y, low, high, color=colour, linewidth=1.4)
                marker = "Dos^vPX*h"[list(styles).index(agent) % 9]
                axes.plot(area, y, color=colour, linestyle="", marker=marker, markersize=5, label=label)
        measure = "area under win rate (0 = .5, 1 = the oracle)"
        if lines:
            if min(numbers) > 0 and max(numbers) >= 8 * min(numbers):
                axes.set_xscale("log")
            axes.set_xticks(numbers, [f"{number:g}" for number in numbers])
            axes.minorticks_off()
            axes.set_xlabel(printable(suite.varies or ""))
            axes.set_ylabel(measure)
            axes.grid(axis="y", color=GRID, linewidth=0.6)
        else:
            axes.set_yticks(range(len(summaries)), [cut(printable(name), 30) for name in summaries])
            axes.invert_yaxis()
            axes.set_xlabel(measure)
            axes.grid(axis="x", color=GRID, linewidth=0.6)
            for edge in np.arange(len(summaries) - 1) + 0.5:
                axes.axhline(edge, color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="center left", bbox_to_anchor=(0.745, 0.5), fontsize=8.5, handlelength=3.2)
        figure.subplots_adjust(left=0.075 if lines else 0.19, right=0.735, top=1 - 0.5 / height, bottom=0.85 / height)
        figure.text(0.012, 1 - 0.27 / height, cut(printable(suite.title), 110), fontsize=11, weight="bold")
        figure.text(0.012, 0.13 / height, caption, fontsize=8, color=MUTED)
    return figure
