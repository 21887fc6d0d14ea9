"""The pictures of a suite: every agent's area under win rate, or its labels to a level, experiment by experiment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from duelgym_bench.curves import AgentSummary, is_replica
from duelgym_bench.plots import GRID, MUTED, agent_numbers, agent_styles, mark_as_of, mark_legend, styled
from duelgym_bench.statistics import Interval
from duelgym_bench.table import cut, printable, span, whole, with_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

    from duelgym_bench.curves import Summary
    from duelgym_bench.plots import Form
    from duelgym_bench.suite_directory import SavedSuite


@dataclass(frozen=True)
class Measure:
    """What is drawn of every agent in every experiment.

    Attributes:
        file: name of the picture's files, without ending.
        axis: name of the axis.
        heading: what stands behind the suite's title.
        of: reads it from an agent's numbers; infinite where it lies beyond the budget.
        said: how a page reads it out.
        log: whether the axis is logarithmic.
    """

    file: str
    axis: str
    heading: str
    of: Callable[[AgentSummary], Interval]
    said: Callable[[Interval], str]
    log: bool


AREA = Measure(
    "suite",
    "area under win rate (0 = .5, 1 = the oracle)",
    "areas under win rate",
    lambda agent: agent.area,
    with_interval,
    log=False,
)
LABELS = Measure(
    "suite-labels",
    "labels to 25 % of the way to the oracle",
    "labels to 25 % of the way from .5 to the oracle",
    lambda agent: agent.queries_to["25%"],
    whole,
    log=True,
)
MEASURES = (AREA, LABELS)


def suite_agents(summaries: Mapping[str, Summary], baseline: str) -> list[str]:
    """Return the agents of all experiments in order of first appearance, without replicas of the baseline."""
    agents = dict.fromkeys(agent.agent for summary in summaries.values() for agent in summary.agents)
    return [agent for agent in agents if not is_replica(agent, baseline)]


def measured(measure: Measure, summaries: Mapping[str, Summary], agent: str) -> Interval:
    """Return an agent's numbers over the experiments; NaN where it did not run."""
    found = [
        next((measure.of(each) for each in summary.agents if each.agent == agent), None)
        for summary in summaries.values()
    ]
    return Interval(
        *(
            np.array([np.nan if of is None else float(getattr(of, end)) for of in found])
            for end in ("value", "low", "high")
        )
    )


def anything(measure: Measure, summaries: Mapping[str, Summary], baseline: str) -> bool:
    """Whether there is anything to draw."""
    agents = suite_agents(summaries, baseline)
    return any(np.isfinite(measured(measure, summaries, agent).value).any() for agent in agents)


def varied_numbers(suite: SavedSuite, summaries: Mapping[str, Summary]) -> list[float] | None:
    """Return the numbers that the experiments vary; None where they differ otherwise."""
    values = [suite.values[name] for name in summaries]
    found = [float(value) for value in values if isinstance(value, int | float)]
    return found if len(found) == len(values) else None


def draw_suite(
    suite: SavedSuite,
    summaries: Mapping[str, Summary],
    baseline: str,
    caption: str,
    form: Form = "file",
    measure: Measure = AREA,
) -> Figure:
    """Draw numbers with their 95 % intervals: lines over the values where a suite varies a number, else marks in rows.

    What lies beyond the budget has no mark, and an interval whose upper end does goes to the end of the axis.

    Args:
        suite: title and values.
        summaries: experiment -> its numbers.
        baseline: the passive agent, drawn in ink; its replicas are left out.
        caption: printed below in the form for a file.
        form: wide with a legend beside, or narrow with the legend below.
        measure: what is drawn.
    """
    from matplotlib.figure import Figure

    agents, narrow = suite_agents(summaries, baseline), form == "narrow"
    values = varied_numbers(suite, summaries)
    inside = (2.5 if narrow else 4.05) if values is not None else 0.25 + 0.16 * len(summaries) * (len(agents) + 1)
    above, below = (0.4, 0.143 * len(agents) + 0.65) if narrow else (0.5, 0.85 if form == "file" else 0.5)
    height = above + inside + below
    with styled():
        figure = Figure(figsize=(3.7 if narrow else 9.6, height))
        axes = figure.add_subplot()
        if values is None:
            _rows(axes, measure, summaries, agents, baseline, narrow)
        else:
            _lines(axes, measure, summaries, agents, baseline, values, narrow)
            axes.set_xlabel(printable(suite.varies or ""))
        axes.tick_params(labelsize=8 if narrow else 9)
        axes.set_axisbelow(True)
        handles, labels = axes.get_legend_handles_labels()
        legend = figure.legend(
            handles,
            labels,
            loc="lower left" if narrow else "center left",
            bbox_to_anchor=(0.0, 0.0) if narrow else (0.745, 0.5),
            fontsize=8 if narrow else 8.5,
            labelspacing=0.25 if narrow else 0.5,
            handlelength=3.2,
        )
        places = agent_numbers(agents, baseline)
        mark_legend(legend, [places[agent] for agent in agents])
        figure.subplots_adjust(
            left=(0.175 if narrow else 0.075) if values is not None else (0.3 if narrow else 0.19),
            right=0.97 if narrow else 0.735,
            top=1 - above / height,
            bottom=below / height,
        )
        size, length = (9.5, 44) if narrow else (11, 100)
        title = cut(printable(suite.title), length)
        figure.text(0.02 if narrow else 0.012, 1 - 0.27 / height, title, fontsize=size, weight="bold")
        if form == "file":
            figure.text(0.012, 0.13 / height, caption, fontsize=8, color=MUTED)
    return figure


