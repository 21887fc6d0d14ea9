"""Reports of simulated results: files, and what hostile names do to them."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from simulated_results import HOSTILE, hostile, simulated

from duelgym_bench import cli, commands
from duelgym_bench.curves_summary import summarise
from duelgym_bench.page import provenance
from duelgym_bench.pictures import PICTURES
from duelgym_bench.plots import intervals_note, spread
from duelgym_bench.report import markdown_tables, table_text, write_report
from duelgym_bench.report_tables import tables
from duelgym_bench.statistics import Interval
from duelgym_bench.suite_directory import SavedSuite
from duelgym_bench.suite_page import suite_page, write_suite
from duelgym_bench.suite_report import suite_tables


class Tags(HTMLParser):
    """Collects every tag and the address of everything that would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in {"src", "href", "xlink:href", "data", "action"}:
                self.addresses.append(value or "")
            if name == "id":
                self.ids.append(value or "")


def test_report_is_complete_and_equal_results_give_equal_bytes(tmp_path: Path):
    results = simulated()
    first, second = write_report(results, tmp_path / "a"), write_report(results, tmp_path / "b")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    pictures = [f"{name}.{kind}" for name in PICTURES for kind in ("png", "svg")]
    assert names == sorted(["report.html", "results.json", "results.csv", "seeds.csv", *pictures])
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    assert set(first.pictures) == set(PICTURES)
    numbers = json.loads(first.json.read_text())
    assert numbers["summary"]["agents"][0]["win"]["value"] == pytest.approx(
        list(np.mean([run.win.mean(axis=1) for run in results.runs if run.agent == "passive"], axis=0))
    )
    with second.csv.open() as file:
        rows = list(csv.DictReader(file))
    last = next(r for r in rows if (r["agent"], r["quantity"], r["checkpoint"]) == ("thompson", "win", "6400"))
    assert float(last["low"]) < float(last["mean"]) < float(last["high"])
    with second.seeds.open() as file:
        by_seed = [
            float(r["value"])
            for r in csv.DictReader(file)
            if (r["agent"], r["quantity"], r["checkpoint"]) == ("thompson", "win", "6400")
        ]
    assert len(by_seed) == int(last["seeds"]) and np.mean(by_seed) == pytest.approx(float(last["mean"]))
    shown = first.page.read_text()
    assert "untuned" in shown
    for table in tables(results, summarise(results)):
        assert all(cell in shown for row in table.rows for cell in row if ">" not in cell)


def test_report_of_hostile_names_is_plain_text(tmp_path: Path):
    (tmp_path / "common_learner.svg").write_text("of an earlier report")
    paths = write_report(hostile(), tmp_path)
    assert set(paths.pictures) == {"curves", "regret"}
    assert not (tmp_path / "common_learner.svg").exists()
    page = paths.page.read_text()
    tags = Tags()
    tags.feed(page)
    assert not set(tags.tags) & {"b", "link", "img", "iframe", "object", "base"}
    assert tags.tags.count("script") == 2  # the data, and the page's own, which the policy names by its hash
    assert tags.addresses
    assert all(address.startswith("#") for address in tags.addresses)
    assert len(set(tags.ids)) == len(tags.ids)
    own = hashlib.sha256(page.rpartition("<script>")[2].partition("</script>")[0].encode()).digest()
    policy = f"default-src 'none'; script-src 'sha256-{base64.b64encode(own).decode()}'; style-src"
    assert f'http-equiv="Content-Security-Policy" content="{policy}' in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "untuned" not in page
    for text in (page, table_text(hostile()), markdown_tables(hostile())):
        assert "\x1b" not in text
    assert HOSTILE not in markdown_tables(hostile())
    json.loads(paths.json.read_text())


