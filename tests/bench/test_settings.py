"""Settings that tuning chose: what runs make of them, which files are refused, and those that are shipped."""

import dataclasses
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from small_tuning import AGENTS_TUNED, PROBLEM, arguments, plan_of, run_here

from duelgym.errors import SpecificationError
from duelgym_agents import registry
from duelgym_agents.reward_models import LinearSettings
from duelgym_bench import cli, common, executor
from duelgym_bench.common import CommonLearner
from duelgym_bench.plan import Task, check_plan, make_agent
from duelgym_bench.plan_directory import load_plan, save_plan
from duelgym_bench.run_directory import RunDirectory, read_recommendations
from duelgym_bench.scores import score
from duelgym_bench.task import run_task
from duelgym_bench.tuned import read_settings

SHIPPED = Path(__file__).parents[2] / "benchmarks" / "tuned"


def _settings_file(path, agents):
    path.write_text(json.dumps({"agents": {name: {"settings": settings} for name, settings in agents.items()}}))
    return path


@pytest.mark.usefixtures("quick_references")
def test_run_takes_the_settings_into_its_plan_and_its_agents_behave_accordingly(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(executor, "run_tasks", run_here)
    monkeypatch.setattr(common, "tune_common_learner", lambda plan, out: CommonLearner("interaction", 1.0, ""))
    agent, other = AGENTS_TUNED.split(",")
    settings = {"features": "response", "prior_scale": 0.5}
    file = _settings_file(tmp_path / "mine.json", {agent: settings, other: {"n_samples": 30}})
    out = tmp_path / "out"
    more = ["--settings", file, "--no-check", "--seeds", 1]
    assert cli.main(arguments("run", agent, out, *more)) == 0
    assert f"does not say how it chose the settings of {agent}: set by hand" in capsys.readouterr().err
    plan = load_plan(out)
    assert plan.settings == {agent: settings} and plan.by_hand == (agent,)
    assert plan.problem_kwargs(0) == PROBLEM and not plan.tuning

    untuned = dataclasses.replace(plan, settings={}, tuning=True)  # without the common learner
    tuned = dataclasses.replace(untuned, settings=plan.settings)
    for name, one in (("tuned", tuned), ("untuned", untuned)):
        run_task(one, Task(agent, 0), tmp_path / name, None, lambda queries: None)
    logs = [
        read_recommendations(RunDirectory(tmp_path / name / "runs" / Task(agent, 0).name).recommendations).chosen
        for name in ("tuned", "untuned")
    ]
    assert logs[0] != logs[1]
    model = make_agent(plan, Task(f"{agent}@1", 0), plan.problem(0))._model
    assert (model.settings.features, model.settings.prior_scale) == ("response", 0.5)  # a replica has them too

    assert cli.main(arguments("run", agent, out, "--no-check", "--seeds", 1)) == 1
    assert 'with {"features"' in (refused := capsys.readouterr().err) and "not its defaults" in refused
    file.write_text(file.read_text().replace("0.5", "0.7"))
    assert cli.main(arguments("run", agent, out, *more)) == 1
    assert "0.5" in capsys.readouterr().err
    assert load_plan(out) == plan
    results = score(out)
    assert (results.tuned, results.by_hand, results.tuned_mark) == ((), (agent,), "set by hand")
    assert results.specification["settings"] == {agent: settings}


def test_plans_with_other_settings_are_not_joined_and_old_plans_still_load(tmp_path):
    plan = plan_of(agents=("ee2024-passive",))
    save_plan(plan, tmp_path)
    old = {key: value for key, value in dataclasses.asdict(plan).items() if key not in ("settings", "tuning")}
    (tmp_path / "plan.json").write_text(json.dumps(old))
    assert load_plan(tmp_path) == plan
    tuned = dataclasses.replace(plan, settings={"ee2024-passive": {"steps": 1}})
    with pytest.raises(SpecificationError, match="with its defaults, not"):
        save_plan(tuned, tmp_path)
    other = dataclasses.replace(plan, agents=("ee2024-boltzmann",), settings={"ee2024-boltzmann": {"temperature": 0.5}})
    joined = save_plan(other, tmp_path)
    assert joined.settings == other.settings == load_plan(tmp_path).settings
    with pytest.raises(SpecificationError, match="holds runs with tuning False, not True"):
        save_plan(dataclasses.replace(plan, tuning=True), tmp_path)


def test_a_replica_added_later_keeps_the_settings_of_what_is_there(tmp_path):
    there = plan_of(agents=("ee2024-passive",), settings={"ee2024-passive": {"steps": 1}})
    save_plan(there, tmp_path)
    added = plan_of(agents=("ee2024-infomax", "ee2024-passive@1"))
    assert save_plan(added, tmp_path).settings == there.settings


@pytest.mark.usefixtures("quick_references")
def test_several_settings_of_one_agent_run_side_by_side_under_their_labels(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(executor, "run_tasks", run_here)
    monkeypatch.setattr(common, "tune_common_learner", lambda plan, out: CommonLearner("interaction", 1.0, ""))
    agents = ("passive+bayesian_linear#sure", "passive+bayesian_linear#open", "passive+bayesian_linear")
    scales = dict(zip(agents, (0.3, 3.0), strict=False))
    file = _settings_file(tmp_path / "two.json", {name: {"prior_scale": scale} for name, scale in scales.items()})
    out = tmp_path / "out"
    more = ["--settings", file, "--seeds", 1]
    assert cli.main(arguments("run", ",".join(agents), out, *more)) == 0
    plan = load_plan(out)
    assert (
        plan.agents == (*agents, f"{agents[0]}@1") and plan.by_hand == agents[:2]
    )  # the first of them is the baseline
    made = {name: make_agent(plan, Task(name, 0), plan.problem(0))._model.settings.prior_scale for name in plan.agents}
    assert list(made.values()) == [0.3, 3.0, LinearSettings().prior_scale, 0.3]
    results = score(out)
    assert results.baseline == agents[0] and {run.rule for run in results.runs} == {"passive"}
    assert [results.settings_of(name) for name in agents] == ["set by hand", "set by hand", "untuned"]
    assert results.tuned_mark == "partly set by hand"
    capsys.readouterr()
    assert cli.main(arguments("run", "passive+point#mine", tmp_path / "other", "--no-check")) == 1
    assert "behind '#' stands the label of one of several settings" in capsys.readouterr().err


def test_agents_whose_runs_would_lie_in_one_directory_are_refused(tmp_path):
    first, second = (
        plan_of(agents=(name,), settings={name: {}}) for name in ("passive+point#a/b", "passive+point#a+b")
    )
    with pytest.raises(SpecificationError, match="would lie in one directory; rename one"):
        check_plan(
            dataclasses.replace(first, agents=first.agents + second.agents, settings=first.settings | second.settings)
        )
    save_plan(first, tmp_path)
    with pytest.raises(SpecificationError, match="would lie in one directory; rename one"):
        save_plan(second, tmp_path)


def test_what_is_there_stays_tuned_or_set_by_hand_and_what_joins_says_itself(tmp_path):
    one, other = "passive+point", "greedy+point"
    tuned = plan_of(agents=(one,), settings={one: {"steps": 1}}, command="first")
    by_hand = dataclasses.replace(tuned, by_hand=(one,), command="again")
    save_plan(tuned, tmp_path)
    assert save_plan(by_hand, tmp_path) == tuned
    joining = plan_of(agents=(other,), settings={other: {"steps": 2}}, by_hand=(other,))
    assert save_plan(joining, tmp_path).by_hand == load_plan(tmp_path).by_hand == (other,)
    third = plan_of(agents=("infomax+ensemble",), settings={"infomax+ensemble": {"steps": 2}})
    assert save_plan(third, tmp_path).by_hand == (other,)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not exist; 'duelgym-bench tune' writes such a file"),
        ("{", "holds no settings (JSONDecodeError"),
        ('{"agents": {"ee2024-passive": 3}}', "holds no settings (TypeError"),
        ('{"agents": {"ee2024-pasive": {"settings": {}}}}', "did you mean 'ee2024-passive'"),
        (
            '{"agents": {"ee2024-passive@1": {"settings": {}}}}',
            "is a replica, which has the settings of 'ee2024-passive'",
        ),
        ('{"agents": {"infomax+epinett": {"settings": {}}}}', "did you mean 'epinet'"),
        ('{"agents": {"ee2024-infomax": {"settings": {}}}}', "so for none of ee2024-passive"),
        ('{"agents": {"ee2024-passive": {"settings": {"stepps": 5}}}}', "has no setting stepps; it has:"),
        ('{"agents": {"ee2024-passive": {"settings": {"steps": -5}}}}', "steps is -5"),
        ('{"agents": {"ee2024-passive": {"settings": {"seed": 5}}}}', "seed cannot be a setting"),
    ],
)
def test_a_bad_settings_file_is_refused_in_one_line(tmp_path, capsys, content, words):
    file = tmp_path / "settings.json"
    if content is not None:
        file.write_text(content)
    assert cli.main(arguments("run", "ee2024-passive", tmp_path / "out", "--settings", file)) == 1
    error = capsys.readouterr().err
    assert words in error and len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.json")), ids=lambda path: path.stem)
