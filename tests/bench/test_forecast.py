"""What will run and how long it takes: counted, measured on the side, and nothing written before it runs."""

import dataclasses
import json
import os

import pytest

from duelgym.rounds import read_queries
from duelgym_agents.registry import make_agent
from duelgym_bench import cli, forecast, probe, task
from duelgym_bench.common import CommonLearner
from duelgym_bench.executors.work import Job, work
from duelgym_bench.forecast import Forecast, duration, forecast_text, makespan
from duelgym_bench.plan import Plan, Task
from duelgym_bench.plan_directory import save_plan
from duelgym_bench.run_directory import RunDirectory

LEARNER = CommonLearner("interaction", 1.0, "")
AGENTS = ("passive+bayesian_linear", "infomax+bayesian_linear", "passive+bayesian_linear@1")


def plan_of(**changes):
    shape = {"dimension": 4, "n_candidates": 6}
    return dataclasses.replace(Plan("SyntheticDuel-v0", shape, AGENTS, 800, 2, 8, "c", "t"), **changes)


def timed(out, agent, seed_index, *, seconds, t, common=0.0, done=True):
    """Write the files of a run that matter here."""
    directory = RunDirectory(out / "runs" / Task(agent, seed_index).name)
    directory.path.mkdir(parents=True)
    line = {"t": t, "seconds": {"select": seconds / 2, "simulate": 0, "learn": seconds / 4, "assess": seconds / 4}}
    directory.timings.write_text(json.dumps({"t": 0, "seconds": {}}) + "\n" + json.dumps(line) + "\n")
    for path, when in ((directory.recommendations, 1000.0), (directory.common, 1000.0 + common)):
        path.touch()
        os.utime(path, (when, when))
    (directory.done if done else directory.state).touch()


def test_finished_runs_say_how_long_the_others_take(tmp_path, monkeypatch):
    """By hand. Passive: finished in 10 + 2 and 14 + 2 s, mean 14. Infomax: finished in 20; a quarter of the other is left.

    To go: passive@1 twice (14 each), infomax 5 s. In the plan's order on two processes: 14 | 5 + 14, so 19 s.
    """
    monkeypatch.setattr(forecast, "probed", lambda plan, agents, learner, *, jobs: dict.fromkeys(agents, 100.0))
    passive, infomax, _ = AGENTS
    timed(tmp_path, passive, 0, seconds=10, t=800, common=2)
    timed(tmp_path, passive, 1, seconds=14, t=800, common=2)
    timed(tmp_path, infomax, 0, seconds=20, t=800, common=-500)  # as copied files can be
    timed(tmp_path, infomax, 1, seconds=3, t=600, done=False)
    found = forecast.forecast(plan_of(), tmp_path, jobs=2)
    assert found == Forecast(3, 1, 3, pytest.approx(19.0), (passive, infomax), (), (), ())
    assert forecast_text(plan_of(), tmp_path, found, jobs=2).splitlines() == [
        "plan: 3 agents x 2 seeds x 800 queries on SyntheticDuel-v0: 3 runs to go (1 of them begun), 3 finished, in "
        f"{tmp_path}",
        "time: about 19 s, 2 at a time (2 agents by finished runs)",
    ]
    fewer = plan_of(agents=(*AGENTS, "greedy+bayesian_linear"), queries=80)  # 20 batches of the new one
    assert forecast.forecast(fewer, tmp_path, jobs=2).short == ("greedy+bayesian_linear",)
    monkeypatch.setattr(forecast, "probed", lambda plan, agents, learner, *, jobs: {})
    broken = forecast.forecast(plan_of(agents=(*AGENTS, "greedy+bayesian_linear")), tmp_path, jobs=2)
    assert (broken.short, broken.failed) == ((), ("greedy+bayesian_linear",))
    assert "without greedy+bayesian_linear, which failed when tried" in forecast_text(
        plan_of(), tmp_path, broken, jobs=2
    )
    monkeypatch.setattr(forecast, "probed", lambda plan, agents, learner, *, jobs: dict.fromkeys(agents, 100.0))
    more = plan_of(agents=(*AGENTS, "greedy+bayesian_linear"))
    assert forecast.forecast(more, tmp_path, jobs=6).seconds == 100.0


def test_more_processes_than_tasks_take_as_long_as_the_longest():
    assert makespan([], jobs=2) == 0.0 and makespan([2.0, 5.0], jobs=9) == 5.0
    assert makespan([5.0, 1.0, 1.0, 1.0, 4.0], jobs=2) == 7.0  # 5 | 1 1 1 4
    assert [duration(seconds) for seconds in (99.4, 101, 6001)] == ["99 s", "2 min", "1.7 h"]


