"""Summaries and reports of simulated results: numbers, files, and what hostile names do to them."""

from __future__ import annotations

import base64
import csv
import dataclasses
import hashlib
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from duelgym.errors import DuelgymError
from duelgym_bench.curves_summary import summarise, table_columns
from duelgym_bench.page import page
from duelgym_bench.pictures import PICTURES, picture
from duelgym_bench.plots import spread
from duelgym_bench.ratio import Ratio
from duelgym_bench.report import markdown_tables, table_text, write_report
from duelgym_bench.report_tables import tables
from duelgym_bench.scored import References, Results, RunScores
from duelgym_bench.statistics import area_weights
from duelgym_bench.suite import SavedSuite
from duelgym_bench.suite_page import suite_page
from duelgym_bench.suite_report import suite_tables
from duelgym_bench.table import Table, as_markdown, as_text, decimals, format_ratio

CHECKPOINTS = np.array([0, 32, 160, 640, 1280, 3200, 6400])
AGENTS = {
    "passive": ("passive", "point", 0.66),
    "boltzmann": ("boltzmann", "point", 0.70),
    "thompson": ("double_thompson", "ensemble", 0.73),
    "passive-ensemble": ("passive", "ensemble", 0.67),
    "my.agent:build": (None, None, 0.60),
    "passive@1": ("passive", "point", 0.66),
}
HOSTILE = "<script>alert(1)</script>"


def simulated(n_seeds: int = 4, n_prompts: int = 30) -> Results:
    rng = np.random.default_rng(0)
    folds = [f"fold {seed % 2}" for seed in range(n_seeds)]
    effect = {fold: rng.normal(0, 0.1, n_prompts) for fold in folds}
    runs = []
    for agent, (rule, model, top) in AGENTS.items():
        for seed, fold in enumerate(folds):
            mean = 0.5 + (top - 0.5) * CHECKPOINTS / (CHECKPOINTS + 400)
            noise = rng.normal(0, 0.02, (len(CHECKPOINTS), n_prompts))
            win = np.clip(mean[:, None] + effect[fold] + noise, 0, 1)
            regret = np.cumsum(np.diff(CHECKPOINTS, prepend=0) * (0.7 - mean))
            runs.append(
                RunScores(
                    agent=agent,
                    rule=rule,
                    reward_model=model,
                    seed_index=seed,
                    prompt_group=fold,
                    checkpoints=CHECKPOINTS,
                    win=win,
                    win_reference=win * 0.8,
                    common=win * 0.9,
                    simple_regret=1 - win,
                    regret={"average": regret, "strong": 1.2 * regret, "weak": 0.8 * regret},
                    counters={"self_duels": 0, "repeated_pairs": 64, "retries": 5, "fallbacks": 2},
                    seconds={"select": 1.0, "simulate": 2.0, "learn": 5.4, "assess": 3.0},
                    labels={"gap": 0.2 * CHECKPOINTS, "bits": 0.1 * CHECKPOINTS},
                    accuracy={} if rule is None else {"random": mean, "best": mean + 0.1},
                    excess_nll={} if rule is None else {"marginal": 1.2 - mean + 0.01 * seed, "dyadic": 12 - mean},
                )
            )

    def policy(height: float) -> dict[str, np.ndarray]:
        return {fold: np.full(n_prompts, height) for fold in folds}

    references = References(
        policies={"uniform": policy(0.5), "longest answer": policy(0.68)},
        policies_reference={"uniform": policy(0.4), "longest answer": policy(0.5)},
        oracle=policy(0.95),
        supervised=policy(0.75),
        supervised_label="ridge regression on all utilities",
        bits_per_label=0.2,
    )
    return Results(
        title="SyntheticDuel-v0",
        command="duelgym-bench run --env SyntheticDuel-v0",
        versions={"duelgym": "0.1.0"},
        specification={"budget": 6400},
        tuned=(),
        baseline="passive",
        runs=tuple(runs),
        references=references,
    )


def hostile() -> Results:
    """One seed, one agent, two checkpoints, nothing optional, and names that would be markup or control codes."""
    win = np.array([[0.4, 0.5, 0.6], [0.5, 0.5, 0.6]])
    run = RunScores(
        agent=HOSTILE,
        rule=None,
        reward_model=None,
        seed_index=0,
        prompt_group="seed 0",
        checkpoints=np.array([0, 64]),
        win=win,
        win_reference=None,
        common=None,
        simple_regret=1 - win,
        regret={"average": np.array([0.0, 20.0])},
        counters={"self_duels": 0, "repeated_pairs": 3},
        seconds={"select": 0.1, "learn": 0.1},
    )
    references = References({"uni|form": {"seed 0": np.full(3, 0.5)}}, None, {"seed 0": np.full(3, 0.9)}, None, "", 0.1)
    title = "<b>$x_1$</b> \x1b[31m\N{CJK UNIFIED IDEOGRAPH-6F22} & co"
    return Results(title, f"run '{HOSTILE}'", {}, {"x": f"</pre>{HOSTILE}"}, (HOSTILE,), HOSTILE, (run,), references)


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


