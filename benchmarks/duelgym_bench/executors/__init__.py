"""Where runs are carried out: processes of this machine, or a Ray cluster.

An executor is a function ``(job, tasks, *, jobs) -> Generator[Event]``: it carries out the tasks of a job, ``jobs`` at a
time and each with one thread, and yields what becomes of them. All of them call :func:`duelgym_bench.executors.work.work`
for the run itself, so the logs are the same, bit for bit, whoever carries them out.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Generator, Sequence
from typing import Protocol

from duelgym.errors import SpecificationError
from duelgym_bench.executors.work import Event, Job
from duelgym_bench.plan import Task


class Executor(Protocol):
    """Carries out tasks."""

    def __call__(self, job: Job, tasks: Sequence[Task], *, jobs: int) -> Generator[Event]:
        """Carry out all tasks, yielding what becomes of them; closing the iterator ends whatever runs still.

        Args:
            job: what the tasks are part of; this process holds its directory while they run.
            tasks: runs that are not finished.
            jobs: how many go on at once.

        Raises:
            DuelgymError: in one line, if it cannot go on.
        """


def executor_named(name: str) -> Executor:
    """Return the executor of a name: ``processes`` or ``ray``.

    Raises:
        SpecificationError: if it needs what is not installed.
    """
    if name == "ray":
        if importlib.util.find_spec("ray") is None:
            raise SpecificationError(
                "--executor ray needs Ray, which is not installed; pip install 'duelgym-bench[ray]', or leave the option out"
            )
        from duelgym_bench.executors.ray import run_on_ray

        return run_on_ray
    from duelgym_bench.executors.processes import run_in_processes

    return run_in_processes