def _lines(
    axes: Axes,
    measure: Measure,
    summaries: Mapping[str, Summary],
    agents: Sequence[str],
    baseline: str,
    values: Sequence[float],
    narrow: bool,
) -> None:
    """Draw every agent's numbers as a line over the values."""
    styles, places = agent_styles(agents, baseline), agent_numbers(agents, baseline)
    for agent in agents:
        colour, dash, _ = styles[agent]
        found = measured(measure, summaries, agent)
        seen = np.isfinite(found.value)
        x = np.array(values)[seen]
        band = axes.fill_between(
            x, found.low[seen], _end(found.high[seen], summaries), color=colour, alpha=0.11, linewidth=0
        )
        (line,) = axes.plot(
            x, found.value[seen], color=colour, linestyle=dash, marker="o", markersize=3.5, label=_label(agent)
        )
        mark_as_of(places[agent], band=band, line=line)
    if min(values) > 0 and max(values) >= 8 * min(values):
        axes.set_xscale("log")
    ticks = values[:: 2 if narrow and len(values) > 7 else 1]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_ylabel(measure.axis, fontsize=7.5 if narrow else 9)
    if measure.log:
        axes.set_yscale("log")
        axes.set_ylim(top=_budget(summaries))
        _count(axes.yaxis)
    axes.grid(axis="y", color=GRID, linewidth=0.6)


def _rows(
    axes: Axes,
    measure: Measure,
    summaries: Mapping[str, Summary],
    agents: Sequence[str],
    baseline: str,
    narrow: bool,
) -> None:
    """Draw every agent's numbers as marks, a row for each experiment."""
    styles, places = agent_styles(agents, baseline), agent_numbers(agents, baseline)
    for k, agent in enumerate(agents):
        found = measured(measure, summaries, agent)
        seen = np.isfinite(found.value)
        y = np.flatnonzero(seen) + (k - (len(agents) - 1) / 2) / (len(agents) + 1)
        bars = axes.hlines(y, found.low[seen], _end(found.high[seen], summaries), color=styles[agent][0], linewidth=1.4)
        (marks,) = axes.plot(
            found.value[seen],
            y,
            color=styles[agent][0],
            linestyle="",
            marker="Dos^vPX*h"[places[agent] % 9],
            markersize=4 if narrow else 5,
            label=_label(agent),
        )
        mark_as_of(places[agent], band=bars, line=marks)
    axes.set_yticks(range(len(summaries)), [cut(printable(name), 16 if narrow else 30) for name in summaries])
    axes.invert_yaxis()
    axes.set_xlabel(measure.axis, fontsize=7.5 if narrow else 9)
    if measure.log:
        axes.set_xscale("log")
        axes.set_xlim(right=_budget(summaries))
        _count(axes.xaxis)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    for edge in np.arange(len(summaries) - 1) + 0.5:
        axes.axhline(edge, color=GRID, linewidth=0.6)


def _count(axis: Axis) -> None:
    """Write whole numbers at 10, 30, 100, 300 and so on."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axis.set_major_formatter(FuncFormatter(lambda count, _: span([round(count)])))
    axis.set_minor_locator(NullLocator())


def _budget(summaries: Mapping[str, Summary]) -> int:
    return max(summary.budget for summary in summaries.values())


def _end(high: Float64[np.ndarray, " places"], summaries: Mapping[str, Summary]) -> Float64[np.ndarray, " places"]:
    """Return upper ends of intervals, what is infinite at a height that only a measure that can be infinite shows."""
    return np.where(np.isinf(high), _budget(summaries), high)


def _label(agent: str) -> str:
    return cut(printable(agent), 30)
