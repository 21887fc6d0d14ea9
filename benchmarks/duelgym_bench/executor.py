"""Running tasks on this machine: one process a core, progress with the time left, Ctrl-C and kills survived."""

from __future__ import annotations

import contextlib
import fcntl
import multiprocessing
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any

from tqdm import tqdm

from duelgym.errors import DuelgymError, LogError, SpecificationError
from duelgym_bench.common import CommonLearner
from duelgym_bench.plan import Plan, Task
from duelgym_bench.run_directory import RunDirectory
from duelgym_bench.task import limit_threads, run_task

_told: Any = None


@dataclass(frozen=True)
class Failure:
    """A run that did not finish.

    Attributes:
        task: the run.
        reason: why, in one line.
        by_agent: whether the agent refused, raised or broke its contract, rather than anything else going wrong.
    """

    task: Task
    reason: str
    by_agent: bool


def run_tasks(
    plan: Plan, out: Path, learner: CommonLearner | None, *, jobs: int, track: Sequence[str] = ()
) -> list[Failure]:
    """Run every task of a plan that is not finished; return the failures, while the others' runs go on.

    Args:
        plan: what to run.
        out: directory of all runs.
        learner: the common learner; None in tuning, which does without.
        jobs: number of processes, each with one thread.
        track: names of trackers, which show the runs while they go on.

    Raises:
        LogError: if a process is killed, which ends the others too; or if another command is writing to ``out``.
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
        told = multiprocessing.get_context("spawn").Queue()
        with alone(out), workers(min(jobs, len(waiting)), told) as pool:
            return _collect(pool, plan, waiting, out, learner, told, bar.update, track)


@contextlib.contextmanager
def workers(jobs: int, told: Any = None) -> Iterator[ProcessPoolExecutor]:
    """Give a pool of processes of one thread each, which end at once when this process is interrupted, fails or is killed."""
    limit_threads()  # before they start: the numeric libraries read the environment when they are first imported
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_start, initargs=(told,))
    try:
        yield pool
    except BaseException:
        for process in list((pool._processes or {}).values()):  # waiting for half-done work would hold Ctrl-C up
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def alone(out: Path) -> Iterator[None]:
    """Hold a directory of runs, so that no second process writes the same logs.

    Raises:
        LogError: if another process holds it.
    """
    descriptor = os.open(out, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LogError(
                f"{out}: another duelgym-bench run is writing here; wait for it, or give a new --out"
            ) from None
        except OSError:  # some network file systems lock no directories
            pass
        yield
    finally:
        os.close(descriptor)


def _collect(
    pool: ProcessPoolExecutor,
    plan: Plan,
    waiting: list[Task],
    out: Path,
    learner: CommonLearner | None,
    told: Any,
    advance: Callable[[int], object],
    track: Sequence[str],
) -> list[Failure]:
    pending: set[Future[Failure | None]] = {pool.submit(_work, plan, task, out, learner, track) for task in waiting}
    failures: list[Failure] = []
    while pending:
        finished, pending = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
        _drain(told, advance)
        for future in finished:
            try:
                failure = future.result()
            except BrokenProcessPool:
                left = sum(not RunDirectory(out / "runs" / task.name).finished() for task in waiting)
                raise LogError(
                    f"a process was killed (out of memory?) with {left} runs unfinished; the same command "
                    "goes on where they stopped, with fewer --jobs if memory is short"
                ) from None
            if failure is not None:
                failures.append(failure)
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
    threading.Thread(target=_end_with_parent, daemon=True).start()
    limit_threads()


def _end_with_parent() -> None:
    """End this process as soon as the one that started it is gone, lest it goes on writing beside its successor."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # it runs in workers alone
    wait_for([parent.sentinel])
    os._exit(1)


def _work(plan: Plan, task: Task, out: Path, learner: CommonLearner | None, track: Sequence[str]) -> Failure | None:
    """Run one task; return None, or why it failed."""
    try:
        run_task(plan, task, out, learner, _told.put, track)
    except DuelgymError as error:
        return Failure(task, str(error), by_agent=isinstance(error, SpecificationError))
    except (Exception, SystemExit) as error:  # whatever an agent of somebody else's does, the others' runs go on
        return Failure(task, f"{type(error).__name__}: {' '.join(str(error).split())}", by_agent=False)
    return None
