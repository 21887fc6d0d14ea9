"""A report of scored runs: pictures, one HTML page, every number as JSON and CSV, and tables for terminal and Markdown."""

from __future__ import annotations

import dataclasses
import json
import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from duelgym_bench.csv_files import curves_csv, seeds_csv
from duelgym_bench.curves import Summary
from duelgym_bench.curves_summary import summarise
from duelgym_bench.files import write_atomically
from duelgym_bench.page import page
from duelgym_bench.page_pictures import Plot, plot
from duelgym_bench.pictures import PICTURES, picture
from duelgym_bench.plots import caption, draw, report_sheet, save
from duelgym_bench.report_tables import tables
from duelgym_bench.scored import Results
from duelgym_bench.table import WIDTH, as_markdown, as_text, printable


@dataclass(frozen=True)
class ReportPaths:
    """Where a report's files lie.

    Attributes:
        page: the HTML page.
        json: every number.
        csv: curves as a long table.
        seeds: the same of each seed alone.
        pictures: name -> (SVG, PNG); without the pictures that there was nothing to draw for.
    """

    page: Path
    json: Path
    csv: Path
    seeds: Path
    pictures: Mapping[str, tuple[Path, Path]]


def write_report(results: Results, out: Path, summary: Summary | None = None) -> ReportPaths:
    """Write ``report.html``, ``results.json``, ``results.csv``, ``seeds.csv`` and the pictures into ``out``, each atomically.

    Equal results give equal bytes. A summary at hand saves computing it again.

    Raises:
        DuelgymError: the runs do not fit together (see :func:`~duelgym_bench.curves_summary.summarise`).
    """
    summary = summary or summarise(results)
    out.mkdir(parents=True, exist_ok=True)
    sheet = report_sheet(results, summary)
    inline: list[Plot] = []
    paths: dict[str, tuple[Path, Path]] = {}
    for name in PICTURES:
        files = out / f"{name}.svg", out / f"{name}.png"
        shown = picture(name, results, summary)
        if shown is None:
            # A picture of an earlier report beside the new numbers would mislead.
            for file in files:
                file.unlink(missing_ok=True)
            continue
        figure = draw(shown, sheet)
        write_atomically(files[0], save(figure, "svg"))
        write_atomically(files[1], save(figure, "png"))
        paths[name] = files
        inline.append(plot(shown, sheet))
    html = page(results, summary, tables(results, summary), inline)
    written = ReportPaths(out / "report.html", out / "results.json", out / "results.csv", out / "seeds.csv", paths)
    write_atomically(written.json, as_json(results, summary))
    write_atomically(written.csv, curves_csv(summary))
    write_atomically(written.seeds, seeds_csv(results))
    write_atomically(written.page, html)
    return written


def table_text(results: Results, summary: Summary | None = None, *, main: bool = False) -> str:
    """Return the tables for a terminal, or only the main ones; no line is wider than 120 columns."""
    head = f"{printable(results.title)}  ({results.tuned_mark})"
    summary = summary or summarise(results)
    says = textwrap.fill(caption(results, summary), WIDTH)
    return "\n".join([head, says, "", *map(as_text, tables(results, summary, main=main))])


def markdown_tables(results: Results, summary: Summary | None = None) -> str:
    """Return the tables as Markdown."""
    summary = summary or summarise(results)
    head = f"{results.tuned_mark.capitalize()}. "
    return "\n".join([head + caption(results, summary), "", *map(as_markdown, tables(results, summary))])


def as_json(results: Results, summary: Summary) -> str:
    """Return every number as JSON. What is not finite (the end of a censored interval) is null."""
    fields = ("title", "command", "versions", "specification", "tuned", "by_hand", "baseline", "code")
    content = {field: getattr(results, field) for field in fields}
    content["supervised_label"] = results.references.supervised_label
    content["bits_per_label"] = results.references.bits_per_label
    content["summary"] = summary
    return json.dumps(_plain(content), indent=1, allow_nan=False) + "\n"


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
