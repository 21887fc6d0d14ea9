"""A table and its two plain forms, aligned text of at most 120 columns and Markdown; and how numbers are written in it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from duelgym_bench.ratio import Ratio
from duelgym_bench.statistics import Interval

WIDTH = 120
MISSING = "-"


@dataclass(frozen=True)
class Table:
    """A title, a note that says how to read it, a header, and rows whose first cell is a name."""

    title: str
    note: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def printable(text: str) -> str:
    """Return ``text`` on one line, with everything a terminal or an XML reader could trip over replaced."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def span(numbers: Collection[int]) -> str:
    """Return the one value of some whole numbers, or their range.

    >>> span([5, 5]), span([1309, 1280])
    ('5', '1 280 to 1 309')
    """
    ends = sorted({min(numbers), max(numbers)})
    return " to ".join(f"{end:,}".replace(",", " ") for end in ends)


def decimals(value: float, *, signed: bool = False) -> str:
    """Format a rate or a difference of rates with three decimals: ``.653``, ``+.041``."""
    if not math.isfinite(value):
        return MISSING
    rounded = round(value, 3) + 0.0  # -0.0 + 0.0 is 0.0: no "-.000"
    text = f"{rounded:{'+' if signed else ''}.3f}"
    return text if abs(rounded) >= 1 else text.replace("0.", ".", 1)


def with_interval(interval: Interval, *, signed: bool = False) -> str:
    """Format an estimate and its interval: ``.653 [.641 .665]``; ``.653`` where it has none."""
    value = decimals(float(interval.value), signed=signed)
    if math.isnan(interval.low):
        return value
    return f"{value} [{decimals(float(interval.low))} {decimals(float(interval.high))}]"


def whole(interval: Interval) -> str:
    """Format a number of queries and its interval, which may lie beyond the budget: ``1 240 [890 n.r.]``."""

    def number(value: float) -> str:
        return span([round(value)]) if math.isfinite(value) else "n.r."

    if not math.isfinite(interval.value):
        return MISSING if math.isnan(interval.value) else "not reached"
    return f"{number(float(interval.value))} [{number(float(interval.low))} {number(float(interval.high))}]"


def format_ratio(ratio: Ratio) -> str:
    """Format a ratio: its median and interval, or what censoring leaves of them."""

    def number(value: float) -> str:
        return (
            "n.r." if value == 0 or math.isinf(value) else f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"
        )

    least, most = ratio.median
    if least == 0:
        return "undetermined" if math.isinf(most) else "not reached"
    if math.isinf(most):
        median = f">= {number(least)}"
    elif most < 1.02 * least:
        median = number(least)
    else:
        median = f"{number(least)} to {number(most)}"
    return f"{median} [{number(ratio.low)} {number(ratio.high)}]"


def as_text(table: Table, width: int = WIDTH) -> str:
    """Return the table as aligned text, no line wider than ``width``.

    Long names are cut in the middle; columns that do not fit go on below, beside the same names.
    """
    columns = list(zip(table.header, *table.rows, strict=True))
    columns = [tuple(printable(cell) for cell in column) for column in columns]
    widths = [max(map(len, column)) for column in columns]
    name_width = min(widths[0], max(28, width - sum(w + 2 for w in widths[1:])), 48)
    names = [cut(name, name_width).ljust(name_width) for name in columns[0]]
    lines = [printable(table.title), *textwrap.wrap(printable(table.note), width), ""]
    start = 1
    while start < len(columns):
        stop, used = start, name_width
        while stop < len(columns) and (stop == start or used + widths[stop] + 2 <= width):
            used += widths[stop] + 2
            stop += 1
        for row, name in enumerate(names):
            cells = (columns[k][row].ljust(widths[k]) for k in range(start, stop))
            lines.append("  ".join([name, *cells]).rstrip()[:width])
            if row == 0:
                lines.append("-" * min(used, width))
        lines.append("")
        start = stop
    return "\n".join(lines)


def cut(text: str, width: int) -> str:
    """Shorten ``text`` to ``width`` characters by leaving out its middle."""
    if len(text) <= width:
        return text
    return text[: (width - 3) // 2] + "..." + text[len(text) - (width - 3 - (width - 3) // 2) :]


def as_markdown(table: Table) -> str:
    """Return the table as Markdown, every cell escaped."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(map(_escape_markdown, cells)) + " |"

    rule = "| --- |" + " --- |" * (len(table.header) - 1)
    rows = [line(row) for row in table.rows]
    title, note = _escape_markdown(table.title), _escape_markdown(table.note)
    return "\n".join([f"**{title}.** {note}", "", line(table.header), rule, *rows, ""])


def _escape_markdown(text: str) -> str:
    return "".join(f"\\{character}" if character in "\\`*_|<>[]#" else character for character in printable(text))
