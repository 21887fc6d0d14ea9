"""Telling trackers how a run goes, so that somebody can watch it: JSON Lines always, others as ``--track`` names them.

These live numbers are for watching: nothing reads them back, and every reported number is recomputed from the logs. All of
it lies in ``tracking/`` beside ``runs/`` and may be deleted. A tracker that fails is switched off in one line of warning,
and the run goes on.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Int64

from duelgym.errors import SpecificationError, error_in_words
from duelgym.imports import imported_factory
from duelgym.metrics import Judged
from duelgym_agents.catalogue import known
from duelgym_bench.plan import Plan, Task
from duelgym_bench.trackers import JsonLines, MLflow, TensorBoard, TrackedRun, Tracker, WeightsAndBiases

_Factory = Callable[[TrackedRun], Tracker]
TRACKERS: dict[str, _Factory] = {"tensorboard": TensorBoard, "wandb": WeightsAndBiases, "mlflow": MLflow}
"""Name, which is also that of the package it needs -> factory."""
JSON_LINES = "jsonl"
_log = logging.getLogger(__name__)
_not_starting: set[str] = set()
"""Trackers that failed to start in this process: its next runs do without, rather than wait as long for a network."""


def check_trackers(names: Sequence[str]) -> None:
    """Refuse trackers that cannot work, before anything runs; none is started.

    Args:
        names: of :data:`TRACKERS`, or ``package.module:factory``.

    Raises:
        SpecificationError: if one is unknown, named twice, cannot be imported, or needs a package that is not installed.
    """
    for name in names:
        if names.count(name) > 1:
            raise SpecificationError(f"tracker {name!r} is named twice")
        factory_of(name)
        if name in TRACKERS:
            package = importlib.util.find_spec(name)
            if package is None or package.origin is None:  # a folder of that name, as wandb leaves, is no package
                raise SpecificationError(
                    f"tracker {name!r} is not installed; install it: pip install 'duelgym-bench[tracking]'"
                )


def factory_of(name: str) -> _Factory:
    """Return what makes a tracker.

    Raises:
        SpecificationError: if there is none of that name, or one's own cannot be imported.
    """
    if ":" in name:
        return imported_factory("tracker", name)
    also = "; your own: package.module:factory; JSON Lines are always written"
    return TRACKERS[known("tracker", name, TRACKERS, also)]


class Tracking:
    """The trackers of one run.

    Args:
        names: of the trackers beside JSON Lines, as for :func:`check_trackers`.
        plan: what is run.
        task: which agent and seed.
        out: directory of all runs; each tracker writes into its own folder of ``tracking/``.
        resumed: whether an earlier process began the run. What it logged is not logged again, though a run repeats
            checkpoints when it goes on from an earlier state.
    """

    def __init__(self, names: Sequence[str], plan: Plan, task: Task, out: Path, *, resumed: bool) -> None:
        folder = out / "tracking"
        self.name, self.after = task.name, -1
        self.trackers: dict[str, Tracker] = {}
        if resumed:
            with self._guarded(JSON_LINES):
                self.after = JsonLines.last(folder / JSON_LINES / f"{task.name}.jsonl")
        run = TrackedRun(plan.title or "duelgym", task.agent, task.name, _config(plan, task), folder, self.after)
        for name in names:
            if name not in _not_starting and not self._started(name, run):
                _not_starting.add(name)
        self._started(JSON_LINES, run)  # the last to be told: what its file holds, the others were told

    def __enter__(self) -> Tracking:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, tracker in list(self.trackers.items()):
            with self._guarded(name):
                tracker.close(finished=kind is None)

    def log(self, record: Mapping[str, Any]) -> None:
        """Tell all trackers of a checkpoint.

        Args:
            record: plain JSON: ``"t"``, the query count, and numbers by their names; those of a mapping inside it are told
                as ``"outer/inner"``, and what is no number is left out.
        """
        if record["t"] <= self.after:
            return
        values = dict(_numbers({name: value for name, value in record.items() if name != "t"}))
        for name, tracker in list(self.trackers.items()):
            with self._guarded(name):
                tracker.log(record["t"], dict(values))

    def _started(self, name: str, run: TrackedRun) -> bool:
        """Start a tracker, in its folder of the run's directory; return whether it did."""
        with self._guarded(name):
            directory = run.directory / name.replace(":", "+")
            directory.mkdir(parents=True, exist_ok=True)
            factory = JsonLines if name == JSON_LINES else factory_of(name)
            tracker = factory(replace(run, directory=directory))
            if not isinstance(tracker, Tracker):
                raise SpecificationError(
                    f"its factory gave a {type(tracker).__name__}; a tracker has the methods log and close"
                )
            self.trackers[name] = tracker
        return name in self.trackers

    @contextlib.contextmanager
    def _guarded(self, name: str) -> Iterator[None]:
        """Switch a tracker off if it fails."""
        try:
            yield
        except (Exception, SystemExit) as error:
            self.trackers.pop(name, None)
            reason = error_in_words(error)
            _log.warning(
                "duelgym-bench: warning: %s: tracker %r is switched off, and runs go on: %s", self.name, name, reason
            )


def live_scores(held_out: Judged, recommended: Int64[np.ndarray, " prompts"]) -> dict[str, float]:
    """Return win rate and simple regret of the recommended positions, each the mean over the assessment prompts, in [0, 1]."""
    wins = np.take_along_axis(held_out.win_rates(), recommended[:, None], axis=1)
    regrets = held_out.regrets(np.stack([recommended, recommended], axis=1))[:, 0]
    return {"win_rate": float(wins.mean()), "simple_regret": float(regrets.mean())}


def _config(plan: Plan, task: Task) -> dict[str, Any]:
    return {
        "env": plan.env,
        "env_kwargs": plan.problem_kwargs(task.seed_index),
        "agent": task.agent,
        "settings": dict(plan.settings.get(task.configured, {})),
        "seed_index": task.seed_index,
        "batch": plan.batch,
        "queries": plan.queries,
    }


def _numbers(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float):
            yield prefix + name, float(value)
