"""Pictures as a page has them: in its own colours, wide and narrow, with what its script needs to read values out.

Without the script they are static and complete. With it, values can be read by mouse, touch and arrow keys, and every agent
has a button that hides or shows what carries its number (the attribute ``data-agent``) anywhere on the page.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from duelgym_bench.plots import COLOURS, GRID, INK, MUTED, Sheet, Style, draw, save
from duelgym_bench.statistics import Interval
from duelgym_bench.table import printable, with_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from duelgym_bench.pictures import Picture

# The colours of the pictures by the names that the page's style sheet gives them, and what stands for each in the dark.
VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--grid"} | {each: f"--c{k}" for k, each in enumerate(COLOURS)}
_DARK_COLOURS = ("#5ab4ec", "#f58a5f", "#3cc9a3", "#dd93cf", "#e3b04b", "#a79cf5", "#b9c86a", "#e08a8a")
DARK = ("#ececf0", "#a0a3ad", "#33363d", *_DARK_COLOURS)


@dataclass(frozen=True)
class Plot:
    """A picture for a page.

    Attributes:
        heading: read to those who do not see it.
        wide: SVG, as matplotlib wrote it.
        narrow: the same for a phone.
        readout: what :func:`readout` returns; None where there is nothing to read out.
    """

    heading: str
    wide: str
    narrow: str
    readout: Mapping[str, Any] | None


def plot(shown: Picture, sheet: Sheet) -> Plot:
    """Draw a picture for the page."""
    drawn = [draw(shown, sheet, form) for form in ("wide", "narrow")]
    read = readout(
        *drawn,
        at=shown.axis.names,
        x=shown.axis.places,
        curves={sheet.numbers[name]: curve for name, curve in shown.curves.items()},
    )
    wide, narrow = (save(figure, "svg", transparent=True).decode() for figure in drawn)
    return Plot(shown.heading, wide, narrow, read)


def readout(
    wide: Figure,
    narrow: Figure,
    *,
    at: Sequence[str],
    x: Float64[np.ndarray, " places"],
    curves: Mapping[int, Interval],
    said: Callable[[Interval], str] = with_interval,
) -> dict[str, Any]:
    """Return, as plain JSON, where curves run in a picture and what is said of each of their points.

    Args:
        wide: the picture in its wide form; all forms have the same limits.
        narrow: in its narrow form.
        at: what each place on the horizontal axis is called.
        x: the places.
        curves: agent's number -> values over the places; not finite where it has none to show.
        said: what is said of one point that has an interval.

    Returns:
        ``at``; ``x``, and of each curve ``y``, as shares of the axes' width and height; ``text`` of each point; ``boxes``:
        left, top, right and bottom of the axes in either form, in units of its SVG.
    """
    axes = wide.axes[0]

    def shares(points: Float64[np.ndarray, "points 2"], axis: int) -> list[float | None]:
        inside = axes.transAxes.inverted().transform(axes.transData.transform(points))[:, axis]
        return [round(float(share), 4) if math.isfinite(share) else None for share in inside]

    middle = np.full(len(x), axes.get_ylim()[0])
    return {
        "at": list(at),
        "x": shares(np.stack([x, middle], axis=1), 0),
        "boxes": [_box(figure) for figure in (wide, narrow)],
        "curves": {
            str(agent): {
                "y": shares(np.stack([x, curve.value], axis=1), 1),
                "text": _texts(curve, said),
            }
            for agent, curve in curves.items()
        },
    }


def _texts(curve: Interval, said: Callable[[Interval], str]) -> list[str]:
    """Return what is said of each point of a curve: without an interval where the curve has none."""
    texts = [said(curve[k]) for k in range(len(curve.value))]
    bare = np.array_equal(curve.low, curve.high, equal_nan=True)
    return [text.partition(" [")[0] for text in texts] if bare else texts


def _box(figure: Figure) -> list[float]:
    """Return left, top, right and bottom of the axes in points from the figure's upper left corner."""
    width, height = 72 * figure.get_size_inches()
    place = figure.axes[0].get_position()
    return [
        round(float(v), 2)
        for v in (place.x0 * width, (1 - place.y1) * height, place.x1 * width, (1 - place.y0) * height)
    ]


def figures(plots: Sequence[Plot], caption: str) -> str:
    """Return the pictures as HTML, each with a place for what is read out, and the data for it."""
    shown = "\n".join(figure(k, each, caption) for k, each in enumerate(plots))
    return f"{shown}\n{readouts(plots)}"


def figure(number: int, shown: Plot, caption: str) -> str:
    """Return a picture as HTML, with a place for what is read out.

    Args:
        number: its place among all pictures of the page.
        shown: the picture.
        caption: printed below.
    """
    return (
        f'<figure data-plot="{number}"><div class="wide">{_inline(shown.wide, f"w{number}", shown.heading)}</div>'
        f'<div class="narrow">{_inline(shown.narrow, f"n{number}", shown.heading)}</div>'
        f"<output hidden></output><figcaption>{escape(caption)}</figcaption></figure>"
    )


def readouts(plots: Sequence[Plot]) -> str:
    """Return, as HTML, the data for what is read out of all pictures of a page."""
    data = json.dumps([each.readout for each in plots], separators=(",", ":"))
    # Inside a script element HTML is not unescaped, and "<" could end it.
    data = data.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")
    return f'<script type="application/json" id="readouts">{data}</script>'


def switches(sheet: Sheet, agents: Sequence[str]) -> str:
    """Return a button for each agent; the script brings them to light.

    Args:
        sheet: of the pictures that have the agents.
        agents: those that can be switched: all but the baseline's replicas, which no picture has.
    """
    buttons = [
        f'<button type="button" aria-pressed="true" data-agent="{number}">{swatch(sheet.styles[name])}'
        f"<span>{escape(printable(name))}</span></button>"
        for name, number in sheet.numbers.items()
        if name in agents
    ]
    every = '<button type="button" aria-pressed="true" data-every>all</button>'
    return f'<div class="switches" role="group" aria-label="Agents shown" hidden>{"".join(buttons)}{every}</div>'


def swatch(style: Style) -> str:
    """Return a piece of a line as HTML."""
    colour, dash, width = style
    dashes = "none" if dash == "-" else " ".join(f"{length * width:g}" for length in dash[1])
    return (
        '<svg viewBox="0 0 28 4" aria-hidden="true">'
        f'<path d="M0 2H28" stroke="var({VARIABLES[colour]})" stroke-dasharray="{dashes}"/></svg>'
    )


def _inline(svg: str, prefix: str, heading: str) -> str:
    """Make a matplotlib SVG part of the page: the page's colours, identifiers of its own, a name for screen readers."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    # The page's policy forbids style attributes; SVG has an attribute for each of their properties.
    svg = re.sub(r' style="([^"]*)"', lambda found: re.sub(r"\s*([\w-]+): ([^;]+);?", r' \1="\2"', found[1]), svg)
    svg = re.sub(r'\bid="(agent(\d+)-)', r'data-agent="\2" id="\1', svg)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(url\(|href=")#', rf"\1#{prefix}-", svg)
    for colour, name in VARIABLES.items():
        svg = svg.replace(colour, f"var({name})")
    label = escape(heading, quote=True)
    return re.sub(r'<svg[^>]*?(viewBox="[^"]*")[^>]*>', rf'<svg \1 role="img" aria-label="{label}">', svg, count=1)
