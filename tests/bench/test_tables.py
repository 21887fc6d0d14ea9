"""Tables of simulated results: their cells, marks and columns, as text and as Markdown."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from simulated_results import AGENTS, CHECKPOINTS, simulated

from duelgym_bench.curves_summary import summarise, table_columns
from duelgym_bench.page import page
from duelgym_bench.plots import caption
from duelgym_bench.ratio import Ratio
from duelgym_bench.report import as_json, markdown_tables, table_text
from duelgym_bench.report_tables import tables
from duelgym_bench.scored import Results
from duelgym_bench.statistics import Interval, area_weights
from duelgym_bench.suite_report import suite_tables
from duelgym_bench.table import Table, as_markdown, as_text, decimals, format_ratio, whole


@pytest.mark.parametrize(
    ("value", "text"), [(0.6534, ".653"), (-0.0001, ".000"), (-0.25, "-.250"), (1.5, "1.500"), (10.25, "10.250")]
)
def test_decimals(value: float, text: str):
    assert decimals(value) == text
    assert decimals(value, signed=True).lstrip("+") == text


def uncertainty(results: Results) -> Table | None:
    return next((t for t in tables(results, summarise(results, n_resamples=20)) if t.title == "Uncertainty"), None)


def test_uncertainty_by_hand():
    """The mean over log labels of a + b - mean is a + b - that of the mean; four seeds add .015."""
    summary = summarise(simulated(), n_resamples=50)
    thompson = next(agent for agent in summary.agents if agent.agent == "thompson")
    mean = 0.5 + 0.23 * CHECKPOINTS / (CHECKPOINTS + 400)
    np.testing.assert_allclose(thompson.excess_nll["marginal"].value, 1.215 - mean)
    assert float(thompson.excess_nll_mean["marginal"].value) == pytest.approx(1.215 - area_weights(CHECKPOINTS) @ mean)
    assert (thompson.excess_nll["marginal"].low < 1.215 - mean).all()
    rows = {row[0]: row[1:] for row in uncertainty(simulated()).rows}
    last, weighted = 12 - mean[-1], 12 - area_weights(CHECKPOINTS) @ mean
    assert rows["thompson"][2:] == (
        f"{last:.3f} [{last:.3f} {last:.3f}]",
        f"{weighted:.3f} [{weighted:.3f} {weighted:.3f}]",
    )
    assert rows["my.agent:build"] == ("-",) * 4
    assert ".139 and 1.386" in uncertainty(simulated()).note  # .2 bits are .139 nats


def test_uncertainty_is_shown_only_of_agents_all_of_whose_runs_report_it():
    results = simulated()
    without = tuple(dataclasses.replace(run, excess_nll={}) for run in results.runs)
    assert uncertainty(dataclasses.replace(results, runs=without)) is None
    half = dataclasses.replace(results, runs=(*results.runs[:1], *without[1:2], *results.runs[2:]))
    rows = {row[0]: row[1:] for row in uncertainty(half).rows}
    assert rows["passive"] == ("-",) * 4 and "-" not in rows["boltzmann"]


def test_tables_mark_every_agent_as_tuned_or_not():
    results = simulated()
    assert "settings" not in tables(results, summarise(results, n_resamples=20))[0].header
    some = dataclasses.replace(results, tuned=("passive", "passive@1"))
    summary = summarise(some, n_resamples=20)
    win, differences, *_ = tables(some, summary)
    marks = {row[0]: row[win.header.index("settings")] for row in win.rows}
    expected = {
        agent: "tuned" if agent.startswith("passive") and agent != "passive-ensemble" else "untuned" for agent in AGENTS
    }
    assert marks == expected | dict.fromkeys(("oracle", "supervised reference", "uniform", "longest answer"), "")
    assert "each agent with its own settings" in differences.note
    assert table_text(some, summary).startswith("SyntheticDuel-v0  (partly tuned)")
    assert markdown_tables(some, summary).startswith("Partly tuned. ")
    assert '<span class="mark">partly tuned</span>' in page(some, summary, [win], [])
    assert dataclasses.replace(results, tuned=tuple(AGENTS)).tuned_mark == "tuned"
    for by_hand, mark in ((tuple(AGENTS), "set by hand"), (("thompson",), "partly set by hand")):
        set_by_hand = dataclasses.replace(results, by_hand=by_hand)
        assert set_by_hand.tuned_mark == mark
        marked = tables(set_by_hand, summary)[0]
        assert "set by hand" in {row[marked.header.index("settings")] for row in marked.rows}
        assert f'<span class="mark">{mark}</span>' in page(set_by_hand, summary, [win], [])


def test_code_that_changed_while_runs_were_made_is_told_below_every_picture():
    results = simulated()
    first, *others = results.runs
    kept = [dataclasses.replace(run, code=frozenset({"mine 12"})) for run in others if run.agent == first.agent]
    for version, told in (("12", False), ("34", True)):
        runs = (dataclasses.replace(first, code=frozenset({f"mine {version}", "lab 56"})), *kept)
        runs = (*runs, *(run for run in others if run.agent != first.agent))
        changed = dataclasses.replace(results, runs=runs)
        says = caption(changed, summarise(changed, n_resamples=20))
        assert (f"the code of {first.agent} changed" in says) == told
        assert f"mine {version}" in page(changed, summarise(changed, n_resamples=20), [], [])
        assert first.agent in changed.code and json.loads(as_json(changed, summarise(changed, n_resamples=20)))["code"]


def test_few_seeds_give_a_comparison_of_runs_no_interval():
    """With four seeds a resample is of one, which is all or nothing; the estimate is of all pairs of runs."""
    for n_seeds, ends in ((4, False), (5, True)):
        results = simulated(n_seeds)
        fewer = summarise(results, n_resamples=200)
        shares = {each.agent: each.improvement for each in fewer.differences}
        assert fewer.n_seeds == n_seeds
        assert all(bool(np.isfinite(share.low) and np.isfinite(share.high)) == ends for share in shares.values())
        assert all(-1e-9 <= share.value <= 1 + 1e-9 for share in shares.values())
        shown = {table.title: table for table in tables(results, fewer)}
        cells = [row[2] for row in shown["Areas of single runs"].rows if row[2]]
        assert cells and all(("[" in cell) == ends for cell in cells)
        assert ("5 seeds would give it an interval" in shown["Areas of single runs"].note) != ends
        if "Passive against itself" in shown:
            assert ("4 seeds decide nothing, 5 may" in shown["Passive against itself"].note) != ends


def test_a_level_at_which_passive_leads_itself_is_warned_of_whatever_the_verdict():
    results = simulated(5)
    summary = summarise(results, n_resamples=50)
    for verdict in ("passed", "FAILED", "undetermined"):
        check = dataclasses.replace(summary.check, levels={**summary.check.levels, "25%": verdict}, verdict="passed")
        levels = {level: of if level == "25%" else "passed" for level, of in check.levels.items()}
        checked = dataclasses.replace(summary, check=dataclasses.replace(check, levels=levels))
        (table,) = (t for t in tables(results, checked) if t.title == "Passive against itself")
        assert ("read no lead at it" in table.note) == (verdict == "FAILED")


def test_columns_of_tables():
    assert [int(CHECKPOINTS[k]) for k in table_columns(CHECKPOINTS)] == [640, 1280, 3200, 6400]
    other = np.array([0, 10, 20, 40, 80, 160, 320])
    assert [int(other[k]) for k in table_columns(other)] == [10, 40, 80, 320]
    assert table_columns(np.array([0, 64])) == (1,)


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (Ratio((2.0, 2.0), 1.5, 12.34), "2.00 [1.50 12.3]"),
        (Ratio((2.0, 2.0), 0.0, 3.0), "2.00 [n.r. 3.00]"),
        (Ratio((2.0, np.inf), 1.1, np.inf), ">= 2.00 [1.10 n.r.]"),
        (Ratio((0.0, 0.7), 0.0, 0.9), "not reached"),
        (Ratio((0.0, np.inf), 0.0, np.inf), "undetermined"),
        (Ratio((1.0, 1.3), 0.5, 2.0), "1.00 to 1.30 [0.50 2.00]"),
    ],
)
def test_censoring_is_printed(ratio: Ratio, text: str):
    assert format_ratio(ratio) == text


@pytest.mark.parametrize(
    "ends, text",
    [
        ((1239.6, 890.2, np.inf), "1 240 [890 n.r.]"),
        ((np.inf, 890.2, np.inf), "not reached"),
        ((np.nan, np.nan, np.nan), "-"),
    ],
)
def test_numbers_of_labels_are_whole_and_say_when_they_are_beyond_the_budget(ends: tuple[float, ...], text: str):
    assert whole(Interval(*map(np.float64, ends))) == text


def test_text_tables_keep_to_their_width_and_lose_no_cell():
    header = ("name", *(f"column {k}" for k in range(12)))
    table = Table("title", "note " * 60, header, (("n" * 200, *(f"cell-{k:02d}-{'x' * 8}" for k in range(12))),))
    text = as_text(table)
    assert max(map(len, text.splitlines())) <= 120
    assert all(f"cell-{k:02d}" in text for k in range(12))
    assert max(map(len, table_text(simulated()).splitlines())) <= 120


def test_markdown_escapes_what_would_break_a_table():
    rows = as_markdown(Table("t", "n", ("a", "b"), (("x|y", "<b>`*"),))).splitlines()
    assert rows[-1] == r"| x\|y | \<b\>\`\* |"


def test_experiments_together_by_hand():
    """Twice the same experiment says what it says alone; an agent that is not in both is left out."""
    summary = summarise(simulated(5), n_resamples=50)
    less = dataclasses.replace(summary, agents=summary.agents[:-1])
    tables_of = suite_tables({"a": summary, "b": less}, "passive", None)
    rows = {row[0]: row[1:] for row in next(t for t in tables_of if t.title == "All experiments together").rows}
    assert set(rows) == {agent.agent for agent in less.agents}
    thompson = next(agent for agent in summary.agents if agent.agent == "thompson")
    over = next(d for d in summary.differences if (d.agent, d.against) == ("thompson", "passive"))
    assert rows["thompson"][0].startswith(f"{decimals(float(thompson.area_iqm.value))} [")
    assert rows["thompson"][1].startswith(f"{decimals(float(over.improvement.value))} [")
    assert rows["passive"][1] == ""
    few = summarise(simulated(4), n_resamples=50)
    (shown,) = (t for t in suite_tables({"a": few, "b": few}, "passive", None) if t.title == "All experiments together")
    assert "5 seeds each would give that an interval" in shown.note
    assert all("[" in row[1] and "[" not in row[2] for row in shown.rows)
