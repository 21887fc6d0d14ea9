"""How long a run of an agent should take, measured on a throwaway run that stops after a few batches."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from duelgym.rounds import read_members
from duelgym_bench.common import CommonLearner, write_common_curve
from duelgym_bench.executors.processes import workers
from duelgym_bench.plan import Plan, Task
from duelgym_bench.run_directory import RunDirectory
from duelgym_bench.task import run_task

PROBE_SECONDS, PROBE_BATCHES = 2.0, 24


def probed(plan: Plan, agents: Sequence[str], learner: CommonLearner, *, jobs: int) -> dict[str, float]:
    """Probe agents in processes of one thread, as many at once as runs will go on; leave out those that fail.

    Args:
        plan: what they are to run.
        agents: their names.
        learner: the common learner.
        jobs: number of processes.
    """
    seconds: dict[str, float] = {}
    if agents:
        with workers(min(jobs, len(agents))) as pool:
            futures = {agent: pool.submit(probe, plan, agent, learner) for agent in agents}
            for agent, future in tqdm(futures.items(), desc="measuring", unit=" agents", leave=False, disable=None):
                with contextlib.suppress(Exception, SystemExit):  # whatever is wrong with it, its runs will tell
                    seconds[agent] = future.result()
    return seconds


def probe(plan: Plan, agent: str, learner: CommonLearner) -> float:
    """Return the seconds that a whole run of an agent should take, judging by its first batches.

    They are those of seed index 0, with the plan's whole budget, logged in a temporary directory that is deleted. Time for
    batches and assessments is extrapolated in proportion to their number, for the common learner to that of the labels; so
    an agent that slows down as its data grow will take longer.

    Args:
        plan: what it is to run.
        agent: its name.
        learner: the common learner.
    """
    started, most = time.perf_counter(), min(PROBE_BATCHES, plan.queries // plan.batch)
    told: list[float] = []  # when each batch was done

    def progress(queries: int) -> None:
        told.append(time.perf_counter() - started)
        if len(told) == most or (len(told) > 1 and told[-1] - told[0] > PROBE_SECONDS):
            raise _EnoughError

    with tempfile.TemporaryDirectory() as folder:
        task = Task(agent, 0)
        directory = RunDirectory(Path(folder) / "runs" / task.name)
        with contextlib.suppress(_EnoughError):
            run_task(plan, task, Path(folder), None, progress)
        assessing = [json.loads(line)["seconds"]["assess"] for line in directory.timings.read_text().splitlines()]
        batches, assessments, began = len(told) - 1, len(assessing) - 1, told[0] - assessing[0]
        assessed = assessing[-1] - assessing[0]
        batch = (told[-1] - told[0] - assessed) / batches if batches else began
        assessment = assessed / assessments if assessments else assessing[0]
        return (
            max(0.0, began - batch)  # before the first batch: the environment and the agent are built
            + batch * plan.queries / plan.batch
            + assessment * len(plan.checkpoints())
            + _seconds_of_common_learner(plan, directory, learner)
        )


class _EnoughError(Exception):
    """A probe has seen enough."""


def _seconds_of_common_learner(plan: Plan, directory: RunDirectory, learner: CommonLearner) -> float:
    """Return the seconds that the common learner should take with a whole log, judging by the first part of one."""
    ends = read_members(directory.queries).ends  # of the header, then of each batch

    def timed(batches: int) -> float:
        os.truncate(directory.queries, ends[batches])
        started = time.perf_counter()
        write_common_curve(replace(plan, queries=batches * plan.batch), 0, directory, learner)
        return time.perf_counter() - started

    batches = len(ends) - 1
    timed(batches)  # warms up
    whole = timed(batches)
    for_a_batch = max(0.0, whole - timed(batches // 2)) / (batches - batches // 2) if batches > 1 else 0.0
    return whole + for_a_batch * (plan.queries / plan.batch - batches)