class Clock:
    """A clock that only the parts of a run that are given a price move."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now

    def spending(self, seconds, function):
        def paid(*given, **named):
            self.now += seconds
            return function(*given, **named)

        return paid


def test_a_probe_extrapolates_by_hand(tmp_path, monkeypatch):
    """Building takes 1 s, choosing .05 s a batch, recommending .5 s for 64 prompts; all else, the common learner too, none.

    800 queries are 100 batches: 1 + 5 s, and for every checkpoint the time of an assessment.
    """
    plan, clock = plan_of(), Clock()
    monkeypatch.setattr(probe, "time", clock)
    monkeypatch.setattr(task, "time", clock)
    monkeypatch.setattr(probe, "write_common_curve", lambda *given: None)
    monkeypatch.setattr(task, "make_agent", clock.spending(1.0, task.make_agent))
    agents = type(make_agent(AGENTS[0], prompt_dim=4, candidate_dim=4, n_candidates=6, batch_size=8, budget=8, seed=0))
    monkeypatch.setattr(agents, "select_pairs", clock.spending(0.05, agents.select_pairs))
    monkeypatch.setattr(agents, "recommend", clock.spending(0.5, agents.recommend))
    chunks = -(-len(plan.session(0).assessment().questions) // task.ASSESSMENT_CHUNK)
    expected = 1 + 100 * 0.05 + 0.5 * chunks * len(plan.checkpoints())
    assert probe.probe(plan, AGENTS[0], LEARNER) == pytest.approx(expected)
    assert clock.now < expected / 2


def test_the_common_learner_is_timed_in_proportion_to_the_labels(tmp_path, monkeypatch):
    """.5 s and .01 s a label, from 24 batches of 8: 8.5 s for 800."""
    clock = Clock()
    monkeypatch.setattr(task, "time", clock)

    def curve(plan, seed_index, directory, learner):
        assert len(read_queries(directory.queries)) == plan.queries
        clock.now += 0.5 + 0.01 * plan.queries

    monkeypatch.setattr(probe, "time", clock)
    monkeypatch.setattr(probe, "write_common_curve", curve)
    assert probe.probe(plan_of(), AGENTS[0], LEARNER) == pytest.approx(8.5)


def test_a_probe_changes_no_run_and_leaves_nothing(tmp_path, monkeypatch):
    """A run beside a probe in the same process has the logs of one without."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    plan, logs = plan_of(queries=80, seeds=1), []
    first = next(plan.tasks())
    for name in ("with", "without"):
        job = Job(plan, tmp_path / name, LEARNER)

        def tell(queries, name=name):
            if name == "with" and queries == 40:
                probe.probe(plan, first.agent, LEARNER)

        assert work(job, first, tell) is None
        logs.append([path.read_bytes() for path in RunDirectory(job.out / "runs" / first.name).logs(tuning=False)])
    assert logs[0] == logs[1] and not any((tmp_path / "scratch").iterdir())


def test_an_agent_that_fails_when_probed_is_left_to_its_runs():
    assert probe.probed(plan_of(), ["passive+bayesian_linear", "no_such_module:factory"], LEARNER, jobs=1).keys() == {
        "passive+bayesian_linear"
    }


def test_only_planning_prints_and_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(forecast, "probed", lambda plan, agents, learner, *, jobs: dict.fromkeys(agents, 3600.0))
    given = ["run", "--suite", "dimension", "--queries", "640", "--seeds", "3", "--jobs", "2"]
    assert cli.main([*given, "--plan", "--out", str(tmp_path / "suite")]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[-1].startswith("time in all: about ") and sum(line.startswith("plan: ") for line in shown) > 1
    assert not (tmp_path / "suite").exists()
    kwargs = ["--env", "SyntheticDuel-v0", "--env-kwargs", '{"dimension": 4}', "--agents", "passive+bayesian_linear"]
    out = tmp_path / "out"
    save_plan(
        plan_of(env_kwargs={"dimension": 4}, queries=640, batch=32, agents=("greedy+bayesian_linear",), seeds=3), out
    )
    before = (out / "plan.json").read_bytes()
    assert (
        cli.main(["run", *kwargs, "--queries", "640", "--seeds", "2", "--no-check", "--plan", "--out", str(out)]) == 0
    )
    assert (
        "plan: 2 agents x 3 seeds x 640 queries on SyntheticDuel-v0: 6 runs to go, 0 finished"
        in capsys.readouterr().out
    )
    assert (out / "plan.json").read_bytes() == before and [path.name for path in out.iterdir()] == ["plan.json"]
