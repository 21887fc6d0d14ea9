"""Tuning: equal budgets, apart from reporting, resumed after a kill."""

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from small_tuning import AGENTS_TUNED, PROBLEM, arguments, plan_of, run_here

from duelgym.errors import LogError, PoolError, SpecificationError
from duelgym.generators import PoolReplay
from duelgym.pools import write_pool
from duelgym.rounds import read_queries
from duelgym.testing import make_pool
from duelgym_bench import cli, tune
from duelgym_bench.executor import Failure
from duelgym_bench.locks import alone
from duelgym_bench.plan import Task, check_plan, tuning_arguments
from duelgym_bench.plan_directory import load_plan, save_plan
from duelgym_bench.run_directory import RunDirectory, read_recommendations
from duelgym_bench.tune import Tried, TunedAgent, tuning_plan
from duelgym_bench.tuned import read_settings, tuned_text, write_tuned


def _tune(out, *more, agents=AGENTS_TUNED):
    return cli.main(arguments("tune", agents, out, "--configurations", 3, *more))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished tuning, by the command line: its directory."""
    out = tmp_path_factory.mktemp("tuning") / "out"
    assert _tune(out) == 0
    return out


@pytest.fixture
def in_process(monkeypatch):
    monkeypatch.setattr(tune, "run_tasks", run_here)


def test_every_agent_gets_the_same_configurations_seeds_and_labels(finished):
    plan = load_plan(finished)
    names = AGENTS_TUNED.split(",")
    assert plan.tuning and plan.agents == tuple(f"{name}#{k}" for name in names for k in range(3))
    for task in plan.tasks():
        assert len(read_queries(RunDirectory(finished / "runs" / task.name).queries)) == 128
    assert len(list((finished / "runs").iterdir())) == 2 * 3 * 2
    result = json.loads((finished / "tuned.json").read_text())
    assert {name: len(agent["tried"]) for name, agent in result["agents"].items()} == dict.fromkeys(names, 3)
    assert [result[size] for size in ("configurations", "seeds", "queries", "batch")] == [3, 2, 128, 16]
    assert result["environment"] == "SyntheticDuel-v0" and result["specification"]["dimension"] == 4
    assert result["pool"] is None and result["command"].startswith("duelgym-bench tune --env SyntheticDuel-v0")


def test_the_common_learner_is_not_fitted(finished):
    assert not list(finished.rglob("common_learner*"))


def test_what_is_chosen_has_the_largest_area_of_a_report(finished):
    """Scores recomputed from the recommendations alone: trapezoids against log labels, scaled by the oracle."""
    plan = load_plan(finished)
    counts = np.array([count for count in plan.checkpoints() if count > 0], dtype=float)
    assert counts[0] == 16 < 32  # the area begins at 32, which is a checkpoint
    counts = counts[counts >= 32]
    held_out = [plan.session(seed).assessment() for seed in range(2)]
    oracle = np.mean([judged.win_rates().max(axis=1).mean() for judged in held_out])
    for name, agent in json.loads((finished / "tuned.json").read_text())["agents"].items():
        scores = []
        for k, tried in enumerate(agent["tried"]):
            areas = []
            for seed, judged in enumerate(held_out):
                directory = RunDirectory(finished / "runs" / f"{name}#{k}--{seed:03d}")
                chosen = read_recommendations(directory.recommendations).chosen
                rates, shown = judged.win_rates(), judged.questions.candidate_ids
                wins = [rates[shown == np.array(chosen[int(count)])[:, None]].mean() for count in counts]
                mean = np.trapezoid(wins, np.log(counts)) / np.log(counts[-1] / counts[0])
                areas.append((mean - 0.5) / (oracle - 0.5))
            assert tried["score"] == pytest.approx(np.mean(areas), abs=1e-5)
            assert tried["standard_error"] == pytest.approx(abs(areas[0] - areas[1]) / 2, abs=1e-5)
            scores.append(tried["score"])
        best = int(np.argmax(scores))
        assert agent["configuration"] == best and agent["score"] == scores[best]
        assert agent["settings"] == agent["tried"][best]["settings"]
        assert agent["default_score"] == scores[0]


def test_choosing_by_hand():
    tried = [
        Tried({"a": k}, None if areas is None else np.array(areas))
        for k, areas in enumerate([[0.1, 0.3], [0.4, 0.2], None, [0.2, 0.4]])
    ]
    assert [one.score for one in tried] == pytest.approx([0.2, 0.3, -np.inf, 0.3])
    assert TunedAgent("x", tuple(tried)).chosen == 1


def test_seeds_are_apart_from_reporting():
    report, tuning = plan_of(), plan_of(tuning=True)
    seeds = [plan.env_seed(k) for plan in (report, tuning) for k in range(50)]
    seeds += [plan.agent_seed(Task("a", k)) for plan in (report, tuning) for k in range(50)]
    assert len(set(seeds)) == 200
    assert tuning.agent_seed(Task("a#1", 0)) == tuning.agent_seed(Task("b#2", 0))


def test_only_tune_prompts_are_asked_and_others_of_them_assessed(pool_path, tmp_path, in_process):
    agents = ("passive+bayesian_linear",)
    asked = plan_of(env="AlpacaEvalDuel-v0", env_kwargs={"pool": str(pool_path)}, agents=agents)
    plan = save_plan(tuning_plan(asked, 2, tmp_path), tmp_path)
    tuned = tune.tune(plan, tmp_path, jobs=1)
    pool = plan.problem(0).pool
    for_tuning = set(pool.split("tune").tolist())
    reported = {row for fold in range(5) for part in ("learn", "assess") for row in pool.split(part, fold).tolist()}
    assert for_tuning and not for_tuning & reported
    halves = []
    for seed in range(2):
        run = RunDirectory(tmp_path / "runs" / Task("passive+bayesian_linear#1", seed).name)
        questions = set(read_queries(run.queries).prompt_ids.tolist())
        assessed = set(read_recommendations(run.recommendations).prompt_ids)
        assert questions | assessed == for_tuning and not questions & assessed
        halves.append((questions, assessed))
    assert halves[0] == halves[1][::-1]  # cross-fitted
    write_tuned(plan, tuned, tmp_path / "result" / "tuned.json")
    result = json.loads((tmp_path / "result" / "tuned.json").read_text())
    assert result["pool"] == pool.sha256 and str(pool_path) not in json.dumps(result["specification"])


def test_a_pool_with_named_assessment_prompts_is_tuned_within_its_learning_prompts(named_pool):
    arguments = tuning_arguments("PoolDuel-v0", {"pool": str(named_pool)})
    assert arguments["split"] == "within_learn"
    session = plan_of(env="PoolDuel-v0", env_kwargs=arguments, tuning=True).session(0)
    questions = set(session.ask(64).questions.prompt_ids.tolist())
    assessed = set(session.assessment().questions.prompt_ids.tolist())
    assert questions == {4, 6, 8, 10} and assessed == {5, 7, 9, 11}


def test_a_single_tune_prompt_cannot_be_halved(tmp_path):
    pool = make_pool(tmp_path / "pool", n_prompts=30)
    pool.split = lambda part, fold=0: np.array([3])
    with pytest.raises(PoolError, match="has 1 prompt for split 'tune'"):
        PoolReplay(pool, split="tune")


KILLED = """
import os, signal, sys, time
from duelgym_bench import cli
from duelgym_bench.executors import processes