def test_summary_by_hand():
    """Row 0 of the resamples is the data: values must equal plain means."""
    results = simulated()
    summary = summarise(results, n_resamples=50)
    by_name = {agent.agent: agent for agent in summary.agents}
    own = [run for run in results.runs if run.agent == "thompson"]
    other = [run for run in results.runs if run.agent == "passive-ensemble"]
    mean, against = (np.mean([run.win.mean(axis=1) for run in runs], axis=0) for runs in (own, other))
    thompson = by_name["thompson"]
    np.testing.assert_allclose(thompson.win.value, mean)
    np.testing.assert_allclose(thompson.win_reference.value, 0.8 * mean)
    np.testing.assert_allclose(thompson.common.value, 0.9 * mean)
    np.testing.assert_allclose(thompson.simple_regret.value, 1 - mean)
    np.testing.assert_allclose(thompson.regret["weak"].value, 0.8 * own[0].regret["average"])
    np.testing.assert_allclose(thompson.labels["gap"].value, [np.nan, *[0.2] * 6])
    np.testing.assert_allclose(thompson.accuracy["best"].value, own[0].accuracy["best"])
    assert float(thompson.accuracy_mean["random"].value) == pytest.approx(
        area_weights(CHECKPOINTS) @ own[0].accuracy["random"]
    )
    assert thompson.seconds_per_1000["learn"] == pytest.approx(5.4 / 6.4)
    difference = next(d for d in summary.differences if d.agent == "thompson" and d.reward_model == "ensemble")
    assert difference.against == "passive-ensemble"
    np.testing.assert_allclose(difference.win.value, mean - against)
    longest = next(reference for reference in summary.references if reference.name == "longest answer")
    assert float(longest.area.value) == pytest.approx(0.18 / 0.45)
    assert (summary.n_seeds, summary.n_prompts, summary.budget) == (4, 60, 6400)


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


@pytest.mark.parametrize(
    ("value", "text"), [(0.6534, ".653"), (-0.0001, ".000"), (-0.25, "-.250"), (1.5, "1.500"), (10.25, "10.250")]
)
def test_decimals(value: float, text: str):
    assert decimals(value) == text
    assert decimals(value, signed=True).lstrip("+") == text


def test_comparisons_hold_the_reward_model_fixed_where_they_can():
    pairs = {(d.agent, d.against, d.reward_model) for d in summarise(simulated(), n_resamples=20).differences}
    assert pairs == {
        ("boltzmann", "passive", "point"),
        ("thompson", "passive-ensemble", "ensemble"),
        ("thompson", "passive", None),
        ("passive-ensemble", "passive", None),
        ("my.agent:build", "passive", None),
        ("passive@1", "passive", None),
    }


def test_others_can_be_subtracted_too_whatever_their_reward_models():
    plain = summarise(simulated(), n_resamples=20)
    summary = summarise(simulated(), against=["thompson", "passive"], n_resamples=20)
    more = [d for d in summary.differences if d.against == "thompson"]
    assert [d.agent for d in more] == [agent for agent in AGENTS if agent not in ("thompson", "passive@1")]
    before = [(d.agent, d.against, d.area.value) for d in plain.differences]
    assert [(d.agent, d.against, d.area.value) for d in summary.differences if d.against != "thompson"] == before
    win = {agent.agent: agent.win for agent in summary.agents}
    for each in more:
        assert each.win.value == pytest.approx(win[each.agent].value - win["thompson"].value)
    assert "agent minus thompson, whatever the reward model" in table_text(simulated(), summary)
    with pytest.raises(DuelgymError, match="'nobody' is not among the agents; there are runs of passive, "):
        summarise(simulated(), against=["nobody"], n_resamples=20)


def test_a_replica_is_checked_and_kept_out_of_the_pictures():
    results = simulated()
    summary = summarise(results, n_resamples=200)
    assert summary.check is not None
    assert f"check {summary.check.verdict}" in table_text(results)
    shown = picture("curves", results, summary)
    assert shown is not None
    assert list(shown.curves) == [agent for agent in AGENTS if agent != "passive@1"]
    without = dataclasses.replace(results, runs=tuple(run for run in results.runs if run.agent != "passive@1"))
    assert summarise(without, n_resamples=20).check is None


def test_every_picture_carries_the_references():
    results = simulated()
    summary = summarise(results, n_resamples=20)
    for name in ("curves", "common_learner"):
        assert picture(name, results, summary).references == {
            "oracle": pytest.approx(0.95),
            "supervised reference": pytest.approx(0.75),
            "uniform": pytest.approx(0.5),
            "longest answer": pytest.approx(0.68),
        }
    assert 0.0 in picture("regret", results, summary).references.values()


