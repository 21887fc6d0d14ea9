"""Processes on this machine, one thread each, which end with the command that started them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from typing import Any

from duelgym.errors import LogError
from duelgym_bench.executors.work import Advanced, Ended, Event, Failure, Job, work
from duelgym_bench.plan import Task
from duelgym_bench.task import limit_threads

_told: Any = None


def run_in_processes(job: Job, tasks: Sequence[Task], *, jobs: int) -> Generator[Event]:
    """Carry out tasks in a pool of processes; see :class:`duelgym_bench.executors.Executor`.

    Raises:
        LogError: if a process is killed, which ends the others too.
    """
    told = multiprocessing.get_context("spawn").Queue()
    with workers(min(jobs, len(tasks)), told) as pool:
        pending = {pool.submit(_work, job, task): task for task in tasks}
        while pending:
            finished, _ = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
            yield from _news(told)
            for future in finished:
                try:
                    failure = future.result()
                except BrokenProcessPool:
                    raise LogError(
                        f"a process was killed (out of memory?) with {len(pending)} runs unfinished; the same command "
                        "goes on where they stopped, with fewer --jobs if memory is short"
                    ) from None
                yield Ended(pending.pop(future), failure)


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


def _news(told: Any) -> Iterator[Advanced]:
    while True:
        try:
            yield told.get_nowait()
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


def _work(job: Job, task: Task) -> Failure | None:
    return work(job, task, lambda queries: _told.put(Advanced(task, queries)))
