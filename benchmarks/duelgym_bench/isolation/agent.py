"""The harness's side of an isolated agent: to a run it is an agent like any other."""

from __future__ import annotations

import copy
import functools
import itertools
import json
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import numpy as np
from jaxtyping import Float, Int8, Int64

from duelgym.agent import Contexts
from duelgym.envs.problems import Problem
from duelgym.errors import SpecificationError
from duelgym_bench.isolation.launch import Isolation
from duelgym_bench.isolation.process import AgentProcess, Expected
from duelgym_bench.plan import Plan, Task, agent_arguments

_MAX_COUNTERS, _MAX_NAME = 256, 64


class IsolatedAgent:
    """An agent that lives in a process of its own; see :mod:`duelgym_bench.isolation` for what that stops.

    It has those of the optional members of :class:`duelgym.Agent` that the agent has. A deep copy of it, on which runs
    assess, is a deep copy that the agent's own process makes and keeps until this one's copy is gone. Answers are what
    the same agent would give in this process, to the bit where its arithmetic is, as that of numpy and of torch on one
    thread of the same machine.

    Args:
        name: as for :func:`duelgym_agents.registry.make_agent`.
        arguments: of the factory: ``prompt_dim``, …, the agent's own ``seed``, and settings; plain JSON.
        isolation: where its code is, what it may use, and how strictly it is isolated.
        who: how messages call it; None: ``agent 'NAME'``.

    Attributes:
        missing: what of the isolation could not be had, in words; empty where all is in place.
        needs_texts: as the agent's own.

    Raises:
        SpecificationError: if its process cannot be started, or making the agent fails.
    """

    def __init__(
        self, name: str, arguments: Mapping[str, Any], isolation: Isolation | None = None, *, who: str | None = None
    ) -> None:
        isolation = isolation or Isolation()
        self._process = AgentProcess(who or f"agent {name!r}", name, arguments, isolation)
        self._number, self._forgotten = 0, list[int]()
        self._numbers = itertools.count(1)
        answer, _ = self._process.ask("factory", seconds=isolation.limits.start_seconds)
        members = answer.get("members")
        if not isinstance(members, list):
            self._process.fail("factory", "did not say what the agent can do")
        self._optional = frozenset(name for name in _OPTIONAL if name in members)
        self.needs_texts = answer.get("needs_texts") is True
        self.missing = self._process.missing

    def select_pairs(self, contexts: Contexts) -> Int64[np.ndarray, "batch 2"]:
        """Return the agent's pairs.

        Raises:
            IsolationError: if it fails, or names a candidate that was not shown.
        """
        expected = Expected("pairs", "i", (len(contexts), 2))
        return self._positions("select_pairs", contexts, expected)

    def observe(
        self, contexts: Contexts, pairs: Int64[np.ndarray, "batch 2"], preferences: Int8[np.ndarray, " batch"]
    ) -> None:
        """Pass labels on.

        Raises:
            IsolationError: if the agent fails.
        """
        self._ask("observe", {**_sent(contexts), "pairs": pairs, "preferences": preferences})

    def recommend(self, contexts: Contexts) -> Int64[np.ndarray, " batch"]:
        """Return the agent's recommendations.

        Raises:
            IsolationError: if it fails, or names a candidate that was not shown.
        """
        return self._positions("recommend", contexts, Expected("positions", "i", (len(contexts),)))

    def close(self) -> None:
        """End the agent's process; copies of the agent end with it."""
        self._process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        number = next(self._numbers)
        self._ask("deepcopy", to=number)
        twin = copy.copy(self)
        twin._number = number
        weakref.finalize(twin, self._forgotten.append, number).atexit = False
        return twin

    def __getattr__(self, name: str) -> Any:
        if name in _OPTIONAL and name in self.__dict__.get("_optional", ()):
            return functools.partial(_OPTIONAL[name], self)
        raise AttributeError(f"an isolated agent has no attribute {name!r}")

    def _positions(self, call: str, contexts: Contexts, expected: Expected) -> np.ndarray:
        _, answer = self._ask(call, _sent(contexts), expected=[expected])
        positions, n_candidates = answer[expected.name], contexts.candidates.shape[1]
        if positions.size and not 0 <= positions.min() <= positions.max() < n_candidates:
            self._process.fail(
                call,
                f"answered positions from {positions.min()} to {positions.max()}; 0 to {n_candidates - 1} were shown",
            )
        return positions

    def _ask(
        self,
        call: str,
        arrays: Mapping[str, np.ndarray] | None = None,
        expected: Sequence[Expected] | None = (),
        **fields: Any,
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        forgotten = [self._forgotten.pop() for _ in range(len(self._forgotten))]
        return self._process.ask(call, arrays, expected=expected, agent=self._number, forgotten=forgotten, **fields)


def isolated_agent(plan: Plan, task: Task, problem: Problem, isolation: Isolation) -> IsolatedAgent:
    """Return a task's agent in a process of its own, for :func:`duelgym_bench.task.run_task`; it is the caller's to close.

    Args:
        plan: what is run.
        task: which agent and seed.
        problem: the environment's problem for that seed: sizes cross, and its pool is hidden.
        isolation: where the agent's code is, what it may use, and how strictly it is isolated.

    Raises:
        SpecificationError: as :func:`duelgym_bench.plan.make_agent` and :class:`IsolatedAgent` do.
    """
    if problem.pool is not None:
        isolation = replace(isolation, hidden=(*isolation.hidden, problem.pool.path))
    return IsolatedAgent(task.factory, agent_arguments(plan, task, problem), isolation, who=task.described)


def _sample_utilities(
    agent: IsolatedAgent, contexts: Contexts, n_samples: int, rng: np.random.Generator
) -> Float[np.ndarray, "n_samples batch n_candidates"]:
    """Return the agent's samples, drawn from a copy of the generator: ``rng`` itself stays as it is."""
    state = rng.bit_generator.state
    if state["bit_generator"] != "PCG64":
        raise SpecificationError(
            f"an isolated agent draws from PCG64, numpy's default_rng, not from {state['bit_generator']}"
        )
    shape = (n_samples, *contexts.candidates.shape[:2])
    expected = Expected("utilities", "f", shape)
    _, answer = agent._ask("sample_utilities", _sent(contexts), [expected], n_samples=n_samples, rng=state)
    if not np.isfinite(answer["utilities"]).all():
        agent._process.fail("sample_utilities", "answered utilities that are not all finite")
    return answer["utilities"]


def _state_dict(agent: IsolatedAgent) -> dict[str, np.ndarray]:
    return agent._ask("state_dict", expected=None)[1]


def _load_state_dict(agent: IsolatedAgent, state: Mapping[str, np.ndarray]) -> None:
    agent._ask("load_state_dict", state)


def _counters(agent: IsolatedAgent) -> dict[str, int]:
    counters = agent._ask("counters")[0].get("counters")
    if not (
        isinstance(counters, dict)
        and len(counters) <= _MAX_COUNTERS
        and all(len(name) <= _MAX_NAME and name.isprintable() for name in counters)
        and all(type(count) is int and abs(count) < 1 << 63 for count in counters.values())
    ):
        agent._process.fail("counters", f"did not answer at most {_MAX_COUNTERS} names with whole numbers")
    return counters


_OPTIONAL: dict[str, Callable[..., Any]] = {
    "sample_utilities": _sample_utilities,
    "state_dict": _state_dict,
    "load_state_dict": _load_state_dict,
    "counters": _counters,
}


def _sent(contexts: Contexts) -> dict[str, np.ndarray]:
    arrays = {"prompts": contexts.prompts, "candidates": contexts.candidates}
    if contexts.prompt_texts is not None:
        texts = json.dumps([contexts.prompt_texts, contexts.candidate_texts]).encode()
        arrays["texts"] = np.frombuffer(texts, np.uint8)
    return arrays
