"""Tuning of two agents on a small synthetic environment: its plan, its commands, and an executor of this process."""

import json

from duelgym.errors import SpecificationError
from duelgym_bench.executor import Failure
from duelgym_bench.plan import Plan
from duelgym_bench.task import run_task

AGENTS_TUNED = "passive+bayesian_linear,infomax+bayesian_linear"
PROBLEM = {"dimension": 4, "n_candidates": 6}


def plan_of(**changes):
    """Return the plan that :func:`arguments` stand for, with changes."""
    fields = {
        "env": "SyntheticDuel-v0",
        "env_kwargs": PROBLEM,
        "agents": ("passive+bayesian_linear", "infomax+bayesian_linear"),
        "queries": 128,
        "seeds": 2,
        "batch": 16,
        "command": "",
        "title": "",
    }
    return Plan(**(fields | changes))


def arguments(command, agents, out, *more):
    """Return the arguments of ``duelgym-bench`` for a command that runs or tunes agents."""
    sizes = ["--queries", "128", "--seeds", "2", "--batch-size", "16", "--jobs", "1"]
    given = ["--env", "SyntheticDuel-v0", "--env-kwargs", json.dumps(PROBLEM), "--agents", agents, "--out", str(out)]
    return [command, *given, *sizes, *map(str, more)]


def run_here(plan, out, learner, *, jobs, executor="processes", track=()):
    """Stand in for the executor: run all that is not finished in this process, and gather what agents fail with."""
    failures = []
    for task in plan.tasks():
        try:
            run_task(plan, task, out, learner, lambda queries: None, track)
        except SpecificationError as error:
            failures.append(Failure(task, str(error), by_agent=True))
    return failures
