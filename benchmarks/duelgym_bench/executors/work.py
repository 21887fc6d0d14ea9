"""What every executor does with one task."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from duelgym.agent import Agent
from duelgym.errors import DiskFullError, DuelgymError, LogError, SpecificationError, error_in_words
from duelgym.rounds.members import NO_ROOM
from duelgym_bench.common import CommonLearner
from duelgym_bench.isolation.agent import isolated_agent
from duelgym_bench.isolation.launch import Isolation
from duelgym_bench.locks import locked
from duelgym_bench.plan import Plan, Task
from duelgym_bench.run_directory import RunDirectory
from duelgym_bench.task import run_task

_LONGEST_WAIT = 180.0  # seconds; a node that was lost keeps its locks on a network file system for up to about 90


@dataclass(frozen=True)
class Job:
    """What all tasks of a run have in common.

    Attributes:
        plan: what to run.
        out: directory of all runs.
        learner: the common learner; None in tuning and in runs that are only compared, which do without.
        track: names of trackers, which show the runs while they go on.
        isolation: how each run's agent is kept in a process of its own; None: it is not.
        texts: whether an agent in a process of its own may read texts.
    """

    plan: Plan
    out: Path
    learner: CommonLearner | None
    track: tuple[str, ...] = ()
    isolation: Isolation | None = None
    texts: bool = True


@dataclass(frozen=True)
class Failure:
    """A run that did not finish.

    Attributes:
        task: the run.
        reason: why, in one line.
        by_agent: whether the agent refused, raised or broke its contract, rather than anything else going wrong.
        everywhere: whether all other runs would meet the same, as with a full disk, so that none should go on.
    """

    task: Task
    reason: str
    by_agent: bool = False
    everywhere: bool = False


@dataclass(frozen=True)
class Advanced:
    """A task has answered so many of its queries, those that it repeated to resume among them."""

    task: Task
    queries: int


@dataclass(frozen=True)
class Ended:
    """A task has finished, or failed."""

    task: Task
    failure: Failure | None


Event = Advanced | Ended


def work(job: Job, task: Task, tell: Callable[[int], object]) -> Failure | None:
    """Carry out one task; return None, or why it failed.

    Args:
        job: what it is part of.
        task: the run.
        tell: is told how many queries have been answered, again and again.
    """
    answered = 0

    def progress(queries: int) -> None:
        nonlocal answered
        answered += queries
        tell(answered)

    directory = RunDirectory(job.out / "runs" / task.name)
    try:
        with _held(directory), _isolated(job, task) as agent:
            run_task(job.plan, task, job.out, job.learner, progress, job.track, agent)
    except DiskFullError as error:
        return Failure(task, str(error), everywhere=True)
    except DuelgymError as error:
        return Failure(task, str(error), by_agent=isinstance(error, SpecificationError))
    except (Exception, SystemExit) as error:  # whatever an agent of somebody else's does, the others' runs go on
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            reason = f"{directory.path}: {error.strerror}; make room, and the same command goes on where it stopped"
            return Failure(task, reason, everywhere=True)
        return Failure(task, error_in_words(error))
    return None


@contextlib.contextmanager
def _isolated(job: Job, task: Task) -> Iterator[Agent | None]:
    """Give a task's agent in a process of its own, which ends with it; None where it is to live in this one."""
    if job.isolation is None:
        yield None
        return
    with isolated_agent(job.plan, task, job.plan.problem(task.seed_index), job.isolation) as agent:
        if agent.needs_texts and not job.texts:
            raise SpecificationError(
                f"{task.described}: it has needs_texts, and was entered among those that see embeddings alone; enter it "
                "without the environment that has no texts"
            )
        yield agent


@contextlib.contextmanager
def _held(directory: RunDirectory) -> Iterator[None]:
    """Hold a run's query log, waiting for an earlier worker that was given up for lost but is not gone yet.

    Raises:
        LogError: if it is still there after a while.
    """
    directory.path.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + _LONGEST_WAIT
    with directory.queries.open("ab") as log:
        while not locked(log.fileno()):
            if time.monotonic() > until:
                raise LogError(f"{directory.queries}: another process is writing it; end that, and run the same again")
            time.sleep(0.2)
        yield
