"""What watches a run: JSON Lines, TensorBoard, Weights & Biases, MLflow, or anything with the same two methods.

Each but JSON Lines is a thin writer, imported when it is asked for. A run that goes on after a kill goes on in the same
tracked run.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from duelgym_bench.files import write_atomically

_NOT_IN_PROJECTS = re.compile(r"[/\\#?%:]+")
"""What Weights & Biases takes in no project's name."""
_WANDB = {
    "WANDB_SILENT": "true",
    "WANDB_CONSOLE": "off",
    "WANDB_INIT_TIMEOUT": "30",
    "WANDB_FINISH_TIMEOUT": "60",
}
_MLFLOW = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}
"""Their settings where the environment has none: quiet, and no run waits minutes (seconds) for what does not answer."""


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker is told of a run when it starts.

    Attributes:
        project: the plan's title.
        group: the agent.
        name: of the run's directory: agent and seed.
        config: what the run is of, plain JSON: environment, its arguments, agent, settings, seed index, batch, queries.
        directory: where the tracker may write; other runs' trackers write there too, at the same time.
        after: the last query count that an earlier process logged; -1 for a new run.
    """

    project: str
    group: str
    name: str
    config: Mapping[str, Any]
    directory: Path
    after: int


@runtime_checkable
class Tracker(Protocol):
    """Shows one run while it goes on. One's own is ``package.module:factory``, called with a :class:`TrackedRun`."""

    def log(self, t: int, values: Mapping[str, float]) -> None:
        """Show the values of the checkpoint at ``t`` queries; called once a checkpoint, in their order."""
        ...

    def close(self, *, finished: bool) -> None:
        """End; not finished: the run failed, and may go on later."""
        ...


class JsonLines:
    """``NAME.jsonl``: a line a checkpoint, with ``t`` and each value by its name."""

    def __init__(self, run: TrackedRun) -> None:
        self.path = run.directory / f"{run.name}.jsonl"
        write_atomically(self.path, "".join(line for t, line in _lines(self.path) if t <= run.after))

    def log(self, t: int, values: Mapping[str, float]) -> None:
        """Append a line."""
        with self.path.open("a") as file:
            file.write(json.dumps({"t": t, **values}) + "\n")

    def close(self, *, finished: bool) -> None:
        """Do nothing: every line is written already."""

    @staticmethod
    def last(path: Path) -> int:
        """Return the query count of a file's last line; -1 where it has none."""
        return max((t for t, _ in _lines(path)), default=-1)


class TensorBoard:
    """Event files in a directory a run: ``tensorboard --logdir``."""

    def __init__(self, run: TrackedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(run.directory / run.name), purge_step=run.after + 1)
        if run.after < 0:
            self.writer.add_text("config", f"```\n{json.dumps(dict(run.config), indent=1)}\n```")

    def log(self, t: int, values: Mapping[str, float]) -> None:
        """Write scalars, and to the disk at once, since the process may be killed."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, t)
        self.writer.flush()

    def close(self, *, finished: bool) -> None:
        """Close the file."""
        self.writer.close()


class WeightsAndBiases:
    """A run of Weights & Biases, as its own environment variables say: ``WANDB_MODE``, ``WANDB_DIR`` and so on."""

    def __init__(self, run: TrackedRun) -> None:
        _preset(_WANDB)
        import wandb

        self.run = wandb.init(
            project=_NOT_IN_PROJECTS.sub("-", run.project)[:128],
            group=run.group,
            name=run.name,
            id=_same_id(run, lambda: uuid.uuid4().hex),
            resume="allow",
            reinit="create_new",  # else a run that failed to finish would be given again
            config=dict(run.config),
            dir=os.environ.get("WANDB_DIR", run.directory.parent),  # it makes the folder "wandb" inside
        )

    def log(self, t: int, values: Mapping[str, float]) -> None:
        """Log at step ``t``."""
        self.run.log(dict(values), step=t)

    def close(self, *, finished: bool) -> None:
        """Wait for what is on its way, and mark the run as finished or failed."""
        self.run.finish(exit_code=0 if finished else 1)


class MLflow:
    """A run of MLflow, at ``MLFLOW_TRACKING_URI`` or else in plain files."""

    def __init__(self, run: TrackedRun) -> None:
        _preset(_MLFLOW)
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        if uri is None:
            os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"  # a database needs more packages than the client brings
            uri = run.directory.absolute().as_uri()
        from mlflow import MlflowClient

        self.client = MlflowClient(tracking_uri=uri)
        with _alone(run.directory):  # lest two processes make the same experiment
            found = self.client.get_experiment_by_name(run.project)
            experiment = self.client.create_experiment(run.project) if found is None else found.experiment_id
        self.id = _same_id(run, lambda: self._created(experiment, run))
        self.client.update_run(self.id, status="RUNNING")

    def _created(self, experiment: str, run: TrackedRun) -> str:
        identity = self.client.create_run(experiment, run_name=run.name, tags={"group": run.group}).info.run_id
        for name, value in run.config.items():
            self.client.log_param(identity, name, value if isinstance(value, str) else json.dumps(value))
        return identity

    def log(self, t: int, values: Mapping[str, float]) -> None:
        """Log at step ``t``."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self.client.log_batch(self.id, metrics=[Metric(name, value, now, t) for name, value in values.items()])

    def close(self, *, finished: bool) -> None:
        """Mark the run as finished or failed."""
        self.client.set_terminated(self.id, status="FINISHED" if finished else "FAILED")


def _preset(settings: Mapping[str, str]) -> None:
    """Set environment variables that are not set; those packages read them when they are first imported."""
    for name, value in settings.items():
        os.environ.setdefault(name, value)


def _same_id(run: TrackedRun, made: Callable[[], str]) -> str:
    """Return the id that a tracked run has since it began; a new run's is written beside the tracker's files."""
    path = run.directory / f"{run.name}.id"
    if run.after >= 0 and path.exists():
        return path.read_text()
    identity = made()
    write_atomically(path, identity)
    return identity


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield query count and text of every line of a JSON Lines file that a kill did not tear."""
    for line in path.read_text(errors="replace").splitlines(keepends=True) if path.exists() else ():
        with contextlib.suppress(ValueError, LookupError, TypeError):
            t = int(json.loads(line)["t"])
            if line.endswith("\n"):
                yield t, line


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Wait until no other process is in here."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems lock no directories
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
