"""Trackers: one run told by two processes, at TensorBoard, MLflow and Weights & Biases."""

import dataclasses
import importlib.util
import os
import subprocess
import sys

import pytest
from wandb_stand_in import StandIn

from duelgym_bench.trackers import MLflow, TensorBoard, TrackedRun, WeightsAndBiases

KWARGS = {"dimension": 4, "n_candidates": 3, "utility": "linear"}
AGENT = "tracked_agents:Constant"
CHECKPOINTS = (0, 8, 16, 24, 32)


def installed(package):
    return pytest.mark.skipif(
        importlib.util.find_spec(package) is None, reason=f"{package} is not installed: duelgym-bench[tracking]"
    )


def tracked(directory, after=-1, **changes):
    directory.mkdir(parents=True, exist_ok=True)
    run = TrackedRun("a title: of #1", "infomax", "infomax--000", {"env": "E", "batch": 8}, directory, after)
    return dataclasses.replace(run, **changes)


def stopped_and_resumed(factory, directory):
    """Two checkpoints in a process that is killed in the next one's middle, and the rest in another."""
    first = factory(tracked(directory))
    first.log(0, {"win_rate": 0.5, "seconds/learn": 0.0})
    first.log(8, {"win_rate": 0.625, "seconds/learn": 2.0})
    second = factory(tracked(directory, after=8))
    second.log(16, {"win_rate": 0.75, "seconds/learn": 4.0})
    second.close(finished=True)


@installed("tensorboard")
def test_tensorboard_reads_every_checkpoint_once(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    stopped_and_resumed(TensorBoard, tmp_path)
    events = EventAccumulator(str(tmp_path / "infomax--000")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("win_rate")] == [(0, 0.5), (8, 0.625), (16, 0.75)]
    assert [event.value for event in events.Scalars("seconds/learn")] == [0, 2, 4]
    (config,) = events.Tensors("config/text_summary")
    assert b'"env": "E"' in config.tensor_proto.string_val[0]


@installed("tensorboard")
def test_tensorboard_drops_what_an_earlier_process_wrote_beyond_what_is_kept(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    first = TensorBoard(tracked(tmp_path))
    for t in (0, 8, 16):
        first.log(t, {"win_rate": 0.5})
    second = TensorBoard(tracked(tmp_path, after=8))
    second.log(16, {"win_rate": 0.75})
    events = EventAccumulator(str(tmp_path / "infomax--000")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("win_rate")] == [(0, 0.5), (8, 0.5), (16, 0.75)]


@installed("mlflow")
def test_mlflow_goes_on_in_the_same_run_and_begins_another_for_a_new_one(tmp_path):
    from mlflow import MlflowClient

    stopped_and_resumed(MLflow, tmp_path)
    client = MlflowClient(tracking_uri=tmp_path.as_uri())
    experiment = client.get_experiment_by_name("a title: of #1")
    (found,) = client.search_runs([experiment.experiment_id])
    assert (found.info.run_name, found.info.status, found.data.tags["group"]) == ("infomax--000", "FINISHED", "infomax")
    assert found.data.params == {"env": "E", "batch": "8"}
    history = client.get_metric_history(found.info.run_id, "win_rate")
    assert sorted((metric.step, metric.value) for metric in history) == [(0, 0.5), (8, 0.625), (16, 0.75)]
    MLflow(tracked(tmp_path)).close(finished=False)
    states = [run.info.status for run in client.search_runs([experiment.experiment_id])]
    assert sorted(states) == ["FAILED", "FINISHED"]


@installed("mlflow")
def test_mlflow_writes_where_its_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "elsewhere").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    MLflow(tracked(tmp_path / "here")).close(finished=True)
    assert (tmp_path / "elsewhere").is_dir()
    assert {path.name for path in (tmp_path / "here").iterdir()} == {"infomax--000.id"}


def test_weights_and_biases_is_given_the_same_id_until_the_run_is_a_new_one(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", wandb := StandIn())
    stopped_and_resumed(WeightsAndBiases, tmp_path / "wandb")
    assert wandb.steps == [(0, 0.5), (8, 0.625), (16, 0.75)] and wandb.exits == [0]
    first, second = wandb.begun
    assert first == second and first.pop("id")
    assert first == {
        "project": "a title- of -1",
        "group": "infomax",
        "name": "infomax--000",
        "resume": "allow",
        "reinit": "create_new",
        "config": {"env": "E", "batch": 8},
        "dir": tmp_path,
    }
    monkeypatch.setenv("WANDB_DIR", "elsewhere")
    WeightsAndBiases(tracked(tmp_path / "wandb")).close(finished=False)
    assert wandb.begun[2]["id"] != second["id"] and wandb.begun[2]["dir"] == "elsewhere" and wandb.exits == [0, 1]


@installed("wandb")
def test_weights_and_biases_offline(tmp_path):
    """The real one, in a process of its own, as a worker is: two runs one after the other, nothing on its streams."""
    code = """
import sys
from pathlib import Path
from duelgym_bench.trackers import TrackedRun, WeightsAndBiases
directory = Path(sys.argv[1]) / "wandb"
directory.mkdir()
for name in ("infomax--000", "infomax--001"):
    tracker = WeightsAndBiases(TrackedRun("a title: of #1", "infomax", name, {"env": "E"}, directory, -1))
    tracker.log(0, {"win_rate": 0.5})
    tracker.log(8, {"win_rate": 0.625})
    tracker.close(finished=True)
"""
    own = {f"WANDB_{name}_DIR": str(tmp_path / name) for name in ("CACHE", "CONFIG", "DATA")}
    environment = os.environ | own | {"WANDB_MODE": "offline", "PYTHONWARNINGS": "error", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env=environment, capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for name in ("infomax--000", "infomax--001"):
        identity = (tmp_path / "wandb" / f"{name}.id").read_text()
        (written,) = (tmp_path / "wandb").glob(f"offline-run-*-{identity}/run-{identity}.wandb")
        assert b"win_rate" in written.read_bytes() and name.encode() in written.read_bytes()
