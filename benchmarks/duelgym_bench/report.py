"""A report of scored runs: pictures, one HTML page, every number as JSON and CSV, and tables for terminal and Markdown."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from duelgym_bench.curves import Summary
from duelgym_bench.curves_summary import summarise
from duelgym_bench.files import write_atomically
from duelgym_bench.page import page
from duelgym_bench.page_pictures import Plot, plot
from duelgym_bench.pictures import PICTURES, picture
from duelgym_bench.plots import caption, draw, report_sheet, save
from duelgym_bench.report_tables import tables
from duelgym_bench.scored import Results
from duelgym_bench.statistics import Interval
from duelgym_bench.table import WIDTH, as_markdown, as_text, printable


@dataclass(frozen=True)
class ReportPaths:
    """Where a report's files lie.

    Attributes:
        page: the HTML page.
        json: every number.
        csv: curves as a long table.
        pictures: name -> (SVG, PNG); without the pictures that there was nothing to draw for.
    """

    page: Path
    json: Path
    csv: Path
    pictures: Mapping[str, tuple[Path, Path]]


def write_report(results: Results, out: Path, summary: Summary | None = None) -> ReportPaths:
    """Write ``report.html``, ``results.json``, ``results.csv`` and the pictures into ``out``, each atomically.

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
    written = ReportPaths(out / "report.html", out / "results.json", out / "results.csv", paths)
    write_atomically(written.json, as_json(results, summary))
    write_atomically(written.csv, as_csv(summary))
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


def as_csv(summary: Summary) -> str:
    """Return a long table: one line for each agent (or reference), quantity and checkpoint (none for areas and fits)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["agent", "quantity", "checkpoint", "mean", "low", "high", "seeds", "prompts"])
    for name, quantity, interval in _curves(summary):
        for k, checkpoint in enumerate(summary.checkpoints):
            at = interval[k] if interval.value.ndim else interval
            numbers = (repr(float(x)) for x in (at.value, at.low, at.high))
            writer.writerow([name, quantity, int(checkpoint), *numbers, summary.n_seeds, summary.n_prompts])
    for name, quantity, of in _scalars(summary):
        numbers = (repr(float(x)) for x in (of.value, of.low, of.high))
        writer.writerow([name, quantity, "", *numbers, summary.n_seeds, summary.n_prompts])
    return text.getvalue()


def _scalars(summary: Summary) -> Iterator[tuple[str, str, Interval]]:
    for agent in summary.agents:
        yield agent.agent, "area", agent.area
        yield agent.agent, "area_iqm", agent.area_iqm
        for share, cost in agent.queries_to.items():
            yield agent.agent, f"queries_to_{share}", cost
        if agent.fit is not None:
            yield agent.agent, "fit_a", agent.fit.a
            yield agent.agent, "fit_b", agent.fit.b
        for k, threshold in enumerate(summary.thresholds):
            yield agent.agent, f"profile_above_{threshold:.4f}", agent.profile[k]
    for reference in summary.references:
        yield reference.name, "area", reference.area
    for difference in summary.differences:
        yield f"{difference.agent} - {difference.against}", "area_difference", difference.area
        yield f"{difference.agent} - {difference.against}", "probability_of_improvement", difference.improvement


def _curves(summary: Summary) -> Iterator[tuple[str, str, Interval]]:
    for agent in summary.agents:
        yield agent.agent, "win", agent.win
        if agent.win_reference is not None:
            yield agent.agent, "win_reference", agent.win_reference
        if agent.common is not None:
            yield agent.agent, "common", agent.common
        yield agent.agent, "simple_regret", agent.simple_regret
        for kind, regret in agent.regret.items():
            yield agent.agent, f"{kind}_regret", regret
        for kind, label in agent.labels.items():
            yield agent.agent, f"{kind}_per_label", label
        for kind, accuracy in agent.accuracy.items():
            yield agent.agent, f"{kind}_accuracy", accuracy
        for kind, excess in agent.excess_nll.items():
            yield agent.agent, f"{kind}_excess_nll", excess
    for reference in summary.references:
        yield reference.name, "win", reference.win
        if reference.win_reference is not None:
            yield reference.name, "win_reference", reference.win_reference
    for difference in summary.differences:
        yield f"{difference.agent} - {difference.against}", "win_difference", difference.win
