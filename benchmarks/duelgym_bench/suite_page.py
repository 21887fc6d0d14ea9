"""A suite's own page: what its experiments say side by side, with links to the page of each."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

import numpy as np

from duelgym_bench.files import write_atomically
from duelgym_bench.page import document, provenance, table_section, tuned_mark
from duelgym_bench.page_pictures import Plot, figures, readout, switches
from duelgym_bench.plots import Sheet, agent_numbers, agent_styles, intervals_note, save
from duelgym_bench.suite_plots import MEASURES, Measure, anything, draw_suite, measured, suite_agents, varied_numbers
from duelgym_bench.table import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from duelgym_bench.curves import Summary
    from duelgym_bench.scored import Results
    from duelgym_bench.suite_directory import SavedSuite
    from duelgym_bench.table import Table


def write_suite(
    suite: SavedSuite, summaries: Mapping[str, Summary], results: Results, tables: Sequence[Table], out: Path
) -> tuple[Path, ...]:
    """Write ``suite.html`` and its pictures, each as SVG and PNG, into ``out``, each atomically; return their paths.

    Args:
        suite: title, what it asks, and values.
        summaries: experiment -> its numbers, at least two.
        results: of the last experiment; all have its baseline, command and versions.
        tables: what :func:`~duelgym_bench.suite_report.suite_tables` makes of them.
        out: the suite's directory.
    """
    caption = f"{results.tuned_mark.capitalize()}. {intervals_note(*summaries.values())}"
    written = [out / "suite.html"]
    write_atomically(written[0], suite_page(suite, summaries, results, tables, caption))
    for measure in MEASURES:
        files: dict[Literal["svg", "png"], Path] = {
            "svg": out / f"{measure.file}.svg",
            "png": out / f"{measure.file}.png",
        }
        if not anything(measure, summaries, results.baseline):
            # A picture of an earlier report beside the new numbers would mislead.
            for file in files.values():
                file.unlink(missing_ok=True)
            continue
        drawn = draw_suite(suite, summaries, results.baseline, caption, measure=measure)
        for kind, file in files.items():
            write_atomically(file, save(drawn, kind))
        written.extend(files.values())
    return tuple(written)


def suite_page(
    suite: SavedSuite, summaries: Mapping[str, Summary], results: Results, tables: Sequence[Table], caption: str
) -> str:
    """Return the page; for the arguments see :func:`write_suite`."""
    agents = suite_agents(summaries, results.baseline)
    buttons = switches(Sheet(suite.title, agent_styles(agents, results.baseline)), agents)
    plots = [
        _plot(measure, suite, summaries, results.baseline)
        for measure in MEASURES
        if anything(measure, summaries, results.baseline)
    ]
    links = "".join(
        f'<li><a href="{quote(f"./{name}/report.html")}">{escape(printable(name))}</a></li>' for name in summaries
    )
    return document(
        printable(suite.title),
        f"<h1>{escape(printable(suite.title))}</h1>",
        tuned_mark(results),
        f"<p>{escape(printable(suite.about))}</p>" if suite.about else "",
        f"<section>{buttons}\n{figures(plots, caption)}</section>",
        *map(table_section, tables),
        f"<h2>Experiments</h2>\n<p>Each has a page of its own.</p>\n<ul>{links}</ul>",
        provenance(results.command, results.versions),
    )


def _plot(measure: Measure, suite: SavedSuite, summaries: Mapping[str, Summary], baseline: str) -> Plot:
    drawn = [draw_suite(suite, summaries, baseline, "", form, measure) for form in ("wide", "narrow")]
    agents, values = suite_agents(summaries, baseline), varied_numbers(suite, summaries)
    places = agent_numbers(agents, baseline)
    read = None
    if values is not None:
        read = readout(
            *drawn,
            at=[f"{printable(suite.varies or '')} {value:g}" for value in values],
            x=np.array(values),
            curves={places[agent]: measured(measure, summaries, agent) for agent in agents},
            said=measure.said,
        )
    heading = f"{printable(suite.title)}: {measure.heading}"
    wide, narrow = (save(figure, "svg", transparent=True).decode() for figure in drawn)
    return Plot(heading, wide, narrow, read)
