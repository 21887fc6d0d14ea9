"""A Ray cluster: the one that ``RAY_ADDRESS`` names, or else one of this machine alone that ends with the command.

The run directory must lie on a file system that all nodes share, with file locks that hold between them: every worker
checks this before it writes. When a worker or its node is lost, another one resumes the run from its last checkpoint, as
the same command would. It waits for the lock on the run's query log first, so that it never writes beside a worker
that was given up for lost while it was merely out of reach.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from duelgym.errors import SpecificationError
from duelgym_bench.executors.work import Advanced, Ended, Event, Failure, Job, work
from duelgym_bench.locks import is_shared, token_of
from duelgym_bench.plan import Task
from duelgym_bench.task import THREAD_LIMITS, limit_threads

RETRIES = 3
_POLL = 0.5  # seconds between two looks at what goes on
_OBJECT_STORE = 100 * 2**20  # bytes, near the least that Ray takes; nothing large is passed on


def run_on_ray(job: Job, tasks: Sequence[Task], *, jobs: int) -> Generator[Event]:
    """Carry out tasks on a Ray cluster; see :class:`duelgym_bench.executors.Executor`.

    Raises:
        SpecificationError: if the cluster cannot be reached.
    """
    job = replace(job, out=job.out.resolve())
    token = token_of(job.out)
    with _cluster(min(jobs, len(tasks))) as ray:
        told = ray.remote(num_cpus=0, max_restarts=-1)(_Told).remote()
        remote = ray.remote(num_cpus=1, max_retries=0)(_work)
        lost = (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.OutOfMemoryError)
        losses: Counter[Task] = Counter()
        waiting, running = deque(tasks), dict[Any, Task]()
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    task = waiting.popleft()
                    running[remote.remote(job, task, token, str(Path.cwd()), told)] = task
                finished, _ = ray.wait(list(running), timeout=_POLL)
                with contextlib.suppress(ray.exceptions.RayError):  # its node may be the one that was lost
                    yield from ray.get(told.news.remote(), timeout=_POLL)
                for reference in finished:
                    task = running.pop(reference)
                    try:
                        failure = ray.get(reference)
                    except lost:
                        losses[task] += 1
                        if losses[task] <= RETRIES:
                            waiting.appendleft(task)
                            continue
                        reason = (
                            f"its worker was killed {losses[task]} times (out of memory?); the same command goes on"
                        )
                        failure = Failure(task, reason)
                    except ray.exceptions.RayError as error:  # such as a node without this package
                        failure = Failure(task, f"Ray could not run it: {str(error).strip().splitlines()[-1]}")
                    yield Ended(task, failure)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)


@contextlib.contextmanager
def _cluster(cores: int) -> Iterator[Any]:
    """Join the cluster that ``RAY_ADDRESS`` names, or start one with so many cores here; leave or end it afterwards."""
    import ray

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    limit_threads()  # before a cluster of this machine starts, whose processes inherit it
    address = os.environ.get("RAY_ADDRESS") or "local"
    environment = {name: os.environ[name] for name in ("PYTHONPATH", *THREAD_LIMITS) if name in os.environ}
    own: dict[str, Any] = {
        "num_cpus": cores,
        "object_store_memory": _OBJECT_STORE,
        "include_dashboard": False,
        "_system_config": {"worker_niceness": 0},  # as in processes; Ray's own 15 starves workers on a busy machine
    }
    try:
        _knock(address)
        ray.init(
            address=address,
            runtime_env={"env_vars": environment},
            log_to_driver=False,
            logging_level=logging.ERROR,
            **(own if address == "local" else {}),
        )
    except (OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise SpecificationError(f"the Ray cluster at RAY_ADDRESS={address} cannot be used: {reason}") from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """See whether anything listens where an address has a port, since Ray itself goes on trying for many minutes.

    Raises:
        OSError: if nothing does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


class _Told:
    """An actor that workers tell how far they are, and that the command asks now and then."""

    def __init__(self) -> None:
        self._latest: dict[Task, Advanced] = {}

    def tell(self, advanced: Advanced) -> None:
        self._latest[advanced.task] = advanced

    def news(self) -> list[Advanced]:
        news, self._latest = list(self._latest.values()), {}
        return news


def _work(job: Job, task: Task, token: str, folder: str, told: Any) -> Failure | None:
    """Carry out a task in a worker, in the folder in which the command was given, where there is one on this node."""
    if not is_shared(job.out, token):
        import ray

        node = ray.util.get_node_ip_address()
        return Failure(
            task,
            f"node {node} does not see {job.out} as this machine does, or without file locks; with --executor ray, --out must "
            "lie on a file system that all nodes share, and that locks files between them",
            everywhere=True,
        )
    with contextlib.suppress(OSError):
        os.chdir(folder)
    limit_threads()
    last = -_POLL

    def tell(queries: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _POLL:
            last = time.monotonic()
            told.tell.remote(Advanced(task, queries))

    return work(job, task, tell)
