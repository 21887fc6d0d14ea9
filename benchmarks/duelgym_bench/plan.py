"""What will be run: an environment, agents, seeds and a budget, written down before anything starts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from duelgym.agent import Agent
from duelgym.envs.problems import Problem, build_problem
from duelgym.envs.registration import IDS
from duelgym.envs.session import DuelSession
from duelgym.errors import SpecificationError
from duelgym.generators import GaussianFeatures, PoolReplay
from duelgym_agents import registry

_MANTISSAS = (1.0, 0.7, 0.5, 0.35, 0.2, 0.14)


@dataclass(frozen=True)
class Task:
    """One agent on one seed.

    ``NAME@K`` is replica K of an agent, which has another seed of its own. ``NAME#LABEL`` is the agent with the settings
    that the plan has under that name, beside others of the same agent; in tuning, the label is the configuration's number.
    """

    agent: str
    seed_index: int

    @property
    def name(self) -> str:
        """Return the name of the run's directory."""
        return f"{self.agent.replace(':', '+').replace('/', '+')}--{self.seed_index:03d}"

    @property
    def configured(self) -> str:
        """Return the name under which a plan holds the agent's settings: all but its replica number."""
        return self.agent.partition("@")[0]

    @property
    def factory(self) -> str:
        """Return the agent's own name, without replica number and label."""
        return self.configured.partition("#")[0]

    @property
    def described(self) -> str:
        """Return how messages call the task's agent."""
        return f"agent {self.agent!r} on seed index {self.seed_index}"

    @property
    def replica(self) -> int:
        """Return the replica number, 0 for the agent itself."""
        return int(self.agent.partition("@")[2] or 0)


@dataclass(frozen=True)
class Plan:
    """A set of runs that are compared with one another.

    Attributes:
        env: registered id of the environment.
        env_kwargs: its arguments, plain JSON, without budget and fold.
        agents: names from the registry or ``package.module:factory``; ``NAME@K`` and ``NAME#LABEL`` as in :class:`Task`.
        queries: budget T of every run.
        seeds: number of seed indices, from 0.
        batch: queries between updates, B.
        command: the command lines that made the plan, one a line: the first, and those that widened or renamed it.
        title: the suite's or environment's name, printed in every figure.
        settings: agent -> settings that replace its defaults, plain JSON; an agent without an entry runs on these.
        by_hand: those agents of ``settings`` whose settings no tuning chose.
        tuning: whether these runs are for tuning: on seeds that reporting never uses, without the common learner.
        salt: secret from which all seeds are derived; empty: the public ones.
    """

    env: str
    env_kwargs: Mapping[str, Any]
    agents: tuple[str, ...]
    queries: int
    seeds: int
    batch: int
    command: str
    title: str
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tuning: bool = False
    salt: str = ""
    by_hand: tuple[str, ...] = ()

    def tasks(self) -> Iterator[Task]:
        """Yield every run, seed by seed, so that a run that is cut short leaves whole comparisons."""
        for seed_index in range(self.seeds):
            for agent in self.agents:
                yield Task(agent, seed_index)

    def checkpoints(self) -> tuple[int, ...]:
        """Return the query counts of assessment: 0, then about six a decade up to T, multiples of the batch."""
        counts, scale = {0, self.queries}, 1.0
        while self.queries * scale >= self.batch:
            for mantissa in _MANTISSAS:
                count = round(self.queries * scale * mantissa / self.batch) * self.batch
                counts.add(max(count, self.batch))
            scale /= 10
        return tuple(sorted(counts))

    def env_seed(self, seed_index: int) -> int:
        """Return the environment's seed: equal for all agents, derived by hash, never consecutive."""
        return self._seed("tune" if self.tuning else "environment", self.env, seed_index)

    def agent_seed(self, task: Task) -> int:
        """Return the agent's own seed, which says nothing about the environment's."""
        return self._seed("tune-agent" if self.tuning else "agent", task.seed_index, task.replica)

    def _seed(self, *parts: object) -> int:
        return derived_seed(*parts, self.salt) if self.salt else derived_seed(*parts)

    def problem(self, seed_index: int) -> Problem:
        """Return the environment's problem for a seed, with its assessment fold."""
        return build_problem(IDS[self.env], self.problem_kwargs(seed_index))

    def session(self, seed_index: int) -> DuelSession:
        """Return the environment's episode for a seed, at its first question; it holds its problem."""
        return DuelSession.seeded(self.problem(seed_index), budget=self.queries, seed=self.env_seed(seed_index))

    @cached_property
    def _n_folds(self) -> int | None:
        """Assessment folds of the recorded prompts; None where nothing is recorded."""
        problem = build_problem(IDS[self.env], self.env_kwargs)
        return None if problem.pool is None else problem.generator.n_folds

    def problem_kwargs(self, seed_index: int) -> dict[str, Any]:
        """Return the environment's arguments for a seed: where prompts are cross-fitted, fold = seed index mod folds."""
        kwargs = dict(self.env_kwargs)
        if "fold" in kwargs or self._n_folds is None:
            return kwargs
        return kwargs | {"fold": seed_index % self._n_folds}


