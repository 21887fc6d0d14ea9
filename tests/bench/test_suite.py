"""Suites: experiments written down as TOML, run and reported together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from quick_commands import bench

from duelgym.errors import SpecificationError
from duelgym_bench.locks import alone
from duelgym_bench.plan import check_plan
from duelgym_bench.plan_directory import load_plan
from duelgym_bench.statistics import Interval
from duelgym_bench.suite import load_suite, planned, resized, suite_names, suite_of, titled
from duelgym_bench.suite_directory import SavedSuite, save_suite, saved_suite
from duelgym_bench.suite_plots import LABELS, draw_suite

SMALL = {"env": "SyntheticDuel-v0", "agents": ["passive-ensemble", "greedy+ensemble"], "queries": 64, "seeds": 1}


@pytest.mark.parametrize("name", suite_names())
def test_our_own_suites_run(name, pool_path):
    suite = load_suite(name)
    assert suite.title and suite.about
    pool = {"pool": str(pool_path)} if name == "alpaca-eval" else {}
    for experiment in resized(suite, queries=None, seeds=None, env_kwargs=pool).experiments:
        check_plan(experiment.plan)


def test_the_suites_that_are_promised_are_there():
    promised = {"quick", "ee2024", "alpaca-eval", "noise", "dimension", "candidates", "batch", "budget"}
    assert {*suite_names()} == promised
    ee2024 = load_suite("ee2024").experiments[0].plan
    assert (ee2024.env, ee2024.queries, ee2024.batch, ee2024.seeds) == ("LLMDuel-v0", 40_000, 32, 20)
    values = [each.value for each in load_suite("dimension").experiments]
    assert (min(values), max(values)) == (2, 512)
    kinds = [
        layer["name"] for each in load_suite("noise").experiments for layer in each.plan.env_kwargs.get("simulator", ())
    ]
    wrappers = {"flip", "drifting", "intransitive", "position_bias", "length_bias", "mixture", "irrational"}
    assert {*kinds} == {"bradley_terry", "deterministic", *wrappers}


def test_a_varied_argument_makes_one_experiment_of_each_value():
    table = {**SMALL, "env_kwargs": {"n_candidates": 4}, "vary": {"argument": "dimension", "values": [2, 8]}}
    suite = suite_of(table, "mine")
    assert [(each.name, each.value) for each in suite.experiments] == [("dimension=2", 2), ("dimension=8", 8)]
    assert [each.plan.env_kwargs for each in suite.experiments] == [{"n_candidates": 4, "dimension": d} for d in (2, 8)]
    assert suite.experiments[1].plan.title == "mine (dimension=8)"
    batches = suite_of({**SMALL, "vary": {"argument": "batch", "values": [1, 64]}}, "mine")
    assert [(each.plan.batch, each.plan.env_kwargs) for each in batches.experiments] == [(1, {}), (64, {})]


def test_an_experiment_changes_what_it_names():
    listed = [{"name": "plain"}, {"name": "hot", "seeds": 3, "env_kwargs": {"temperature": 2.0}}]
    suite = suite_of({**SMALL, "env_kwargs": {"dimension": 4}, "experiment": listed}, "mine")
    plain, hot = (each.plan for each in suite.experiments)
    assert (plain.seeds, plain.env_kwargs) == (1, {"dimension": 4})
    assert (hot.seeds, hot.env_kwargs) == (3, {"dimension": 4, "temperature": 2.0})
    assert suite.varies is None and plain.batch == 32


def test_other_sizes_are_printed_in_the_titles(tmp_path):
    def titles(suite, there=(), **sizes):
        plans = planned(
            resized(suite, **{"queries": None, "seeds": None, "env_kwargs": {}, **sizes}), tmp_path, command=""
        )
        held = {out: replace(plan, seeds=max(plan.seeds, *there, 0)) for out, plan in plans.items()}
        named, plans = titled(suite, plans, held)
        return [named.title, *(plan.title for plan in plans.values())]

    suite = suite_of(SMALL, "mine")
    plan = resized(suite, queries=32, seeds=2, env_kwargs={"dimension": 3}).experiments[0].plan
    assert (plan.queries, plan.seeds, plan.env_kwargs) == (32, 2, {"dimension": 3})
    assert titles(suite, queries=32, seeds=2) == ["mine, resized to queries = 32, seeds = 2"] * 2
    listed = [{"name": "plain"}, {"name": "more", "seeds": 3}]
    several = suite_of({**SMALL, "experiment": listed}, "mine")
    assert titles(several) == ["mine", "mine (plain)", "mine (more)"]
    assert titles(several, seeds=3) == [
        "mine, resized to seeds = 3",
        "mine (plain), resized to seeds = 3",
        "mine (more)",
    ]
    assert titles(several, there=(2,)) == [
        "mine, resized to seeds = 2 to 3",
        "mine (plain), resized to seeds = 2",
        "mine (more)",
    ]
    lengths = suite_of({**SMALL, "vary": {"argument": "queries", "values": [32, 64]}}, "mine")
    with pytest.raises(SpecificationError, match="leave --queries out"):
        resized(lengths, queries=32, seeds=None, env_kwargs={})


@pytest.mark.parametrize(
    ("changes", "kwargs", "words"),
    [
        (
            {"vary": {"argument": "dimension", "values": [2, 4]}},
            {"n_candidates": 4, "dimension": 4},
            "dimension=2 of suite mine sets dimension itself",
        ),
        (
            {"experiment": [{"name": "plain"}, {"name": "hot", "env_kwargs": {"temperature": 2.0}}]},
            {"temperature": 1.0},
            "experiment hot of suite mine sets temperature itself; leave that out of --env-kwargs",
        ),
    ],
)
def test_what_tells_experiments_apart_cannot_be_made_the_same_for_all(changes, kwargs, words):
    suite = suite_of({**SMALL, "env_kwargs": {"utility": "linear"}, **changes}, "mine")
    with pytest.raises(SpecificationError, match=words):
        resized(suite, queries=None, seeds=None, env_kwargs=kwargs)
    others = resized(suite, queries=None, seeds=None, env_kwargs={"utility": "random_features"}).experiments
    assert {each.plan.env_kwargs["utility"] for each in others} == {"random_features"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"agent": ["a"]}, "no key is called 'agent'; known: env, env_kwargs, agents"),
        ({"queries": "64"}, "queries is '64'; it must be of type int"),
        ({"seeds": True}, "seeds is True"),
        ({"agents": ["passive", 1]}, "each must be a name"),
        ({"vary": {"argument": "dimension"}}, r"\[vary\]: has no 'values'"),
        ({"vary": {"argument": "dimension", "values": []}}, "has no experiment"),
        ({"vary": {"argument": "dimension", "values": [2, 2]}}, "two experiments are called 'dimension=2'"),
        (
            {"vary": {"argument": "d", "values": [2]}, "experiment": [{"name": "a"}]},
            r"both \[vary\] and \[\[experiment\]\]",
        ),
        ({"experiment": []}, "has no experiment"),
        ({"experiment": [{}]}, "experiment 1: has no 'name'"),
        ({"experiment": [{"name": "../up"}]}, "a name has lower-case letters"),
        ({"experiment": [{"name": "a", "tile": "b"}]}, "experiment a: no key is called 'tile'"),
        ({"experiment": ["a"]}, "must be a table"),
    ],
)
def test_what_is_unknown_or_missing_is_named(changes, words):
    with pytest.raises(SpecificationError, match=words):
        suite_of({**SMALL, **changes}, "mine")
    with pytest.raises(SpecificationError, match="experiment mine: has no 'agents', and the suite has none for all"):
        suite_of({"env": "SyntheticDuel-v0", "queries": 64, "seeds": 1}, "mine")


def test_unknown_suites_and_files_that_are_no_toml_are_refused(tmp_path):
    with pytest.raises(SpecificationError, match="no suite is called 'quik'; known: alpaca-eval, batch"):
        load_suite("quik")
    (tmp_path / "mine.toml").write_text("title = ")
    with pytest.raises(SpecificationError, match="mine.toml: not TOML"):
        load_suite(str(tmp_path / "mine.toml"))


def test_a_pool_s_path_begins_at_the_file(tmp_path, monkeypatch):
    (tmp_path / "suites").mkdir()
    monkeypatch.chdir(tmp_path)
    for given, meant in (("../pools/mine", tmp_path / "pools" / "mine"), ("/pools/mine", Path("/pools/mine"))):
        text = f'env = "PoolDuel-v0"\nenv_kwargs = {{ pool = "{given}" }}\nagents = ["infomax+point"]\nqueries = 32\nseeds = 1\n'
        (tmp_path / "suites" / "mine.toml").write_text(text)
        (experiment,) = load_suite("suites/mine.toml").experiments
        assert experiment.plan.env_kwargs == {"pool": str(meant)}


def test_a_directory_holds_one_suite(tmp_path):
    suite = suite_of({**SMALL, "vary": {"argument": "dimension", "values": [2, 8]}}, "mine")
    assert list(planned(suite, tmp_path, command="c")) == [tmp_path / "dimension=2", tmp_path / "dimension=8"]
    assert list(planned(suite_of(SMALL, "mine"), tmp_path, command="c")) == [tmp_path]
    save_suite(suite, tmp_path)
    save_suite(replace(suite, title="mine, resized"), tmp_path)
    assert saved_suite(tmp_path).title == "mine, resized"
    saved = saved_suite(tmp_path)
    assert saved.values == {"dimension=2": 2, "dimension=8": 8} and saved.varies == "dimension"
    assert saved.directories == {name: tmp_path / name for name in saved.values}
    with pytest.raises(SpecificationError, match="holds another suite"):
        save_suite(suite_of({**SMALL, "vary": {"argument": "dimension", "values": [2, 4]}}, "mine"), tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    with pytest.raises(SpecificationError, match="is not empty and holds no suite.json"):
        save_suite(suite, tmp_path / "other")
    for damaged in ("{", "[]", "{}"):
        (tmp_path / "suite.json").write_text(damaged)
        with pytest.raises(SpecificationError, match="holds another suite"):
            save_suite(suite, tmp_path)
    with pytest.raises(SpecificationError, match=r"suite.json cannot be read"):
        saved_suite(tmp_path)


def marks(figure):
    """Return label -> (x, y) of what is drawn."""
    return {
        line.get_label(): np.array(line.get_data()).T.tolist()
        for line in figure.axes[0].lines
        if line.get_label()[0] != "_"
    }


def test_a_suite_is_drawn_as_lines_over_numbers_and_else_in_rows():
    def agent(name, *numbers):
        return SimpleNamespace(agent=name, area=Interval(*map(np.float64, numbers)))

    passive, other = agent("passive-ensemble", 0.3, 0.2, 0.4), agent("passive-ensemble@1", 0.3, 0.2, 0.4)
    later, greedy = agent("passive-ensemble", 0.5, 0.4, 0.6), agent("greedy+ensemble", 0.7, 0.6, 0.8)
    summaries = {
        "a": SimpleNamespace(agents=[passive, other], budget=640),
        "b": SimpleNamespace(agents=[later, greedy], budget=640),
    }
    numbers = SavedSuite("title", "", "dimension", {"a": 2, "b": 64}, {})
    figure = draw_suite(numbers, summaries, "passive-ensemble", "caption")
    assert marks(figure) == {"passive-ensemble": [[2, 0.3], [64, 0.5]], "greedy+ensemble": [[64, 0.7]]}
    assert figure.axes[0].get_xscale() == "log" and figure.axes[0].get_xlabel() == "dimension"
    names = SavedSuite("title", "", None, {"a": None, "b": None}, {})
    figure = draw_suite(names, summaries, "passive-ensemble", "caption")
    assert [x for x, _ in marks(figure)["passive-ensemble"]] == [0.3, 0.5]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["a", "b"]
    assert {text.get_text() for text in figure.texts} == {"title", "caption"}
    for suite in (numbers, names):  # what a page finds an agent's parts by
        for form in ("wide", "narrow"):
            parts = ("band", "key", "line", "text")
            drawn = draw_suite(suite, summaries, "passive-ensemble", "caption", form).findobj(lambda a: a.get_gid())
            assert sorted(artist.get_gid() for artist in drawn) == [
                f"agent{k}-{part}" for k in (0, 1) for part in parts
            ]


@pytest.mark.parametrize("values", [{"a": 2, "b": 64, "c": 512}, {"a": None, "b": None, "c": None}])
def test_labels_beyond_the_budget_have_no_mark_and_their_intervals_end_at_it(values):
    def costing(*numbers):
        agent = SimpleNamespace(agent="passive-ensemble", queries_to={"25%": Interval(*map(np.float64, numbers))})
        return SimpleNamespace(agents=[agent], budget=3200)

    never = costing(np.inf, 2000, np.inf)
    summaries = {"a": costing(100, 80, 140), "b": costing(2000, 1500, np.inf), "c": never}
    suite = SavedSuite("title", "", "dimension" if values["a"] else None, values, {})
    figure = draw_suite(suite, summaries, "passive-ensemble", "caption", measure=LABELS)
    axes = figure.axes[0]
    axis = axes.yaxis if values["a"] else axes.xaxis
    figure.draw_without_rendering()
    assert {"100", "300", "1 000", "3 000"} <= {text.get_text() for text in axis.get_ticklabels()}
    drawn = marks(figure)["passive-ensemble"]
    if values["a"]:
        assert drawn == [[2, 100], [64, 2000]]
        assert axes.get_yscale() == "log" and axes.get_ylim()[1] == 3200
        assert axes.collections[0].get_datalim(axes.transData).get_points()[:, 1].tolist() == [80, 3200]
    else:
        assert [x for x, _ in drawn] == [100, 2000]
        assert axes.get_xscale() == "log" and axes.get_xlim()[1] == 3200
        assert [segment[:, 0].tolist() for segment in axes.collections[0].get_segments()] == [[80, 140], [1500, 3200]]


def test_a_suite_of_one_experiment_resumes_in_its_own_directory(tmp_path):
    (tmp_path / "one.toml").write_text(
        'title = "One"\nenv = "SyntheticDuel-v0"\nagents = ["passive+bayesian_linear"]\nqueries = 64\nseeds = 1\n'
    )
    single = ["run", "--suite", "one.toml", "--queries", 32, "--no-check", "--out", "one", "--jobs", 1]
    assert "1 runs to go" in bench(tmp_path, *single).stdout
    again = bench(tmp_path, *single)
    assert "1 runs finished in one" in again.stdout and "0 runs to go" in again.stdout
    assert load_plan(tmp_path / "one").title == "One, resized to queries = 32"


@pytest.mark.usefixtures("quick_references")
def test_a_file_is_run_and_reported_experiment_by_experiment(tmp_path):
    (tmp_path / "mine.toml").write_text(
        """
        title = "A small suite"
        env = "SyntheticDuel-v0"
        agents = ["passive-ensemble", "greedy+ensemble"]
        queries = 64
        seeds = 3
        [vary]
        argument = "dimension"
        values = [2, 4]
        """
    )
    run = ["run", "--suite", "mine.toml", "--seeds", 1, "--no-check", "--out", "out", "--jobs", 1]
    with alone(tmp_path / "out"):
        refused = bench(tmp_path, *run, check=False)
    assert "another duelgym-bench run is writing here" in refused.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]
    assert "2 runs finished in out/dimension=4" in bench(tmp_path, *run).stdout
    assert bench(tmp_path, *run).stdout.count("0 runs to go") == 2
    plan = load_plan(tmp_path / "out" / "dimension=4")
    assert plan.env_kwargs == {"dimension": 4} and plan.title == "A small suite (dimension=4), resized to seeds = 1"
    report = bench(tmp_path, "report", "out", "--jobs", 1)
    assert "A small suite, resized to seeds = 1  (untuned)" in report.stdout
    assert "over 1 seed and " in report.stdout
    assert "<h1>A small suite, resized to seeds = 1</h1>" in (tmp_path / "out" / "suite.html").read_text()
    assert "Area less that of passive-ensemble" in report.stdout and "dimension=4" in report.stdout
    assert all((tmp_path / "out" / f"dimension={d}" / "report.html").exists() for d in (2, 4))
    assert "report: out/suite.html\n" in report.stdout
    assert b'href="./dimension%3D4/report.html"' in (tmp_path / "out" / "suite.html").read_bytes()
    assert (tmp_path / "out" / "suite.png").stat().st_size > 10_000
    nothing = bench(tmp_path, "run", "--suite", "quick", "--queries", 0, "--out", "none", check=False)
    assert nothing.returncode == 1 and "queries is 0; it must be at least 1" in nothing.stderr
    ran = bench(tmp_path, "run", "--suite", "mine.toml", "--no-check", "--out", "out", "--jobs", 1, "--seeds", 2)
    assert ran.stdout.count("2 runs finished") == 0 and ran.stdout.count("4 runs finished") == 2
    widened = load_plan(tmp_path / "out" / "dimension=2")
    assert widened.title == "A small suite (dimension=2), resized to seeds = 2"
    assert [line.split()[-1] for line in widened.command.split("\n")] == ["1", "2"]
    assert saved_suite(tmp_path / "out").title == "A small suite, resized to seeds = 2"
    refused = bench(tmp_path, *run, "--env", "LLMDuel-v0", check=False)
    assert refused.returncode == 1 and "--env cannot stand beside --suite" in refused.stderr
    missing = bench(tmp_path, "run", "--agents", "passive-ensemble", "--out", "other", check=False)
    assert missing.returncode == 1 and "--env is missing" in missing.stderr and not (tmp_path / "other").exists()
