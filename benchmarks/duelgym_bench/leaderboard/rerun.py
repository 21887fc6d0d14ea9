"""Running a submitted agent again, isolated, on the first public seeds: does its code give the runs that it came with?

What ``repeats`` bitwise must give the logs line for line, all but the versions in their header. What repeats statistically may
ask otherwise; it is then run again under other seeds of its own too, and the logged areas must be such as those runs have
(:mod:`duelgym_bench.leaderboard.agreement`). One honest submission in a hundred fails that on an environment by chance: more seeds
tell.

Public seeds are known, so code can carry the answers along. Agreement therefore ranks nobody; it shows that the code is the one that
was logged, and that it runs to its end within its limits. Without namespaces the agent could also read the logs that it is compared
with, as what is missing of the isolation says.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

import numpy as np

from duelgym.checks import whole_number
from duelgym.errors import SpecificationError
from duelgym.rounds import read_members
from duelgym_bench.assessment import Assessment
from duelgym_bench.executor import run_tasks
from duelgym_bench.isolation.launch import Isolation, launch
from duelgym_bench.leaderboard.agreement import Agreement, agreement
from duelgym_bench.leaderboard.failures import Failure
from duelgym_bench.leaderboard.plans import public_plan, reads_texts
from duelgym_bench.leaderboard.records import Round, Submission
from duelgym_bench.leaderboard.weights import weights_of
from duelgym_bench.locks import alone
from duelgym_bench.plan import Plan, Task
from duelgym_bench.run_directory import RunDirectory

REPLICAS = 3
_BEFORE, _SHOWN = 40, 100  # characters of a line: before the first that differs, and in all


@dataclass(frozen=True)
class Rerun:
    """What running an agent again on one environment has shown.

    Attributes:
        env: id of the environment.
        seeds: how many seed indices were run again.
        agreement: how areas compare; None where lines decide.
        missing: what of the isolation could not be had, in words; empty where all was in place.
        failures: where the agent failed, or its runs are not those that were logged.
    """

    env: str
    seeds: int
    agreement: Agreement | None
    missing: tuple[str, ...]
    failures: tuple[Failure, ...]

    @property
    def agrees(self) -> bool:
        """Whether the runs are those that were logged, as far as ``repeats`` demands."""
        return not self.failures

    def __str__(self) -> str:
        """The finding in a sentence; the failures say why where there are any."""
        how = "line for line" if self.agreement is None else f"statistically ({self.agreement})"
        what = f"agrees {how}" if self.agrees else "does not agree"
        return f"{self.env}: run again on {self.seeds} seed{'s' * (self.seeds > 1)}, {what}"


def rerun(
    submission: Submission,
    round: Round,
    folder: Path,
    *,
    seeds: int,
    scratch: Path,
    jobs: int,
    isolation: Isolation | None = None,
) -> tuple[Rerun, ...]:
    """Run a submission's agent again on its environments, and compare; an agent's failures are part of the answer.

    Args:
        submission: of the folder, after :mod:`check <duelgym_bench.leaderboard.check>` has passed it.
        round: the submission's.
        folder: the submission's, with the agent's code and its logs.
        seeds: how many of the public seed indices, from 0.
        scratch: an empty or new directory for the runs; the caller's to remove.
        jobs: number of runs that go on at once.
        isolation: limits, files of the weights that the submission names, and how strictly the agent is kept apart; its
            code is always the folder's. None: the default limits, with namespaces where the kernel lends any.

    Raises:
        RefusedError: if those files are not the weights that the submission names.
        SpecificationError: on an argument that is not allowed, or if the agent cannot be isolated as it should be.
        LogError: if the disk is full, or a process of the harness is killed.
    """
    seeds, jobs = whole_number("seeds", seeds, most=round.seeds), whole_number("jobs", jobs)
    if scratch.exists() and (not scratch.is_dir() or any(scratch.iterdir())):
        raise SpecificationError(f"{scratch} is no empty directory, and all is to be run afresh; give a new one")
    code = folder / "agent"
    isolation = replace(isolation or Isolation(), code=(code,) if code.is_dir() else ())
    isolation = replace(isolation, readable=weights_of([submission], isolation.readable)[submission.name])
    guard, missing = launch(f"agent {submission.factory!r}", submission.factory, {}, isolation)
    guard.end()
    reruns, texts = [], reads_texts(submission.runs, round)
    for env in submission.runs:
        plan = replace(public_plan(round, env, {submission.factory: submission.settings}), seeds=seeds)
        again = _Again(plan, folder / "runs" / env, scratch / env, jobs, isolation, texts)
        found, failures = again.compared(bitwise=submission.repeats == "bitwise")
        reruns.append(Rerun(env, seeds, found, missing, tuple(failures)))
    return tuple(reruns)


@dataclass(frozen=True)
class _Again:
    """An agent's runs on one environment: those that were logged, and those that are made again."""

    plan: Plan
    logged: Path
    out: Path
    jobs: int
    isolation: Isolation
    texts: bool

    def compared(self, *, bitwise: bool) -> tuple[Agreement | None, list[Failure]]:
        """Run what is needed; return how areas compare, if they must, and what is wrong."""
        failures = self._run(self.plan)
        differences = [each for k in range(self.plan.seeds) if (each := self._difference(k)) is not None]
        if bitwise:
            return None, failures + differences
        if failures or not differences:
            return None, failures
        (agent,) = self.plan.agents
        agents = (agent, *(f"{agent}@{replica}" for replica in range(1, REPLICAS + 1)))
        failures = self._run(replace(self.plan, agents=agents))  # of which the agent's own are finished
        if failures:
            return None, failures
        runs = [
            [self._logged(k).recommendations, *(self._made(name, k).recommendations for name in agents)]
            for k in range(self.plan.seeds)
        ]
        assessed = Assessment(self.plan)
        areas = np.stack([assessed.areas([assessed.curve(k, path) for path in of]) for k, of in enumerate(runs)])
        found = agreement(areas[:, 0], areas[:, 1:])
        return found, [] if found.holds else [_disagreement(self.plan.env, found)]

    def _run(self, plan: Plan) -> list[Failure]:
        """Run what is not finished of a plan; return the failures, by seed."""
        with alone(self.out):
            failures = run_tasks(plan, self.out, None, jobs=self.jobs, isolation=self.isolation, texts=self.texts)
        failures.sort(key=lambda failure: (failure.task.seed_index, failure.task.replica))
        return [
            Failure(
                f"runs/{plan.env}/{failure.task.seed_index:03d}",
                failure.reason,
                "submit an agent that runs to its end in isolation"
                if failure.by_agent
                else "mend this and run it again",
            )
            for failure in failures
        ]

    def _difference(self, seed_index: int) -> Failure | None:
        """Return the first line of a seed's logs that differs; None if there is none, or the run has failed."""
        logged, made = self._logged(seed_index), self._made(self.plan.agents[0], seed_index)
        if not made.finished():
            return None
        for one, other in ((logged.queries, made.queries), (logged.recommendations, made.recommendations)):
            lines = zip_longest(_lines(one), _lines(other), fillvalue="")
            for number, (before, now) in enumerate(lines, start=1):
                if before != now:
                    return Failure(
                        f"runs/{self.plan.env}/{seed_index:03d}/{one.name}, line {number}",
                        f"logged {_from_difference(before, now)}, run again {_from_difference(now, before)}",
                        "submit the code and settings that made the runs, and name the versions that they need",
                    )
        return None

    def _logged(self, seed_index: int) -> RunDirectory:
        return RunDirectory(self.logged / f"{seed_index:03d}")

    def _made(self, agent: str, seed_index: int) -> RunDirectory:
        return RunDirectory(self.out / "runs" / Task(agent, seed_index).name)


def _lines(path: Path) -> list[str]:
    """Return the lines of a log, without the versions that wrote it."""
    lines = "".join(read_members(path).texts).splitlines()
    return [_without_versions(line) for line in lines[:1]] + lines[1:]


def _without_versions(header: str) -> str:
    return json.dumps({name: value for name, value in json.loads(header).items() if name != "versions"})


def _from_difference(line: str, other: str) -> str:
    """Return what a line holds around the first character in which it is not the other; lines may be long."""
    same = next((k for k, (one, two) in enumerate(zip_longest(line, other)) if one != two), 0)
    start = max(0, same - _BEFORE)
    part = line[start : start + _SHOWN]
    return "…" * (start > 0) + part + "…" * (start + _SHOWN < len(line)) if line else "nothing"


def _disagreement(env: str, found: Agreement) -> Failure:
    return Failure(
        f"runs/{env}", str(found), "submit the code and settings that made the runs; chance does this once in a hundred"
    )