def test_any_agent_can_be_the_baseline():
    results = simulated()
    passive, other = (
        summarise(dataclasses.replace(results, baseline=name), n_resamples=50) for name in ("passive", "thompson")
    )
    assert set(passive.ratios) - set(other.ratios) == {"thompson"}
    assert set(other.ratios) - set(passive.ratios) == {"passive"}
    assert float(other.levels["final"].value) == float(
        next(agent for agent in other.agents if agent.agent == "thompson").win.value[-1]
    )
    assert other.check is None and ("passive", "thompson") in {(each.agent, each.against) for each in other.differences}


def test_profile_and_power_law_by_hand():
    results = simulated()
    summary = summarise(results, n_resamples=20)
    profile, law = (picture(name, results, summary) for name in ("profile", "power_law"))
    thompson = next(agent for agent in summary.agents if agent.agent == "thompson")
    above = [(thompson.areas > threshold).mean() for threshold in profile.axis.places]
    np.testing.assert_allclose(profile.curves["thompson"].value, above)
    assert max(value for agent in summary.agents for value in agent.areas) == profile.axis.places[-1]
    assert law.axis.measured_to == 6400 and law.axis.places[[0, -1]] == pytest.approx([32, 64_000])
    at = law.curves["thompson"].value[[0, -1]]
    np.testing.assert_allclose(at, 1 - 0.5 * (law.axis.places[[0, -1]] / thompson.fit.a.value) ** -thompson.fit.b.value)
    np.testing.assert_allclose(law.points["thompson"], [CHECKPOINTS[1:], thompson.win.value[1:]])
    one_seed = dataclasses.replace(results, runs=tuple(run for run in results.runs if run.seed_index == 0))
    assert picture("profile", one_seed, summarise(one_seed, n_resamples=20)) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: dataclasses.replace(r, baseline="missing"), "'missing' is not among the agents"),
        (lambda r: dataclasses.replace(r, runs=()), "there are no runs"),
        (lambda r: dataclasses.replace(r, runs=r.runs[:-1]), "finish the missing runs"),
        (
            lambda r: dataclasses.replace(r, runs=(*r.runs[:-1], dataclasses.replace(r.runs[-1], prompt_group="x"))),
            "different prompts",
        ),
    ],
)
def test_runs_that_do_not_fit_together_are_refused(change, message: str):
    with pytest.raises(DuelgymError, match=message):
        summarise(change(simulated()))


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


def test_report_is_complete_and_equal_results_give_equal_bytes(tmp_path: Path):
    results = simulated()
    first, second = write_report(results, tmp_path / "a"), write_report(results, tmp_path / "b")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    pictures = [f"{name}.{kind}" for name in PICTURES for kind in ("png", "svg")]
    assert names == sorted(["report.html", "results.json", "results.csv", *pictures])
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
    page = suite_page(suite, dict.fromkeys(names, summary), hostile(), "caption")
    tags = Tags()
    tags.feed(page)
    assert tags.tags.count("script") == 2 and "b" not in tags.tags
    links = [address for address in tags.addresses if not address.startswith("#")]
    assert links[:2] == ["./a%3D1/report.html", "./b%2Bc/report.html"]
    assert links[2].startswith("./javascript%3A%3Cscript") and len(links) == 3
    data = json.loads(page.partition('id="readouts">')[2].partition("</script>")[0])
    assert data[0]["at"] == [f"</script>{HOSTILE} {value}" for value in (1, 2, 3)]


def test_no_label_touches_another():
    wanted = np.array([0.0, 1.0, 1.0, 1.0, 50.0, 99.0, 100.0])
    places = spread(wanted, gap=10, length=100)
    assert (np.diff(places) >= 10 - 1e-9).all()
    assert places[0] >= 0
    assert places[-1] <= 100
    assert places[4] == 50


def test_experiments_together_by_hand():
    """Twice the same experiment says what it says alone; an agent that is not in both is left out."""
    summary = summarise(simulated(), n_resamples=50)
    less = dataclasses.replace(summary, agents=summary.agents[:-1])
    tables_of = suite_tables({"a": summary, "b": less}, "passive", None)
    rows = {row[0]: row[1:] for row in next(t for t in tables_of if t.title == "All experiments together").rows}
    assert set(rows) == {agent.agent for agent in less.agents}
    thompson = next(agent for agent in summary.agents if agent.agent == "thompson")
    over = next(d for d in summary.differences if (d.agent, d.against) == ("thompson", "passive"))
    assert rows["thompson"][0].startswith(f"{decimals(float(thompson.area_iqm.value))} [")
    assert rows["thompson"][1].startswith(f"{decimals(float(over.improvement.value))} [")
    assert rows["passive"][1] == ""