def test_shipped_settings_are_the_best_of_equally_many_and_say_how_they_were_found(path):
    content = json.loads(path.read_text())
    assert read_settings(path).problem == content["specification"]
    by_command = {}  # agents that were tuned later carry a command of their own
    for name, agent in content["agents"].items():
        by_command.setdefault(agent.get("command", content["command"]), []).append(name)
    for command, names in by_command.items():
        words = shlex.split(command)
        assert words[:4] == ["duelgym-bench", "tune", "--env", content["environment"]]
        given = dict(zip(words[2::2], words[3::2], strict=True))
        assert given["--agents"].split(",") == names
        assert [int(given[f"--{what}"]) for what in ("configurations", "seeds", "queries")] == [
            content[what] for what in ("configurations", "seeds", "queries")
        ]
    for name, agent in content["agents"].items():
        assert len(agent["tried"]) == content["configurations"]
        scores = [-np.inf if tried["score"] is None else tried["score"] for tried in agent["tried"]]
        assert agent["configuration"] == int(np.argmax(scores))
        assert agent["settings"] == agent["tried"][agent["configuration"]]["settings"]
        dimensions = {"prompt_dim": 4, "candidate_dim": 4, "n_candidates": 5}
        registry.make_agent(name, **dimensions, batch_size=4, budget=8, seed=0, **agent["settings"])


def test_there_are_shipped_settings():
    assert {path.stem for path in SHIPPED.glob("*.json")} == {"alpaca-eval", "llm-duel", "synthetic"}
