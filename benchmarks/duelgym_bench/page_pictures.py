"""Pictures as a page has them: in its own colours, wide and narrow, with what its script needs to read values out.

Without the script they are static and complete. With it, values can be read by mouse, touch and arrow keys, and every agent
has a button that hides or shows what carries its number (the attribute ``data-agent``) anywhere on the page.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from duelgym_bench.curves import is_replica
from duelgym_bench.plots import COLOURS, GRID, INK, MUTED, agent_numbers, agent_styles, draw, save
from duelgym_bench.statistics import Interval
from duelgym_bench.table import printable, with_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from duelgym_bench.curves import Summary
    from duelgym_bench.pictures import Picture
    from duelgym_bench.scored import Results

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


def plot(shown: Picture, results: Results, summary: Summary) -> Plot:
    """Draw a picture for the page."""
    drawn = [draw(shown, results, summary, form) for form in ("wide", "narrow")]
    numbers = agent_numbers([agent.agent for agent in summary.agents], results.baseline)
    read = readout(
        *drawn,
        at=shown.axis.names,
        x=shown.axis.places,
        curves={numbers[name]: curve for name, curve in shown.curves.items()},
    )
    wide, narrow = (save(figure, "svg").decode() for figure in drawn)
    return Plot(shown.heading, wide, narrow, read)


def readout(
    wide: Figure,
    narrow: Figure,
    *,
    at: Sequence[str],
    x: Float64[np.ndarray, " places"],
    curves: Mapping[int, Interval],
) -> dict[str, Any]:
    """Return, as plain JSON, where curves run in a picture and what is said of each of their points.

    Args:
        wide: the picture in its wide form; all forms have the same limits.
        narrow: in its narrow form.
        at: what each place on the horizontal axis is called.
        x: the places.
        curves: agent's number -> values over the places; NaN where it has none.

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
                "text": [with_interval(curve[k]) for k in range(len(x))],
            }
            for agent, curve in curves.items()
        },
    }


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
    shown = "\n".join(
        f'<figure data-plot="{k}"><div class="wide">{_inline(each.wide, f"w{k}", each.heading)}</div>'
        f'<div class="narrow">{_inline(each.narrow, f"n{k}", each.heading)}</div>'
        f"<output hidden></output><figcaption>{escape(caption)}</figcaption></figure>"
        for k, each in enumerate(plots)
    )
    data = json.dumps([each.readout for each in plots], separators=(",", ":"))
    # Inside a script element HTML is not unescaped, and "<" could end it.
    data = data.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")
    return f'{shown}\n<script type="application/json" id="readouts">{data}</script>'


def switches(agents: Sequence[str], baseline: str) -> str:
    """Return a button for each agent but the baseline's replicas, which no picture has; the script brings them to light.

    Args:
        agents: all agents, in the order that gives them colours and numbers.
        baseline: the passive one.
    """
    buttons = []
    for number, (name, (colour, dash, width)) in enumerate(agent_styles(agents, baseline).items()):
        if name not in agents or is_replica(name, baseline):
            continue
        dashes = "" if dash == "-" else " ".join(f"{length * width:g}" for length in dash[1])
        style = f"stroke:var({VARIABLES[colour]});stroke-dasharray:{dashes or 'none'}"
        buttons.append(
            f'<button type="button" aria-pressed="true" data-agent="{number}"><svg viewBox="0 0 28 4" aria-hidden="true">'
            f'<path d="M0 2H28" style="{style}"/></svg><span>{escape(printable(name))}</span></button>'
        )
    every = '<button type="button" aria-pressed="true" data-every>all</button>'
    return f'<div class="switches" role="group" aria-label="Agents shown" hidden>{"".join(buttons)}{every}</div>'


def _inline(svg: str, prefix: str, heading: str) -> str:
    """Make a matplotlib SVG part of the page: the page's colours, identifiers of its own, a name for screen readers."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="(agent(\d+)-)', r'data-agent="\2" id="\1', svg)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(url\(|href=")#', rf"\1#{prefix}-", svg)
    for colour, name in VARIABLES.items():
        svg = svg.replace(colour, f"var({name})")
    label = escape(heading, quote=True)
    return re.sub(r'<svg[^>]*?(viewBox="[^"]*")[^>]*>', rf'<svg \1 role="img" aria-label="{label}">', svg, count=1)