whole = processes._work

def work(job, task):
    if task.agent.endswith("#2"):
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)  # this worker ends with its command
    return whole(job, task)

if __name__ == "__main__":
    processes._work = work
    sys.exit(cli.main())
"""


def test_a_kill_costs_no_finished_configuration_and_changes_nothing(finished, tmp_path):
    """The command is killed when its one worker begins the third configuration of the first agent."""
    out = tmp_path / "out"
    (tmp_path / "killed.py").write_text(KILLED)
    given = arguments("tune", AGENTS_TUNED, out, "--configurations", 3)
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}  # a killed command's semaphores are reported as leaked
    command = [sys.executable, tmp_path / "killed.py", *given]
    killed = subprocess.run(command, env=environment, stderr=subprocess.PIPE, timeout=240)
    assert killed.returncode < 0, killed.stderr
    done = {path: path.stat().st_mtime_ns for path in out.glob("runs/*/done.json")}
    assert len(done) == 2
    assert _tune(out) == 0
    assert done == {path: path.stat().st_mtime_ns for path in done}
    mine, whole = (json.loads((folder / "tuned.json").read_text()) for folder in (out, finished))
    assert mine.pop("command") != whole.pop("command")  # another directory
    assert mine == whole


def test_a_second_command_changes_nothing_of_what_is_being_tuned(finished, capsys):
    before = (finished / "plan.json").read_bytes()
    with alone(finished):
        assert _tune(finished, "--seeds", 3) == 1
    assert "another duelgym-bench run is writing here" in capsys.readouterr().err
    assert (finished / "plan.json").read_bytes() == before


def test_more_agents_configurations_and_seeds_are_added_for_all(tmp_path, in_process):
    first = save_plan(tuning_plan(plan_of(agents=("passive+bayesian_linear",)), 3, tmp_path), tmp_path)
    wider = tuning_plan(plan_of(agents=("infomax+bayesian_linear",), seeds=1), 2, tmp_path)
    wider = save_plan(wider, tmp_path)
    assert set(first.agents) < set(wider.agents) and len(wider.agents) == 6 and wider.seeds == 2
    assert {agent.name: len(agent.tried) for agent in tune.tune(wider, tmp_path, jobs=1)} == {
        "passive+bayesian_linear": 3,
        "infomax+bayesian_linear": 3,
    }


def test_more_configurations_are_added_for_those_tuned_before_too(tmp_path):
    first = save_plan(tuning_plan(plan_of(agents=("passive+bayesian_linear",)), 2, tmp_path), tmp_path)
    wider = tuning_plan(plan_of(agents=("infomax+bayesian_linear",)), 4, tmp_path)
    names = "passive+bayesian_linear", "infomax+bayesian_linear"
    assert wider.agents == tuple(f"{name}#{k}" for name in names for k in range(4))
    assert all(wider.settings[agent] == first.settings[agent] for agent in first.agents)


def test_products_are_not_tried_on_a_pool_whose_dimensions_differ(tmp_path):
    rng = np.random.default_rng(0)
    write_pool(
        tmp_path / "pool",
        name="narrow",
        prompts=[f"prompt {k}" for k in range(40)],
        candidate_names=["a", "b", "c"],
        texts=[[f"answer {k} to {row}" for k in range(3)] for row in range(40)],
        prompt_embeddings=rng.standard_normal((40, 3)),
        candidate_embeddings=rng.standard_normal((40, 3, 4)),
        utilities=rng.standard_normal((40, 3)),
    )
    asked = plan_of(env="PoolDuel-v0", env_kwargs={"pool": str(tmp_path / "pool")}, agents=("passive+point",))
    plan = tuning_plan(asked, 12, tmp_path / "out")
    assert {plan.settings[agent]["features"] for agent in plan.agents} == {"concat"}


def test_what_was_chosen_is_shown_beside_the_defaults_by_hand():
    # Means and standard errors over two seeds; those of the gain are of the differences .2 and .4.
    plan = plan_of()
    tried = [Tried({"a": k}, np.array(areas)) for k, areas in enumerate([[0.1, 0.3], [0.3, 0.7], [0.2, 0.2]])]
    line = next(line for line in tuned_text(plan, (TunedAgent("x", tuple(tried)),)).splitlines() if " ± " in line)
    assert " ".join(line.split()) == "x 1 .500 ± .200 .200 ± .100 +.300 ± .100"


def test_a_configuration_that_fails_has_had_its_try(tmp_path, monkeypatch):
    plan = save_plan(tuning_plan(plan_of(agents=("passive+bayesian_linear",)), 2, tmp_path), tmp_path)
    broken = Failure(Task("passive+bayesian_linear#1", 0), "utilities are not finite", by_agent=True)

    def failing(*given, **options):
        return [broken, *run_here(*given, **options)]

    monkeypatch.setattr(tune, "run_tasks", failing)
    tuned = tune.tune(plan, tmp_path, jobs=1)
    assert tuned[0].chosen == 0 and tuned[0].tried[1].areas is None
    assert "configuration 1 failed: utilities are not finite" in tuned_text(plan, tuned)
    write_tuned(plan, tuned, tmp_path / "tuned.json")
    last = json.loads((tmp_path / "tuned.json").read_text())["agents"]["passive+bayesian_linear"]["tried"][1]
    assert last["score"] is None and last["failure"] == "utilities are not finite"
    other = dataclasses.replace(broken, by_agent=False, reason="OSError: disk full")
    monkeypatch.setattr(tune, "run_tasks", lambda *given, **options: [other])
    with pytest.raises(LogError, match="disk full"):
        tune.tune(plan, tmp_path, jobs=1)
    everything = [Failure(task, "no", by_agent=True) for task in plan.tasks()]
    monkeypatch.setattr(tune, "run_tasks", lambda *given, **options: everything)
    with pytest.raises(LogError, match="fails with every configuration: no"):
        tune.tune(plan, tmp_path, jobs=1)


def test_tuning_beats_defaults_that_are_bad(tmp_path, in_process):
    """Learns: with a learning rate at which nothing is learnt as its default an agent gains by more than .05 from 8 tries."""
    asked = plan_of(agents=("passive+point",), queries=320, env_kwargs=PROBLEM | {"utility": "linear"})
    plan = tuning_plan(asked, 8, tmp_path)
    spoilt = plan.settings["passive+point#0"] | {"learning_rate": 1e-9}
    plan = dataclasses.replace(plan, settings={**plan.settings, "passive+point#0": spoilt})
    (agent,) = tune.tune(save_plan(plan, tmp_path), tmp_path, jobs=1)
    assert agent.tried[agent.chosen].score > agent.tried[0].score + 0.05


def test_a_result_is_a_settings_file_that_fits_its_environment(finished):
    settings = read_settings(finished / "tuned.json")
    plan = plan_of(agents=tuple(AGENTS_TUNED.split(",")))
    plan = dataclasses.replace(plan, settings=settings.of(plan.agents))
    check_plan(plan)
    assert settings.notes(plan) == []
    more = dataclasses.replace(plan, agents=(*plan.agents, "ee2024-passive", "passive+bayesian_linear@1"))
    assert settings.notes(more) == [f"{finished / 'tuned.json'} has no settings for ee2024-passive: untuned"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--configurations", "0"], "configurations is 0; it must be a whole number of at least 1"),
        (["--seeds", "0"], "seeds is 0"),
        (["--queries", "100"], "not a multiple of the batch size"),
        (["--jobs", "0"], "--jobs is 0"),
        (["--executor", "ray"], "pip install 'duelgym-bench[ray]'"),
        (["--agents", "infomax+nothing"], "no reward model is called 'nothing'"),
        (["--agents", "passive+point,passive+point"], "named twice"),
        (["--agents", "passive+point@1"], "replicas and labels are not tuned"),
        (["--agents", "passive+point#a"], "replicas and labels are not tuned"),
        (["--space", "no.toml"], "no.toml does not exist; a search space is written like"),
        (["--agents", "duelgym_agents.registry:make_agent"], "make_agent"),
        (["--env", "CartPole-v1"], "known: AlpacaEvalDuel-v0"),
        (["--env", "LLMDuelLive-v0", "--env-kwargs", "{}"], "keeps no prompts for tuning"),
        (["--env-kwargs", '{"n_candidates": 1}'], "nothing to choose"),
    ],
    ids=str,
)
def test_what_cannot_be_tuned_is_refused_before_anything_is_written(tmp_path, capsys, monkeypatch, change, words):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert _tune(tmp_path / "out", *change) == 1
    error = capsys.readouterr().err
    assert words in error and len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_an_agent_of_ones_own_has_no_search_space(tmp_path, monkeypatch):
    monkeypatch.setattr(tune, "check_plan", lambda plan: None)
    with pytest.raises(
        SpecificationError, match="there is no search space for .my_agents:learner.; give one as --space"
    ):
        tuning_plan(plan_of(agents=("my_agents:learner",)), 2, tmp_path)


def test_a_tuning_directory_is_no_result(finished, capsys):
    assert cli.main(["report", str(finished)]) == 1
    assert "runs for tuning, which are no results" in capsys.readouterr().err


def test_help_shows_an_example(capsys):
    for command in ("run", "tune"):
        with pytest.raises(SystemExit):
            cli.main([command, "--help"])
        assert f"example: duelgym-bench {command} --env SyntheticDuel-v0" in " ".join(capsys.readouterr().out.split())