def test_a_suite_of_hostile_names_is_plain_text_and_links_to_its_experiments():
    summary = summarise(hostile(), n_resamples=20)
    names = {"a=1": 1, "b+c": 2, f"javascript:{HOSTILE}": 3}
    suite = SavedSuite(f"title {HOSTILE}", f"about {HOSTILE}", f"</script>{HOSTILE}", names, {})
    summaries = dict.fromkeys(names, summary)
    found = suite_tables(summaries, hostile().baseline, suite.varies)
    page = suite_page(suite, summaries, hostile(), found, "caption")
    tags = Tags()
    tags.feed(page)
    assert tags.tags.count("script") == 2 and "b" not in tags.tags
    links = [address for address in tags.addresses if not address.startswith("#")]
    assert links[:2] == ["./a%3D1/report.html", "./b%2Bc/report.html"]
    assert links[2].startswith("./javascript%3A%3Cscript") and len(links) == 3
    data = json.loads(page.partition('id="readouts">')[2].partition("</script>")[0])
    assert data[0]["at"] == [f"</script>{HOSTILE} {value}" for value in (1, 2, 3)]


def test_a_suite_says_over_how_much_the_intervals_of_all_its_experiments_are():
    whole = summarise(simulated(), n_resamples=20)
    assert intervals_note(whole) == "Intervals: 95 %, over 4 seeds and 60 assessment prompts."
    several = [replace(whole, n_prompts=1309), replace(whole, n_seeds=20, n_prompts=1280), whole]
    assert intervals_note(*several) == "Intervals: 95 %, over 4 to 20 seeds and 60 to 1 309 assessment prompts."
    one = replace(whole, n_seeds=1)
    assert (
        intervals_note(one)
        == "Intervals: 95 %, over 1 seed and 60 assessment prompts (too narrow: fewer than 4 seeds)."
    )
    assert "1 to 4 seeds and 60 assessment prompts (too narrow" in intervals_note(whole, one)


NEVER = {"25%": Interval(*np.full(3, np.inf))}


def test_a_suite_s_files_have_the_note_of_all_experiments(tmp_path):
    summary = summarise(simulated(), n_resamples=20)
    summaries = {"first": replace(summary, n_seeds=5, n_prompts=1280), "last": summary}
    suite = SavedSuite("a suite", "", None, dict.fromkeys(summaries), {})
    page, *pictures = write_suite(suite, summaries, simulated(), (), tmp_path)
    assert "over 4 to 5 seeds and 60 to 1 280 assessment prompts" in page.read_text()
    for svg in pictures[::2]:
        assert "over 4 to 5 seeds and 60 to 1 280 assessment prompts" in svg.read_text()
    assert [file.name for file in pictures[::2]] == ["suite.svg", "suite-labels.svg"]
    never = replace(summary, agents=tuple(replace(agent, queries_to=NEVER) for agent in summary.agents))
    assert len(write_suite(suite, dict.fromkeys(summaries, never), simulated(), (), tmp_path)) == 3
    assert not pictures[2].exists()  # it showed other runs


def test_every_command_that_made_the_runs_has_a_line_of_its_own():
    shown = provenance(f"duelgym-bench run --seeds 1\nduelgym-bench run --title '{HOSTILE}\x1b'")
    assert "<pre>duelgym-bench run --seeds 1\nduelgym-bench run --title" in shown
    assert HOSTILE not in shown and "\x1b" not in shown


def test_no_label_touches_another():
    wanted = np.array([0.0, 1.0, 1.0, 1.0, 50.0, 99.0, 100.0])
    places = spread(wanted, gap=10, length=100)
    assert (np.diff(places) >= 10 - 1e-9).all()
    assert places[0] >= 0
    assert places[-1] <= 100
    assert places[4] == 50


@pytest.mark.parametrize("gone", [True, False])
def test_only_a_reader_that_is_gone_is_no_error_to_tell(monkeypatch, capsys, gone):
    def broken(options, given):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(commands, "report", broken)
    monkeypatch.setattr(cli, "reader_gone", lambda: gone)
    assert cli.main(["report", "runs"]) == 1
    assert capsys.readouterr().err == ("" if gone else "duelgym-bench: error: [Errno 32] Broken pipe\n")
