r"""Fair tuning: every agent, passive among them, gets the same number of tries on the same questions.

``duelgym-bench tune`` runs K configurations of each agent, of which the first is its defaults and the others are drawn
from :mod:`duelgym_bench.search_space`, on S seeds of T labels each. What reporting uses is not touched: seeds are derived
apart, and a pool's questions come from its ``tune`` prompts alone. Half of these are asked about and the other half
assessed, so no configuration is assessed on prompts that it asked about; in odd folds the halves change places.
(``SyntheticDuel-v0`` draws all questions afresh; there seeds alone keep tuning apart.) The configuration of the
largest mean area, the measure by which reports rank, is chosen, and written down with all that was tried::

    duelgym-bench tune --env LLMDuel-v0 --agents passive+ensemble,infomax+ensemble --configurations 16 \
        --seeds 3 --queries 3200 --out runs/tuning
    duelgym-bench run --env LLMDuel-v0 --agents passive+ensemble,infomax+ensemble \
        --settings runs/tuning/tuned.json --out runs/tuned

All runs belong to one plan, whose agents are ``NAME#K``; so they are run, and go on after a kill, like any others. The
same command with more agents, configurations or seeds adds to what is there, for all agents alike.

The score of what was chosen is the largest of K noisy ones, and so flatters: only runs on other seeds and prompts say how
good it is. A standard error is of the mean over seeds; with few seeds it is itself uncertain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from duelgym.checks import whole_number
from duelgym.errors import LogError, SpecificationError
from duelgym.generators import GaussianFeatures, PoolReplay
from duelgym_bench.assessment import Assessment
from duelgym_bench.executor import run_tasks
from duelgym_bench.plan import Plan, Task, check_plan, tuning_arguments
from duelgym_bench.plan_directory import PLAN, load_plan
from duelgym_bench.run_directory import RunDirectory
from duelgym_bench.search_space import SearchSpace


@dataclass(frozen=True)
class Tried:
    """One configuration of an agent, and how it did.

    Attributes:
        settings: what replaces the agent's defaults.
        areas: per seed the area under win rate against log labels, 0 = a win rate of .5, 1 = the oracle's; None if it failed.
        failure: why it failed, in one line, or None.
    """

    settings: dict[str, Any]
    areas: Float64[np.ndarray, " seeds"] | None
    failure: str | None = None

    @property
    def score(self) -> float:
        """The mean over seeds; minus infinity if it failed."""
        return -np.inf if self.areas is None else float(np.mean(self.areas))


@dataclass(frozen=True)
class TunedAgent:
    """All that was tried of one agent, its defaults first."""

    name: str
    tried: tuple[Tried, ...]

    @property
    def chosen(self) -> int:
        """The number of the configuration of the largest score, the first of equals."""
        return int(np.argmax([one.score for one in self.tried]))


def tuning_plan(asked: Plan, configurations: int, out: Path, *, space: SearchSpace | None = None) -> Plan:
    """Return the plan of the runs that tune some agents, together with any that are tuned in the same directory already.

    Args:
        asked: the agents, environment, seeds and budget.
        configurations: K, how many each agent gets; those before have as many, if that is more.
        out: directory of the runs.
        space: what is searched; None: what comes along.

    Raises:
        SpecificationError: if there is nothing that can be tuned, or not fairly.
    """
    whole_number("configurations", configurations)
    for name in asked.agents:
        if Task(name, 0).factory != name:
            raise SpecificationError(f"agent {name!r}: replicas and labels are not tuned; name the agent without")
    asked = replace(asked, tuning=True)
    check_plan(asked)
    names = asked.agents
    if (out / PLAN).exists():
        there = load_plan(out).agents
        before = tuple(dict.fromkeys(Task(agent, 0).factory for agent in there))
        configurations = max(configurations, len(there) // len(before))
        names = (*before, *(name for name in names if name not in before))
    plan = replace(asked, env_kwargs=tuning_arguments(asked.env, asked.env_kwargs))
    generator = plan.problem(0).generator
    if not isinstance(generator, (PoolReplay, GaussianFeatures)):
        raise SpecificationError(
            f"{asked.env} keeps no prompts for tuning; make a pool of it with 'duelgym pool record', and tune on that"
        )
    alike = generator.prompt_dim == generator.candidate_dim
    space = space or SearchSpace.read()
    settings = {
        f"{name}#{k}": space.configuration(name, k, alike=alike) for name in names for k in range(configurations)
    }
    plan = replace(plan, agents=tuple(settings), settings=settings)
    check_plan(plan)
    return plan


def tune(plan: Plan, out: Path, *, jobs: int, executor: str = "processes") -> tuple[TunedAgent, ...]:
    """Run what is not finished of a tuning plan, and score every configuration of every agent.

    A configuration with which the agent fails on any seed has had its try, and cannot be chosen.

    Args:
        plan: as :func:`tuning_plan` makes it.
        out: directory of the runs.
        jobs: number of runs that go on at once.
        executor: as for :func:`~duelgym_bench.executor.run_tasks`.

    Raises:
        LogError: if anything but an agent fails, a log has changed, or all configurations of an agent fail.
    """
    failures = {failure.task: failure for failure in run_tasks(plan, out, None, jobs=jobs, executor=executor)}
    for failure in failures.values():
        if not failure.by_agent:
            raise LogError(f"{failure.task.name}: {failure.reason}; the same command tries again")
    failed = {task.agent: failure.reason for task, failure in failures.items()}
    areas = _areas(plan, out, [agent for agent in plan.agents if agent not in failed])
    tried: dict[str, list[Tried]] = {}
    for agent in plan.agents:
        one = Tried(dict(plan.settings[agent]), areas.get(agent), failed.get(agent))
        tried.setdefault(Task(agent, 0).factory, []).append(one)
    for name, ones in tried.items():
        if all(one.failure is not None for one in ones):
            raise LogError(f"agent {name!r} fails with every configuration: {ones[0].failure}")
    return tuple(TunedAgent(name, tuple(ones)) for name, ones in tried.items())


def _areas(plan: Plan, out: Path, agents: Sequence[str]) -> dict[str, Float64[np.ndarray, " seeds"]]:
    """Return each agent's area on every seed, from what it recommended; their mean is the area of a report."""
    assessment = Assessment(plan)
    areas = {}
    for agent in agents:
        directories = [RunDirectory(out / "runs" / Task(agent, index).name) for index in range(plan.seeds)]
        for directory in directories:
            directory.verify(tuning=True)
        areas[agent] = assessment.areas(
            [assessment.curve(k, each.recommendations) for k, each in enumerate(directories)]
        )
    return areas
