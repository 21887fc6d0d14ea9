"""Running tasks on this machine: one process a core, progress with the time left, Ctrl-C and kills survived."""

from __future__ import annotations

import multiprocessing
import os
import queue
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from duelgym.errors import DuelgymError
from duelgym_bench.common import CommonLearner
from duelgym_bench.plan import Plan, Task
from duelgym_bench.run_directory import RunDirectory
from duelgym_bench.task import limit_threads, run_task

_told: Any = None


@dataclass(frozen=True)
class Failure:
    """A run that did not finish, and why, in one line."""

    task: Task
    reason: str


def run_tasks(plan: Plan, out: Path, learner: CommonLearner, *, jobs: int) -> list[Failure]:
    """Run every task of a plan that is not finished; return the failures, while the others' runs go on.

    Args:
        plan: what to run.
        out: directory of all runs.
        learner: the common learner.
        jobs: number of processes, each with one thread.
    """
    tasks = list(plan.tasks())
    waiting = [task for task in tasks if not RunDirectory(out / "runs" / task.name).finished()]
    with tqdm(
        total=len(tasks) * plan.queries,
        initial=(len(tasks) - len(waiting)) * plan.queries,
        unit=" queries",
        desc=f"{len(waiting)} of {len(tasks)} runs",
        disable=None,
        smoothing=0.05,
    ) as bar:
        if not waiting:
            return []
        spawn = multiprocessing.get_context("spawn")
        told = spawn.Queue()
        # Set before the workers start, since the numeric libraries read it when they are first imported.
        kept = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        os.environ.update(dict.fromkeys(kept, "1"))
        pool = ProcessPoolExecutor(min(jobs, len(waiting)), mp_context=spawn, initializer=_start, initargs=(told,))
        try:
            return _collect(pool, plan, waiting, out, learner, told, bar.update)
        except KeyboardInterrupt:
            for process in list((pool._processes or {}).values()):  # waiting for half-done runs would hold Ctrl-C up
                process.terminate()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            for name, value in kept.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


def _collect(
    pool: ProcessPoolExecutor,
    plan: Plan,
    waiting: list[Task],
    out: Path,
    learner: CommonLearner,
    told: Any,
    advance: Callable[[int], object],
) -> list[Failure]:
    futures: dict[Future[str | None], Task] = {pool.submit(_work, plan, task, out, learner): task for task in waiting}
    failures: list[Failure] = []
    pending = set(futures)
    while pending:
        finished, pending = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
        _drain(told, advance)
        for future in finished:
            try:
                reason = future.result()
            except BrokenProcessPool:
                reason = "its process was killed (out of memory?); the same command resumes it"
            if reason is not None:
                failures.append(Failure(futures[future], reason))
    _drain(told, advance)
    return failures


def _drain(told: Any, advance: Callable[[int], object]) -> None:
    while True:
        try:
            advance(told.get_nowait())
        except queue.Empty:
            return


def _start(told: Any) -> None:
    global _told
    _told = told
    limit_threads()


def _work(plan: Plan, task: Task, out: Path, learner: CommonLearner) -> str | None:
    """Run one task; return None, or in one line why it failed."""
    try:
        run_task(plan, task, out, learner, _told.put)
    except DuelgymError as error:
        return str(error)
    except OSError as error:
        return f"{type(error).__name__}: {error}"
    return None
