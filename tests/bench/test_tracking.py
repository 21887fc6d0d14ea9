"""Live numbers worked by hand; runs that resume, trackers that fail, and that change nothing of what a run leaves."""

import importlib.util
import json
import logging
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from quick_commands import bench
from wandb_stand_in import StandIn

from duelgym.errors import SpecificationError
from duelgym_bench import tracking
from duelgym_bench.cli import main
from duelgym_bench.common import CommonLearner
from duelgym_bench.plan import Plan, Task
from duelgym_bench.plan_directory import save_plan
from duelgym_bench.run_directory import RunDirectory
from duelgym_bench.scores import score_run
from duelgym_bench.task import run_task
from duelgym_bench.tracking import Tracking, check_trackers

KWARGS = {"dimension": 4, "n_candidates": 3, "utility": "linear"}
AGENT = "tracked_agents:Constant"
CHECKPOINTS = (0, 8, 16, 24, 32)


def plan_of(**changes):
    fields = {"env": "SyntheticDuel-v0", "env_kwargs": KWARGS, "agents": (AGENT,), "queries": 32, "seeds": 1}
    return Plan(**{**fields, "batch": 8, "command": "", "title": "a title: of #1", **changes})


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(tracking, "_not_starting", set())
    for name in ("MLFLOW_TRACKING_URI", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)


def run(out, *track, progress=lambda queries: None, plan=None):
    plan = plan or plan_of()
    save_plan(plan, out)
    for task in plan.tasks():
        run_task(plan, task, out, CommonLearner("interaction", 1.0, ""), progress, track)
    return out


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def json_lines(out):
    return lines(out / "tracking" / "jsonl" / f"{Task(AGENT, 0).name}.jsonl")


def logs(out):
    folder = RunDirectory(out / "runs" / Task(AGENT, 0).name)
    return [path.read_bytes() for path in (folder.queries, folder.recommendations, folder.common)]


def installed(package):
    return pytest.mark.skipif(
        importlib.util.find_spec(package) is None, reason=f"{package} is not installed: duelgym-bench[tracking]"
    )


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return run(tmp_path_factory.mktemp("plain") / "out")


def test_json_lines_hold_what_the_timings_do_and_live_scores_worked_by_hand(plain):
    """The first of three is always recommended: its mean chance against the others, and the winner's lead over it."""
    held_out = plan_of().session(0).assessment()
    gaps = held_out.utilities[:, 1:] - held_out.utilities[:, :1]
    win = np.mean(1 / (1 + np.exp(gaps)))  # Bradley-Terry at temperature 1
    regret = np.mean(1 / (1 + np.exp(-np.maximum(gaps.max(axis=1), 0))) - 0.5)
    timings = lines(RunDirectory(plain / "runs" / Task(AGENT, 0).name).timings)
    told = json_lines(plain)
    assert [line["t"] for line in told] == [line["t"] for line in timings] == list(CHECKPOINTS)
    for number, (line, timing) in enumerate(zip(told, timings, strict=True)):
        assert line == {
            "t": timing["t"],
            **{f"seconds/{part}": seconds for part, seconds in timing["seconds"].items()},
            "peak_rss_mb": timing["peak_rss_mb"],
            "counters/calls": number,
            "win_rate": pytest.approx(win),
            "simple_regret": pytest.approx(regret),
        }


def test_live_scores_are_those_that_are_recomputed_from_the_logs(tmp_path):
    plan = plan_of(agents=("ee2024-boltzmann",), queries=64)
    run(tmp_path, plan=plan)
    scored = score_run(plan, tmp_path, Task("ee2024-boltzmann", 0))
    told = lines(tmp_path / "tracking" / "jsonl" / "ee2024-boltzmann--000.jsonl")
    assert [line["win_rate"] for line in told] == pytest.approx(scored.win.mean(axis=1))
    assert [line["simple_regret"] for line in told] == pytest.approx(scored.simple_regret.mean(axis=1))
    assert [line["excess_nll/dyadic"] for line in told] == pytest.approx(scored.excess_nll["dyadic"])
    assert len(set(scored.win.mean(axis=1))) > 2


