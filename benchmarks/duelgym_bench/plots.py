"""The pictures of a report: curves with interval bands, and on every one the references that stand beside them.

One drawing serves the files (SVG and PNG), and, in a wide and a narrow form, the page, which sets its own colours.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float64

from duelgym_bench.curves import ORACLE, SUPERVISED, Summary
from duelgym_bench.ratio import isotonic_fit
from duelgym_bench.table import cut, decimals, printable, span

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D

    from duelgym_bench.pictures import Axis, Picture
    from duelgym_bench.scored import Results

Form = Literal["file", "wide", "narrow"]
Style = tuple[str, Any, float]
"""Colour, dashes and width of a line."""
INK, MUTED, GRID = "#1c1d21", "#6a6c75", "#dfe0e4"
# Told apart with any common colour blindness, and each at least 3:1 against white; line styles tell them apart in grey.
COLOURS = ("#0072b2", "#c8451b", "#00866a", "#a8559a", "#b07800", "#4b3fa8", "#5f6b1f", "#8c3b3b")
DASHES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (7, 2, 1.5, 2)), (0, (4, 1.5, 1, 1.5, 1, 1.5)))
REFERENCE_DASHES = ((0, (1, 2)), (0, (5, 4)), (0, (9, 3, 1, 3)), (0, (3, 5)), (0, (1, 4)), (0, (12, 3)))
_FIXED_DASHES: dict[str, Any] = {ORACLE: (0, (1, 1)), SUPERVISED: "-"}
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "svg.hashsalt": "duelgym",
    "svg.fonttype": "path",
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Sheet:
    """What pictures that belong together have in common.

    Attributes:
        title: before the heading of each.
        styles: of every agent's lines.
        caption: printed below in the form for a file.
        first: the number by which SVG and page know the first agent; the others follow in order.
    """

    title: str
    styles: Mapping[str, Style]
    caption: str = ""
    first: int = 0

    @property
    def numbers(self) -> dict[str, int]:
        """The number by which SVG and page know each agent."""
        return {name: self.first + k for k, name in enumerate(self.styles)}


def report_sheet(results: Results, summary: Summary) -> Sheet:
    """Return what the pictures of a report have in common."""
    return Sheet(
        printable(results.title) + ("" if results.tuned else f" ({results.tuned_mark})"),
        agent_styles([agent.agent for agent in summary.agents], results.baseline),
        caption(results, summary),
    )


def caption(results: Results, summary: Summary) -> str:
    """Return what every picture says below: seeds, intervals, and what the labels can carry."""
    bits = decimals(results.references.bits_per_label)
    changed = ", ".join(map(printable, results.changed))
    warning = f" While these runs were made, the code of {changed} changed." if changed else ""
    return f"{intervals_note(summary)} The label of a random pair carries at most {bits} bits on average.{warning}"


def intervals_note(*summaries: Summary) -> str:
    """Return over what the intervals are: of a report, or of all experiments of a suite."""
    sizes = [summary.n_seeds for summary in summaries]
    seeds = f"{span(sizes)} seed{'s' * (max(sizes) > 1)}"
    narrow = " (too narrow: fewer than 4 seeds)" if min(sizes) < 4 else ""
    prompts = span([summary.n_prompts for summary in summaries])
    return f"Intervals: 95 %, over {seeds} and {prompts} assessment prompts{narrow}."


def draw(shown: Picture, sheet: Sheet, form: Form = "file") -> Figure:
    """Draw a picture: wide with labels beside the curves' ends, or narrow with a legend below.

    The wide form for a file carries its caption; beside the other two the page prints it.
    """
    from matplotlib.figure import Figure

    narrow = form == "narrow"
    names = sorted(shown.curves, key=lambda name: (-shown.curves[name].value[-1], -shown.curves[name].value.mean()))
    step: Literal["post"] | None = "post" if shown.axis.steps else None
    with styled():
        n_lines = len(names) + len(shown.references)
        height = 3.75 + 0.143 * n_lines if narrow else max(5.4, 1.4 + 0.19 * n_lines)
        figure = Figure(figsize=(3.7 if narrow else 9.6, height))
        axes = figure.add_subplot()
        x = shown.axis.places
        numbers = {name: sheet.numbers[name] for name in names}
        handles: list[tuple[Line2D, str]] = []
        for name in names:
            curve = shown.curves[name]
            colour, dash, width = sheet.styles[name]
            band = axes.fill_between(x, curve.low, curve.high, color=colour, alpha=0.11, linewidth=0, step=step)
            marker = "o" if len(x) == 1 else None
            (line,) = axes.plot(x, curve.value, color=colour, linestyle=dash, linewidth=width, marker=marker)
            if step:
                line.set_drawstyle("steps-post")
            mark_as_of(numbers[name], band=band, line=line)
            if name in shown.points:
                (dots,) = axes.plot(*shown.points[name], color=colour, linestyle="", marker="o", markersize=3.5)
                mark_as_of(numbers[name], points=dots)
            handles.append((line, f"{_short(name)} {shown.says[name]}"))
        _frame(axes, shown, narrow)
        handles += _references(axes, shown)
        if narrow:
            below = 0.143 * n_lines + 0.65
            figure.subplots_adjust(left=0.175, right=0.97, top=1 - 0.62 / height, bottom=below / height)
            legend = figure.legend(
                [line for line, _ in handles],
                [text for _, text in handles],
                loc="lower left",
                bbox_to_anchor=(0.0, 0.0),
                fontsize=8,
                labelspacing=0.25,
                handlelength=3.2,
            )
            mark_legend(legend, numbers.values())
            figure.text(0.02, 1 - 0.2 / height, cut(sheet.title, 44), fontsize=9.5, weight="bold")
            figure.text(0.02, 1 - 0.4 / height, cut(shown.heading, 60), fontsize=7.5)
        else:
            longest = max(len(text) for _, text in handles)
            right = 1 - (0.45 + longest * 0.068) / 9.6
            figure.subplots_adjust(
                left=0.075, right=right, top=1 - 0.5 / height, bottom=(0.85 if form == "file" else 0.5) / height
            )
            _label_ends(axes, shown, handles, numbers)
            figure.text(
                0.012, 1 - 0.27 / height, cut(f"{sheet.title}: {shown.heading}", 100), fontsize=11, weight="bold"
            )
            if form == "file":
                figure.text(0.012, 0.13 / height, sheet.caption, fontsize=8, color=MUTED)
    return figure


def save(figure: Figure, file_format: Literal["svg", "png"], *, transparent: bool = False) -> bytes:
    """Return the figure as bytes that depend on nothing but the figure (no date, no random identifiers).

    A file has a white ground, since its ink is dark wherever it is shown; the page, which sets colours, wants none.
    """
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type") if file_format == "svg" else ("Software",))
    buffer = io.BytesIO()
    with styled(), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; the tables have it in full.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure.savefig(buffer, format=file_format, dpi=160, metadata=metadata, transparent=transparent)
    return buffer.getvalue()


def agent_styles(agents: Sequence[str], baseline: str) -> dict[str, Style]:
    """Return colour, dashes and line width of each agent: the baseline in ink, the others by order of appearance."""
    styles: dict[str, Style] = {baseline: (INK, "-", 2.0)}
    for k, name in enumerate(agent for agent in agents if agent != baseline):
        dash = DASHES[(k + k // len(COLOURS)) % len(DASHES)]
        styles[name] = (COLOURS[k % len(COLOURS)], dash, 1.8)
    return styles


def agent_numbers(agents: Sequence[str], baseline: str) -> dict[str, int]:
    """Return the number by which an SVG and a page know each agent: its place in :func:`agent_styles`."""
    return {name: number for number, name in enumerate(agent_styles(agents, baseline))}


def mark_as_of(agent: int, **parts: Artist) -> None:
    """Name artists, in the SVG, as parts of the curve of the agent of that number."""
    for part, artist in parts.items():
        artist.set_gid(f"agent{agent}-{part}")


def mark_legend(legend: Legend, agents: Iterable[int]) -> None:
    """Do so with the first entries of a legend, given whose they are."""
    for agent, key, text in zip(agents, legend.get_lines(), legend.get_texts(), strict=False):
        mark_as_of(agent, key=key, text=text)


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Draw in the style of all pictures, whatever the user's own matplotlib settings."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def _frame(axes: Axes, shown: Picture, narrow: bool) -> None:
    """Set the axes: log labels with a place for none, and a range that the curves fill."""
    from matplotlib.ticker import MaxNLocator

    x = shown.axis.places
    if shown.axis.logarithmic:
        _log_labels(axes, shown.axis, narrow)
    else:
        axes.set_xlim(x[0], x[-1])
    if shown.axis.measured_to is not None:
        axes.axvspan(shown.axis.measured_to, x[-1], color=GRID, alpha=0.45, linewidth=0, zorder=0)
    axes.set_xlabel(shown.axis.label)
    axes.set_ylabel(shown.ylabel, fontsize=7.5 if narrow else 9)
    axes.tick_params(labelsize=8 if narrow else 9)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10]))
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    low = min(float(curve.low.min()) for curve in shown.curves.values())
    high = max(float(curve.high.max()) for curve in shown.curves.values())
    low, high = min(low, (low + high) / 2 - 0.01), max(high, (low + high) / 2 + 0.01)
    span = high - low
    # A reference is drawn where it stands as long as it leaves the curves most of the height, else noted at the edge.
    near = [value for value in shown.references.values() if low - 0.45 * span <= value <= high + 0.45 * span]
    low, high = min([low, *near]), max([high, *near])
    axes.set_ylim(low - 0.04 * (high - low), high + 0.06 * (high - low))


def _log_labels(axes: Axes, axis: Axis, narrow: bool) -> None:
    x, positive = axis.places, axis.places[int(axis.zero) :]
    axes.set_xscale("log")
    axes.set_xlim((x[0], x[-1]) if len(x) > 1 else (x[0] / 2, x[0] * 2))
    steps = (1,) if narrow and x[-1] / x[0] > 100 else (1, 3) if narrow or x[-1] / x[0] > 3000 else (1, 2, 5)
    ticks = [step * 10.0**power for power in range(8) for step in steps]
    ticks = [tick for tick in ticks if (positive[0] if len(positive) else 1) <= tick <= x[-1]]
    if len(ticks) < 2:
        ticks = positive.tolist()
    labels = [f"{tick:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}") for tick in ticks]
    if axis.zero:
        ticks, labels = [x[0], *ticks], ["0", *labels]
    axes.set_xticks(ticks, labels)
    axes.minorticks_off()


def _references(axes: Axes, shown: Picture) -> list[tuple[Line2D, str]]:
    """Draw the references as thin lines; return (line, text) of each, highest first."""
    low, high = axes.get_ylim()
    drawn = []
    for k, (name, value) in enumerate(shown.references.items()):
        dash = _FIXED_DASHES.get(name, REFERENCE_DASHES[k % len(REFERENCE_DASHES)])
        arrow = "" if low <= value <= high else " \N{UPWARDS ARROW}" if value > high else " \N{DOWNWARDS ARROW}"
        line = axes.axhline(value, color=MUTED, linewidth=0.8, linestyle=dash, zorder=1)
        drawn.append((value, line, f"{_short(name)} {decimals(value)}{arrow}"))
    return [(line, text) for _, line, text in sorted(drawn, key=lambda item: -item[0])]


def _label_ends(axes: Axes, shown: Picture, handles: Sequence[tuple[Line2D, str]], numbers: Mapping[str, int]) -> None:
    """Write each line's label beside its end, moved apart where labels would touch, with a thread back to the line."""
    points = axes.bbox.height * 72 / axes.figure.dpi
    low, high = axes.get_ylim()
    ends = [float(shown.curves[name].value[-1]) for name in numbers]
    ends += sorted(shown.references.values(), reverse=True)
    wanted = np.clip((np.array(ends) - low) / (high - low), 0, 1) * points
    order = np.argsort(wanted, kind="stable")
    places = np.empty(len(wanted))
    places[order] = spread(wanted[order], gap=min(12.5, points / max(len(wanted) - 1, 1)), length=points)
    for k, (line, text) in enumerate(handles):
        colour = line.get_color()
        heights = [wanted[k] / points, places[k] / points]
        (thread,) = axes.plot(
            [1.0, 1.025], heights, transform=axes.transAxes, color=colour, linewidth=0.7, clip_on=False
        )
        style = "normal" if k < len(numbers) else "italic"
        label = axes.text(
            1.03, heights[1], text, transform=axes.transAxes, va="center", fontsize=8.5, color=colour, style=style
        )
        if k < len(numbers):
            mark_as_of(list(numbers.values())[k], thread=thread, label=label)


def spread(wanted: Float64[np.ndarray, " labels"], gap: float, length: float) -> Float64[np.ndarray, " labels"]:
    """Return places in [0, length] at least ``gap`` apart and nearest, in least squares, to the rising ``wanted``."""
    steps = gap * np.arange(len(wanted))
    return np.clip(isotonic_fit((wanted - steps)[None])[0], 0, length - steps[-1]) + steps


def _short(name: str) -> str:
    return cut(printable(name), 31)
