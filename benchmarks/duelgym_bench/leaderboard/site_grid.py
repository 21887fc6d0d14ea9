"""A table for people and machines to go through: a caption, heads that group columns, and rows to sort and to filter.

Every cell is complete as text; what the script sorts by stands beside it in ``data-value``, and what it filters by in
``data-status``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from duelgym_bench.table import MISSING, printable


@dataclass(frozen=True)
class Column:
    """A column's head.

    Attributes:
        title: of the column.
        group: what it stands under, with its neighbours; empty where it stands alone.
        sorts: whether rows can be sorted by it.
        falling: whether the rows stand, as they are, in falling order of it.
    """

    title: str
    group: str = ""
    sorts: bool = True
    falling: bool = False


@dataclass(frozen=True)
class Body:
    """Rows that stay together however the table is sorted: (status, cells as HTML); a title where they stand apart."""

    rows: Sequence[tuple[str, str]]
    title: str = ""


def grid(name: str, caption: str, columns: Sequence[Column], bodies: Sequence[Body]) -> str:
    """Return a table as HTML.

    Args:
        name: identifies it on the page.
        caption: what it shows.
        columns: all heads, those of a group side by side.
        bodies: rows.
    """
    filled = [body for body in bodies if body.rows]
    return (
        f"{_filter(name, caption, filled)}\n"
        f'<div class="scroll" tabindex="0" role="region" aria-labelledby="{name}-caption">'
        f'<table class="grid" id="{name}"><caption><span id="{name}-caption">{escape(printable(caption))}</span></caption>\n'
        f"<thead>{_head(columns)}</thead>\n{''.join(_body(body, len(columns)) for body in filled)}</table></div>"
    )


def cell(text: str, value: float | None = None, detail: str = "", *, prose: bool = False) -> str:
    """Return a cell as HTML.

    Args:
        text: what it says; a dash where that is nothing.
        value: what it is sorted by, where that is not its text.
        detail: said below, in small.
        prose: whether lines may break.
    """
    by = "" if value is None else f' data-value="{value!r}"'
    below = f" <small>{escape(printable(detail))}</small>" if detail else ""
    kind = ' class="prose"' if prose else ""
    return f"<td{kind}{by}>{escape(printable(text)) or MISSING}{below}</td>"


def mark(text: str, kind: str) -> str:
    """Return a badge as HTML."""
    return f'<span class="badge {kind}">{escape(text)}</span>'


def _filter(name: str, caption: str, bodies: Sequence[Body]) -> str:
    statuses = list(dict.fromkeys(status for body in bodies for status, _ in body.rows))
    options = "".join(f'<option value="{status}">{status}</option>' for status in statuses)
    return (
        f'<div class="filter" data-table="{name}" role="search" aria-label="Rows of: {escape(printable(caption), quote=True)}" '
        'hidden><label>Filter <input type="search" autocomplete="off" placeholder="agent, team, …"></label>'
        f'<label>Status <select><option value="">every</option>{options}</select></label>'
        '<p role="status" aria-live="polite"></p></div>'
    )


def _head(columns: Sequence[Column]) -> str:
    grouped = any(column.group for column in columns)
    first: list[str] = []
    second: list[str] = []
    for group, members in groupby(enumerate(columns), lambda item: item[1].group):
        heads = [_column(number, column, 2 if grouped and not group else 1) for number, column in members]
        if group:
            first.append(f'<th scope="colgroup" colspan="{len(heads)}" class="group">{escape(printable(group))}</th>')
        (second if group else first).extend(heads)
    return f"<tr>{''.join(first)}</tr>" + (f"<tr>{''.join(second)}</tr>" if second else "")


def _column(number: int, column: Column, rows: int) -> str:
    sorts = f' data-column="{number}"' if column.sorts else ""
    falling = ' aria-sort="descending"' if column.falling else ""
    span = f' rowspan="{rows}"' if rows > 1 else ""
    return f'<th scope="col"{span}{sorts}{falling}>{escape(printable(column.title))}</th>'


def _body(body: Body, width: int) -> str:
    apart = (
        f'<tr class="apart"><th scope="rowgroup" colspan="{width}"><span>{escape(body.title)}</span></th></tr>\n'
        if body.title
        else ""
    )
    rows = "\n".join(f'<tr data-status="{status}">{cells}</tr>' for status, cells in body.rows)
    return f"<tbody>\n{apart}{rows}\n</tbody>\n"