def test_a_tracker_of_ones_own_is_told_of_the_run_and_each_checkpoint(plain, tmp_path):
    run(tmp_path, "tracked_agents:Seen")
    begun, *told, ended = lines(tmp_path / "tracking" / "tracked_agents+Seen" / "seen.jsonl")
    config = {"env": "SyntheticDuel-v0", "env_kwargs": KWARGS, "agent": AGENT, "settings": {}}
    assert begun == {
        "project": "a title: of #1",
        "group": AGENT,
        "name": "tracked_agents+Constant--000",
        "config": {**config, "seed_index": 0, "batch": 8, "queries": 32},
        "after": -1,
    }
    assert told == json_lines(tmp_path)  # though it emptied what it was told
    assert ended == {"finished": True}
    assert logs(tmp_path) == logs(plain)


@pytest.mark.parametrize(
    ("factory", "words", "told"),
    [
        ("FailsToLog", "OSError: no space left", [0, 8]),
        ("FailsToClose", "SystemExit: 3", list(CHECKPOINTS)),
        ("refused", "ConnectionError: no network", []),
        ("nothing", "gave a object; a tracker has the methods log and close", []),
    ],
)
def test_a_tracker_that_fails_is_switched_off_in_one_line_and_the_run_goes_on(
    plain, tmp_path, caplog, factory, words, told
):
    name = f"tracked_agents:{factory}"
    run(tmp_path, name, "tracked_agents:Seen")
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING and words in warning.getMessage() and name in warning.getMessage()
    assert "\n" not in warning.getMessage()
    seen = tmp_path / "tracking" / name.replace(":", "+") / "seen.jsonl"
    assert [line["t"] for line in (lines(seen) if seen.exists() else []) if "t" in line] == told
    others = lines(tmp_path / "tracking" / "tracked_agents+Seen" / "seen.jsonl")
    assert (
        [line["t"] for line in others if "t" in line] == [line["t"] for line in json_lines(tmp_path)] == [*CHECKPOINTS]
    )
    assert logs(tmp_path) == logs(plain)


@pytest.mark.parametrize("resumed", [False, True])
def test_json_lines_that_cannot_be_written_change_nothing(plain, tmp_path, caplog, resumed):
    name = Task(AGENT, 0).name
    (tmp_path / "tracking" / "jsonl" / f"{name}.jsonl").mkdir(parents=True)
    if resumed:
        (tmp_path / "runs" / name).mkdir(parents=True)
    run_task(plan_of(), Task(AGENT, 0), tmp_path, CommonLearner("interaction", 1.0, ""), lambda queries: None)
    assert caplog.records and all("'jsonl' is switched off" in record.getMessage() for record in caplog.records)
    assert logs(tmp_path) == logs(plain)


def test_a_tracker_that_did_not_start_is_not_waited_for_again(tmp_path, caplog):
    run(tmp_path, "tracked_agents:refused", plan=plan_of(seeds=3))
    assert len(caplog.records) == 1
    assert len(list((tmp_path / "tracking" / "jsonl").iterdir())) == 3


def test_a_run_that_fails_ends_as_not_finished(tmp_path):
    def stop(queries):
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        run(tmp_path, "tracked_agents:Seen", progress=stop)
    assert lines(tmp_path / "tracking" / "tracked_agents+Seen" / "seen.jsonl")[-1] == {"finished": False}


def test_a_run_whose_directory_was_deleted_is_a_new_one(tmp_path):
    import shutil

    run(tmp_path, "tracked_agents:Seen")
    shutil.rmtree(tmp_path / "runs")
    run(tmp_path, "tracked_agents:Seen")
    assert [line["t"] for line in json_lines(tmp_path)] == [*CHECKPOINTS]
    told = lines(tmp_path / "tracking" / "tracked_agents+Seen" / "seen.jsonl")
    assert [line["after"] for line in told if "after" in line] == [-1, -1]


@given(
    stops=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=5),
    torn=st.sampled_from([b"", b'{"t": 1', b"{}\n", b"\x00\xff\n"]),
)
def test_however_often_a_run_stops_each_checkpoint_is_told_once_and_in_order(tmp_path_factory, stops, torn):
    """Each process goes on from some checkpoint that is logged, repeats those behind it, and is stopped or finishes."""
    out = tmp_path_factory.mktemp("out")
    file = out / "tracking" / "jsonl" / f"{Task(AGENT, 0).name}.jsonl"
    plan, reached = plan_of(), 0
    for start, stop in [*stops, (0, len(CHECKPOINTS))]:
        start = min(start, reached)
        told = Tracking((), plan, Task(AGENT, 0), out, resumed=True)  # and not closed: killed
        for t in CHECKPOINTS[start : max(start, stop)]:
            told.log({"t": t, "process": {"start": start}, "text": "left out"})
        reached = max(reached, stop)
        if reached < len(CHECKPOINTS):
            with file.open("ab") as log:
                log.write(torn)
    assert [line["t"] for line in lines(file)] == [*CHECKPOINTS]
    assert all(line.keys() == {"t", "process/start"} for line in lines(file))


