"""The tables of the leaderboard's page: the ranking of a round, its pairs of entries, and all submissions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

from duelgym_bench.leaderboard.records import SUBMISSION
from duelgym_bench.leaderboard.site_grid import Body, Column, cell, grid, mark
from duelgym_bench.leaderboard.site_pictures import asks
from duelgym_bench.page_pictures import swatch
from duelgym_bench.table import decimals, printable

if TYPE_CHECKING:
    from duelgym_bench.leaderboard.board import Board, Estimate, Row
    from duelgym_bench.leaderboard.site_files import Closed, Leaderboard, Submitted
    from duelgym_bench.plots import Sheet

BELOW_TRIVIAL = "not shown to beat trivial"


def row_names(board: Board, submissions: Mapping[str, Submitted]) -> dict[str, str]:
    """Return what each row is called in pictures: ``agent (team)``, with the date where that names two."""
    called = {row.name: row.name for row in board.rows}
    for row in board.rows:
        if row.kind == "entry":
            record = submissions[row.name].record
            called[row.name] = f"{record.agent} ({record.team})"
    taken = list(called.values())
    dates = {name: f" {submissions[name].record.date}" for name in called.keys() & submissions.keys()}
    return {name: f"{short}{dates.get(name, '') if taken.count(short) > 1 else ''}" for name, short in called.items()}


def ranking(closed: Closed, submissions: Mapping[str, Submitted], names: Mapping[str, str], drawn: Sheet) -> str:
    """Return the ranked table of a round as HTML, with trivial agents and limits apart below.

    Args:
        closed: the round and its board.
        submissions: name -> submission.
        names: row -> what it is called in pictures.
        drawn: how the pictures draw it.
    """
    board, ids = closed.board, closed.round.ids
    columns = [
        Column("Rank"),
        Column("Agent"),
        Column("Mean area", falling=True),
        *(Column(title, env) for env in ids for title in ("Area", "Win rate", "Labels ratio")),
        Column("Drop"),
        Column("Time"),
        Column("Files", sorts=False),
    ]
    asked = [row.area for row in board.rows if asks(row)]
    low, high = min((area.low for area in asked), default=0.0), max((area.high for area in asked), default=1.0)
    bodies: dict[str, list[tuple[str, str]]] = {"entry": [], "trivial": [], "limit": []}
    for row in board.rows:
        line = swatch(drawn.styles[names[row.name]]) if names[row.name] in drawn.styles else ""
        status = "verified" if row.kind == "entry" else row.kind
        cells = [
            f'<td class="rank">{row.rank or ""}</td>',
            _named(row, submissions.get(row.name), line),
            _drawn(row.area, low, high) if asks(row) else _estimate(row.area),
        ]
        for env in ids:
            on = row.on.get(env)
            cells += [_estimate(on.area), _estimate(on.win_rate), _labels(on.labels)] if on else [cell("")] * 3
        cells += [
            _estimate(row.drop, signed=True) if row.drop else cell(""),
            _seconds(row.seconds_per_query),
            _files(row, board.round),
        ]
        bodies[row.kind].append((status, "".join(cells)))
    return grid(
        f"ranking-{board.round}",
        f"Ranking of round {board.round}",
        columns,
        [
            Body(bodies["entry"]),
            Body(bodies["trivial"], "Not ranked: trivial agents and policies that ask nothing, which must lose"),
            Body(bodies["limit"], "Not ranked: limits"),
        ],
    )


def improvement(board: Board, names: Mapping[str, str]) -> str:
    """Return the table of pairs as HTML: the probability that a run of the row beats one of the column; empty without pairs."""
    entries = [row for row in board.rows if row.kind == "entry"]
    if len(entries) < 2:
        return ""
    head = "".join(
        f'<th scope="col"><abbr title="{escape(printable(names[row.name]), quote=True)}">#{k}</abbr></th>'
        for k, row in enumerate(entries, start=1)
    )
    rows = "\n".join(
        f'<tr><th scope="row">#{k + 1} {escape(printable(names[row.name]))}</th>{_chances(board.improvement[k], k)}</tr>'
        for k, row in enumerate(entries)
    )
    n_pairs = len(entries) * (len(entries) - 1)
    says = (
        f"Probability that a run of the row has a larger area than a run of the column: all {n_pairs} ordered pairs of "
        f"{len(entries)} entries in round {board.round}"
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-labelledby="pairs-{board.round}"><table class="pairs">'
        f'<caption><span id="pairs-{board.round}">{says}</span></caption>\n'
        f'<thead><tr><th scope="col">Entry</th>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>'
    )


def submitted_table(shown: Leaderboard) -> str:
    """Return the table of all submissions as HTML, with what each claims of its public runs."""
    found = list(shown.submissions.values())
    ids = sorted({env for each in found for env in each.record.runs})
    columns = [
        Column("Agent"),
        Column("Status"),
        Column("Round"),
        *(Column(title, env) for env in ids for title in ("Area", "Win rate")),
        Column("Time"),
        Column("About", sorts=False),
        Column("Licence"),
        Column("Files", sorts=False),
    ]
    return grid("submissions-table", "All submissions", columns, [Body([_submitted(each, ids) for each in found])])


def _submitted(shown: Submitted, ids: Iterable[str]) -> tuple[str, str]:
    record = shown.record
    claims = [record.runs[env].claims if env in record.runs else None for env in ids]
    weights = "; ".join(f"starts from {each.name} at {each.revision}" for each in record.pretrained)
    cells = [
        f'<th scope="row">{_agent(shown)}</th>',
        f"<td>{mark(shown.status, shown.status)}</td>",
        cell(record.round),
        *(
            cell(decimals(value), value)
            for claim in claims
            for value in ((claim.area, claim.win_rate) if claim else (float("nan"),) * 2)
        ),
        _seconds(record.compute.seconds_per_query, f"{record.compute.cpu}; accelerator: {record.compute.accelerator}"),
        cell(f"{record.about}{f' ({weights})' if weights else ''}", detail=f"Contact: {record.contact}", prose=True),
        cell(record.licence),
        f"<td>{_link(f'submissions/{record.name}/{SUBMISSION}', 'submission', record.name)} "
        f"{_link(f'submissions/{record.name}/runs/', 'logs', record.name)}</td>",
    ]
    return shown.status, "".join(cells)


def _named(row: Row, submitted: Submitted | None, line: str) -> str:
    if submitted is None:
        return f'<th scope="row">{line}{escape(printable(row.name))}</th>'
    marks = mark("verified", "verified") + (" " + mark(BELOW_TRIVIAL, "below") if not row.above_trivial else "")
    marks += " " + mark("text track", "track") if row.track == "text" else ""
    return f'<th scope="row">{line}{_agent(submitted)}<span class="marks">{marks}</span></th>'


def _agent(shown: Submitted) -> str:
    record = shown.record
    return f"<b>{escape(record.agent)}</b> <small>{escape(record.team)} <time>{record.date}</time></small>"


def _estimate(shown: Estimate, *, signed: bool = False) -> str:
    return cell(decimals(shown.value, signed=signed), shown.value, _ends(shown))


def _ends(shown: Estimate) -> str:
    return f"[{decimals(shown.low)} {decimals(shown.high)}]" if shown.low < shown.high else ""


def _drawn(shown: Estimate, low: float, high: float) -> str:
    """Return a cell with an estimate, and the same as a picture."""
    left, at, right = (
        f"{4 + 112 * (end - low) / max(high - low, 1e-9):.1f}" for end in (shown.low, shown.value, shown.high)
    )
    return (
        f'{_estimate(shown).removesuffix("</td>")}<svg class="drawn" viewBox="0 0 120 12" aria-hidden="true">'
        f'<path d="M4 6H116"/><path class="bar" d="M{left} 6H{right}"/><circle cx="{at}" cy="6" r="3.5"/></svg></td>'
    )


def _labels(text: str | None) -> str:
    """Return a cell with a ratio in words, its interval below; what has no number goes last."""
    value, _, ends = (text or "").partition(" [")
    number = re.search(r"\d*\.?\d+", value)
    return cell(value, float(number[0]) if number else float("nan"), f"[{ends}" if ends else "")


def _seconds(value: float | None, detail: str = "") -> str:
    if value is None:
        return cell("")
    text = f"{1000 * value:.2g} ms" if value < 0.0995 else f"{value:.2g} s" if value < 99.5 else f"{value:.0f} s"
    return cell(text, value, detail, prose=bool(detail))


def _files(row: Row, of_round: str) -> str:
    if row.kind != "entry":
        return cell("")
    submission = _link(f"submissions/{row.name}/{SUBMISSION}", "submission", row.name)
    return f"<td>{submission} {_link(f'rounds/{of_round}/runs/{row.name}/', 'logs', row.name)}</td>"


def _link(path: str, text: str, of: str) -> str:
    """Return a link into the leaderboard's files; the page lies one folder below them."""
    label = escape(printable(f"{text} of {of}"), quote=True)
    return f'<a href="../{escape(quote(path), quote=True)}" aria-label="{label}">{text}</a>'


def _chances(line: Sequence[float], own: int) -> str:
    return "".join(
        cell("") if k == own else f'<td class="p{round(10 * value)}">{decimals(value)}</td>'
        for k, value in enumerate(line)
    )
