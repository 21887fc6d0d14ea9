"""The report as one HTML page: no script, no request, pictures inline, light and dark, on a phone and on a wide screen."""

from __future__ import annotations

import json
import re
from html import escape
from typing import TYPE_CHECKING

from duelgym_bench.plots import COLOURS, GRID, INK, MUTED
from duelgym_bench.report_tables import Table, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duelgym_bench.scored import Results

# The colours of the pictures and what stands for each where the reader's device is set to dark.
_DARK = {
    INK: "#ececf0",
    MUTED: "#a0a3ad",
    GRID: "#33363d",
    **dict(
        zip(
            COLOURS,
            ("#5ab4ec", "#f58a5f", "#3cc9a3", "#dd93cf", "#e3b04b", "#a79cf5", "#b9c86a", "#e08a8a"),
            strict=True,
        )
    ),
}
_NAMES = {colour: f"--c{k}" for k, colour in enumerate(_DARK)}

_STYLE = """
:root{color-scheme:light dark;--page:#fff;--stripe:#f5f5f7;LIGHT}
@media (prefers-color-scheme:dark){:root{--page:#17181c;--stripe:#202228;DARK}}
body{margin:0 auto;max-width:72rem;padding:1rem;background:var(--page);color:var(INK);font:1rem/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;line-height:1.25;margin:.5rem 0;overflow-wrap:anywhere}
h2{font-size:1.1rem;margin:2.5rem 0 .25rem;overflow-wrap:anywhere}
p,figcaption{max-width:46rem;margin:.25rem 0 .75rem;color:var(MUTED);overflow-wrap:anywhere}
.mark{display:inline-block;border:1px solid;border-radius:.3rem;padding:0 .4rem;font-size:.8rem;color:var(INK)}
figure{margin:1.5rem 0}
figure svg{width:100%;height:auto;display:block}
.wide{display:none}
@media (min-width:44rem){.wide{display:block}.narrow{display:none}}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.3rem .8rem .3rem 0;white-space:nowrap}
thead th{border-bottom:1px solid var(MUTED);vertical-align:bottom}
tbody tr:nth-child(even) :is(th,td){background:var(--stripe)}
tbody th{font-weight:500;position:sticky;left:0;background:var(--page);min-width:7.5rem;max-width:11rem;white-space:normal;overflow-wrap:anywhere}
@media (min-width:44rem){tbody th{max-width:18rem}}
pre{overflow-x:auto;background:var(--stripe);padding:.75rem;font-size:.8rem;white-space:pre-wrap;overflow-wrap:anywhere}
"""

_TUNED = {
    "tuned": "The agents run with settings that were chosen by tuning.",
    "untuned": "The agents run with untuned settings.",
    "partly tuned": "Some agents run with settings that were chosen by tuning, others with their defaults: see the table.",
}


def page(results: Results, tables: Sequence[Table], pictures: Sequence[tuple[str, str, str]], caption: str) -> str:
    """Return the page.

    Args:
        results: whose title, command, versions and specification the page states.
        tables: in the order shown.
        pictures: (heading, wide SVG, narrow SVG), as matplotlib wrote them.
        caption: what is said below every picture.
    """
    title = escape(printable(results.title))
    mark = f'<p><span class="mark">{results.tuned_mark}</span> {_TUNED[results.tuned_mark]}</p>'
    figures = "\n".join(
        f'<figure><div class="wide">{_inline(wide, f"w{k}", heading)}</div>'
        f'<div class="narrow">{_inline(narrow, f"n{k}", heading)}</div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for k, (heading, wide, narrow) in enumerate(pictures)
    )
    supervised = printable(results.references.supervised_label)
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}: query efficiency</title>\n<style>{_stylesheet()}</style>\n</head>\n<body>\n<main>",
            f"<h1>{title}: how many labels does each agent need?</h1>",
            mark,
            figures,
            f"<p>Supervised reference: {escape(supervised)}.</p>" if results.references.supervised else "",
            *map(_table, tables),
            "<h2>Where this comes from</h2>",
            f"<pre>{escape(printable(results.command))}</pre>",
            f"<pre>{escape(_json(results.versions))}</pre>",
            f"<pre>{escape(_json(results.specification))}</pre>",
            "</main>\n</body>\n</html>\n",
        ]
    )


def _json(value: object) -> str:
    return json.dumps(value, indent=1, sort_keys=True, default=str)


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(printable(cell))}</th>' for cell in table.header)
    rows = "\n".join(
        f'<tr><th scope="row">{escape(printable(row[0]))}</th>'
        + "".join(f"<td>{escape(printable(cell))}</td>" for cell in row[1:])
        + "</tr>"
        for row in table.rows
    )
    return (
        f"<section><h2>{escape(printable(table.title))}</h2>\n<p>{escape(printable(table.note))}</p>\n"
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div></section>'
    )


def _stylesheet() -> str:
    light = ";".join(f"{name}:{colour}" for colour, name in _NAMES.items())
    dark = ";".join(f"{name}:{_DARK[colour]}" for colour, name in _NAMES.items())
    sheet = _STYLE.replace("LIGHT", light).replace("DARK", dark)
    return sheet.replace("INK", _NAMES[INK]).replace("MUTED", _NAMES[MUTED])


def _inline(svg: str, prefix: str, heading: str) -> str:
    """Make a matplotlib SVG part of the page: the page's colours, identifiers of its own, a name for screen readers."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(url\(|href=")#', rf"\1#{prefix}-", svg)
    for colour, name in _NAMES.items():
        svg = svg.replace(colour, f"var({name})")
    label = escape(heading, quote=True)
    return re.sub(r'<svg[^>]*?(viewBox="[^"]*")[^>]*>', rf'<svg \1 role="img" aria-label="{label}">', svg, count=1)