def test_killed_and_resumed_each_checkpoint_is_there_once(plain, tmp_path):
    """The command itself, killed behind the checkpoint at 16 queries, before the next one."""
    kill = "import os, signal, tracked_agents\nclass Seen(tracked_agents.Seen):\n    def log(self, t, values):\n"
    kill += "        super().log(t, values)\n        if t == 16 and not os.path.exists('killed'):\n"
    kill += "            open('killed', 'w').close()\n            os.kill(os.getpid(), signal.SIGKILL)\n"
    (tmp_path / "deadly.py").write_text(kill)
    given = [
        "--env",
        "SyntheticDuel-v0",
        "--env-kwargs",
        json.dumps(KWARGS),
        "--agents",
        AGENT,
        "--queries",
        32,
        "--seeds",
        1,
    ]
    given += ["--batch-size", 8, "--jobs", 1, "--out", tmp_path / "out", "--track", "deadly:Seen"]
    first, second = (bench(tmp_path, "run", *given, check=False) for _ in range(2))
    assert first.returncode == 1 and "a process was killed" in first.stderr
    assert second.returncode == 0 and second.stderr == ""
    told = lines(tmp_path / "out" / "tracking" / "deadly+Seen" / "seen.jsonl")
    assert [line["after"] for line in told if "after" in line] == [-1, 8]
    assert [line["t"] for line in json_lines(tmp_path / "out")] == [*CHECKPOINTS]
    assert logs(tmp_path / "out")[:2] == logs(plain)[:2]  # the third is of another common learner


@installed("tensorboard")
@installed("mlflow")
def test_trackers_draw_from_no_global_generator_of_arrays_and_leave_the_logs_as_they_are(plain, tmp_path, monkeypatch):
    """Python's own generator is left out: threads of the trackers' packages draw waits from it now and then."""
    import torch

    monkeypatch.setitem(sys.modules, "wandb", StandIn())
    states = [np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()]  # noqa: NPY002
    run(tmp_path, "tensorboard", "mlflow", "wandb", "tracked_agents:Seen")
    assert states == [np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()]  # noqa: NPY002
    assert logs(tmp_path) == logs(plain)
    assert {path.name for path in (tmp_path / "tracking").iterdir()} == {
        "jsonl",
        "mlflow",
        "tensorboard",
        "tracked_agents+Seen",
        "wandb",
    }


@pytest.mark.parametrize(
    ("track", "words"),
    [
        (
            "tensorbord",
            "did you mean 'tensorboard'? known: tensorboard, wandb, mlflow; your own: package.module:factory",
        ),
        ("jsonl", "JSON Lines are always written"),
        ("no_such_module:factory", "tracker 'no_such_module:factory' cannot be imported"),
        ("tracked_agents:KWARGS", "has no attribute 'KWARGS'"),
        ("tracked_agents:json", "is a module, no function; write package.module:factory"),
        ("tracked_agents:Seen,tracked_agents:Seen", "named twice"),
    ],
)
def test_a_tracker_that_cannot_be_is_refused_before_anything_runs(tmp_path, capsys, monkeypatch, track, words):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    assert main(["run", "--env", "SyntheticDuel-v0", "--agents", AGENT, "--out", str(out), "--track", track]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line and not out.exists()


def test_a_tracker_that_is_not_installed_is_refused_with_what_to_install(tmp_path, monkeypatch):
    for name in ("tensorboard", "wandb", "mlflow"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(SpecificationError, match=rf"{name}.*pip install 'duelgym-bench\[tracking\]'"):
            check_trackers((name,))


def test_a_folder_that_is_called_like_a_tracker_does_not_pass_for_it(tmp_path, monkeypatch):
    (tmp_path / "wandb").mkdir()
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    importlib.invalidate_caches()
    with pytest.raises(SpecificationError, match="'wandb' is not installed"):
        check_trackers(("wandb",))
