"""Running what is not finished of a plan: progress with the time left, Ctrl-C and kills survived."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from duelgym.errors import LogError
from duelgym_bench.common import CommonLearner
from duelgym_bench.executors import executor_named
from duelgym_bench.executors.work import Advanced, Failure, Job
from duelgym_bench.isolation.launch import Isolation
from duelgym_bench.plan import Plan
from duelgym_bench.progress import Progress
from duelgym_bench.run_directory import RunDirectory

__all__ = ["Failure", "run_tasks"]


def run_tasks(
    plan: Plan,
    out: Path,
    learner: CommonLearner | None,
    *,
    jobs: int,
    executor: str = "processes",
    track: tuple[str, ...] = (),
    isolation: Isolation | None = None,
    texts: bool = True,
) -> list[Failure]:
    """Run every task of a plan that is not finished; return the failures, while the others' runs go on.

    Args:
        plan: what to run.
        out: directory of all runs, which the caller holds (:func:`~duelgym_bench.locks.alone`) from before it wrote the plan.
        learner: the common learner; None in tuning and in runs that are only compared, which do without.
        jobs: number of runs that go on at once, each with one thread.
        executor: ``processes`` of this machine, or a cluster's by ``ray``.
        track: names of trackers, which show the runs while they go on.
        isolation: how each run's agent is kept in a process of its own; None: it is not.
        texts: whether an agent in a process of its own may read texts.

    Raises:
        LogError: if the disk is full; if a process of this machine is killed, which ends the others too.
        SpecificationError: if the executor cannot be had.
    """
    tasks = list(plan.tasks())
    waiting = [task for task in tasks if not RunDirectory(out / "runs" / task.name).finished()]
    failures = []
    with Progress(plan.queries, len(tasks), len(waiting)) as progress:
        if not waiting:
            return []
        job = Job(plan, out, learner, track, isolation, texts)
        with closing(executor_named(executor)(job, waiting, jobs=jobs)) as events:
            for event in events:
                if isinstance(event, Advanced):
                    progress.advance(event)
                    continue
                progress.end(event)
                if event.failure is not None and event.failure.everywhere:
                    raise LogError(event.failure.reason)
                if event.failure is not None:
                    failures.append(event.failure)
    return failures