def tuning_arguments(env: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return an environment's arguments with the prompts on which tuning asks and assesses, never the same ones.

    Those of a pool's ``tune`` part or, where its assessment prompts were named and it keeps none, its learning prompts, in
    halves. Where questions are drawn afresh the arguments stay as they are, and seeds alone keep tuning apart: enough for
    points, while a language model that answers live is asked about the same prompts again, so nothing is tuned there.
    """
    generator = build_problem(IDS[env], kwargs).generator
    if not isinstance(generator, PoolReplay):
        return dict(kwargs)
    return {**kwargs, "split": "tune" if generator.has_tune else "within_learn"}


def derived_seed(*parts: object) -> int:
    """Return 63 bits of the sha256 of the parts."""
    text = json.dumps(["duelgym", *parts])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def check_plan(plan: Plan) -> None:
    """Build the environment and every agent once, so that what cannot run is refused before anything is written.

    Raises:
        SpecificationError: naming the agent or argument.
        PoolError: if the pool cannot be opened.
    """
    if plan.env not in IDS:
        raise SpecificationError(f"no environment is called {plan.env!r}; known: {', '.join(IDS)}")
    for name, value in (("queries", plan.queries), ("seeds", plan.seeds), ("batch size", plan.batch)):
        if value < 1:
            raise SpecificationError(f"{name} is {value}; it must be at least 1")
    if plan.queries % plan.batch:
        raise SpecificationError(f"{plan.queries} queries are not a multiple of the batch size {plan.batch}")
    twice = [agent for agent in plan.agents if plan.agents.count(agent) > 1]
    if twice:
        raise SpecificationError(f"agent {twice[0]!r} is named twice")
    check_directories(plan.agents)
    reserved = {"budget", "num_envs", "reward", "text", "render_mode"} & set(plan.env_kwargs)
    if reserved:
        raise SpecificationError(f"{', '.join(sorted(reserved))} cannot be in --env-kwargs: the harness sets it")
    problem = plan.problem(0)
    if problem.generator.n_candidates < 2:
        raise SpecificationError("with a single candidate there is nothing to choose; take n_candidates of at least 2")
    if not problem.simulator.has_judgement:
        simulator = problem.simulator.specification()[0]["name"]
        raise SpecificationError(
            f"the {simulator} simulator cannot score pairs, so a run with it would have no win rates; take another"
        )
    for agent in plan.agents:
        built = make_agent(plan, Task(agent, 0), problem)
        if getattr(built, "needs_texts", False) and isinstance(problem.generator, GaussianFeatures):
            raise SpecificationError(
                f"agent {agent!r} reads texts, and the responses of {plan.env} are points; use an environment with texts, such "
                "as LLMDuel-v0"
            )


def check_directories(agents: Sequence[str]) -> None:
    """Refuse two agents whose runs would lie in one directory, for which characters of their names are replaced.

    Raises:
        SpecificationError: naming them.
    """
    directories: dict[str, str] = {}
    for agent in agents:
        other = directories.setdefault(Task(agent, 0).name, agent)
        if other != agent:
            raise SpecificationError(
                f"the runs of agents {other!r} and {agent!r} would lie in one directory; rename one"
            )


def make_agent(plan: Plan, task: Task, problem: Problem) -> Agent:
    """Build a task's agent.

    Raises:
        SpecificationError: in one line, if the name is unknown or the factory raises.
    """
    return registry.make_agent(task.factory, **agent_arguments(plan, task, problem))


def agent_arguments(plan: Plan, task: Task, problem: Problem) -> dict[str, Any]:
    """Return what the factory of a task's agent is called with: plain JSON.

    Raises:
        SpecificationError: if the task's name has a label without settings, or a setting is not the plan's to choose.
    """
    replica = task.agent.partition("@")[2]
    if "@" in task.agent and not (replica.isdigit() and int(replica) > 0):
        raise SpecificationError(f"agent {task.agent!r}: behind '@' stands the number of a replica, from 1")
    if "#" in task.configured and task.configured not in plan.settings:
        raise SpecificationError(
            f"agent {task.agent!r}: behind '#' stands the label of one of several settings of an agent, and --settings FILE has "
            f'none under that name; needed is {{"agents": {{"{task.configured}": {{"settings": {{…}}}}}}}}'
        )
    generator, settings = problem.generator, plan.settings.get(task.configured, {})
    given: dict[str, Any] = {
        "prompt_dim": generator.prompt_dim,
        "candidate_dim": generator.candidate_dim,
        "n_candidates": generator.n_candidates,
        "batch_size": plan.batch,
        "budget": plan.queries,
        "seed": plan.agent_seed(task),
    }
    reserved = sorted({*given, "name", "reward_model"} & set(settings))
    if reserved:
        raise SpecificationError(
            f"agent {task.agent!r}: {', '.join(reserved)} cannot be a setting: the harness sets it"
        )
    return {**given, **settings}


def with_check(agents: Sequence[str], there: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the agents with a replica of the passive baseline, for the passive-against-passive check.

    Args:
        agents: those asked for.
        there: those that the plan to be widened holds already, among which the baseline may be.
    """
    baseline = baseline_of((*there, *agents))
    if baseline is None or f"{baseline}@1" in (*there, *agents):
        return tuple(agents)
    return (*agents, f"{baseline}@1")


def baseline_of(agents: Sequence[str]) -> str | None:
    """Return the first composed agent whose rule is passive: all others are compared with it."""
    for agent in agents:
        parts = None if "@" in agent else registry.parts_of(Task(agent, 0).factory)
        if parts is not None and parts[0] == "passive":
            return agent
    return None
