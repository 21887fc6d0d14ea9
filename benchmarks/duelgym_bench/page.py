"""The report as one HTML page: no request, pictures inline, light and dark, on a phone and on a wide screen.

It is complete without its script, which the page names by its hash and which nothing else may join.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from duelgym_bench.curves import is_replica
from duelgym_bench.page_duels import duels_section
from duelgym_bench.page_pictures import DARK, VARIABLES, Plot, figures, switches
from duelgym_bench.plots import caption, report_sheet
from duelgym_bench.table import Table, printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from duelgym_bench.curves import Summary
    from duelgym_bench.scored import Results

SCRIPT = Path(__file__).with_name("page.js").read_text(encoding="utf-8")
STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
_TUNED = {
    "tuned": "The agents run with settings that were chosen by tuning.",
    "untuned": "The agents run with untuned settings.",
    "set by hand": "The agents run with settings that somebody chose, not tuning.",
    "partly tuned": "Some agents run with settings that were chosen by tuning, others do not: see the table.",
    "partly set by hand": "Some agents run with settings that somebody chose, others with their defaults: see the table.",
}


def page(results: Results, summary: Summary, tables: Sequence[Table], plots: Sequence[Plot]) -> str:
    """Return the page of a report.

    Args:
        results: whose title, command, versions, specification and duels the page states.
        summary: whose agents can be switched on and off, and what is said below every picture.
        tables: in the order shown.
        plots: the pictures, in the order shown.
    """
    title = printable(results.title)
    agents = [agent.agent for agent in summary.agents]
    switched = [agent for agent in agents if not is_replica(agent, results.baseline)]
    buttons = switches(report_sheet(results, summary), switched)
    supervised = printable(results.references.supervised_label)
    return document(
        f"{title}: query efficiency",
        f"<h1>{escape(title)}: how many labels does each agent need?</h1>",
        tuned_mark(results),
        f"<section>{buttons}\n{figures(plots, caption(results, summary))}</section>",
        f"<p>Supervised reference: {escape(supervised)}.</p>" if results.references.supervised else "",
        *map(table_section, tables),
        duels_section(results, agents, buttons),
        provenance(results.command, results.versions, results.specification, *([results.code] if results.code else [])),
    )


def document(title: str, *parts: str, style: str = STYLE, script: str = SCRIPT) -> str:
    """Return a whole HTML document that needs and may load nothing else.

    Args:
        title: plain text.
        parts: of its body, as HTML.
        style: its style sheet, after the colours.
        script: all that it may run.
    """
    style = _colours() + style
    policy = f"default-src 'none'; script-src {_hashed(script)}; style-src {_hashed(style)}; img-src data:"
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n<main>",
            *(part for part in parts if part),
            f"</main>\n<script>{script}</script>\n</body>\n</html>\n",
        ]
    )


def tuned_mark(results: Results) -> str:
    """Return, as HTML, whether the agents' settings were chosen by tuning."""
    return f'<p><span class="mark">{results.tuned_mark}</span> {_TUNED[results.tuned_mark]}</p>'


def provenance(command: str, *facts: Mapping[str, object]) -> str:
    """Return, as HTML, the commands that made the runs, one a line, and what else says where they come from."""
    shown = [
        "\n".join(map(printable, command.split("\n"))),
        *(json.dumps(each, indent=1, sort_keys=True, default=str) for each in facts),
    ]
    return "\n".join(["<h2>Where this comes from</h2>", *(f"<pre>{escape(text)}</pre>" for text in shown)])


def table_section(table: Table) -> str:
    """Return a table with its title and note as HTML."""
    head = "".join(f'<th scope="col">{escape(printable(cell))}</th>' for cell in table.header)
    rows = "\n".join(
        f'<tr><th scope="row">{_breakable(row[0])}</th>'
        + "".join(f"<td>{escape(printable(cell))}</td>" for cell in row[1:])
        + "</tr>"
        for row in table.rows
    )
    return (
        f"<section><h2>{escape(printable(table.title))}</h2>\n<p>{escape(printable(table.note))}</p>\n"
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div></section>'
    )


def _hashed(content: str) -> str:
    """Return a source of a content-security policy that allows this content alone."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _breakable(name: str) -> str:
    """Return a name as HTML that a narrow column breaks where its words end."""
    return re.sub(r"[_+]", r"\g<0><wbr>", escape(printable(name)))


def _colours() -> str:
    light, dark = (
        ";".join(f"{name}:{colour}" for name, colour in zip(VARIABLES.values(), colours, strict=True))
        for colours in (VARIABLES, DARK)
    )
    return (
        f"\n:root{{color-scheme:light dark;--page:#fff;--stripe:#f5f5f7;{light}}}\n"
        f"@media (prefers-color-scheme:dark){{:root{{--page:#17181c;--stripe:#202228;{dark}}}}}\n"
    )
