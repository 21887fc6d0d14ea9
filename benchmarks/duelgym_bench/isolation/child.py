"""The agent's side of the protocol: it builds the agent and does what it is told. Nothing that it says is trusted."""

from __future__ import annotations

import copy
import importlib
import json
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from duelgym.agent import Agent, Contexts
from duelgym.errors import DuelgymError
from duelgym_bench.isolation.wire import Channel, WireError

_NO_LIMIT = 1 << 40  # what comes from the harness is as long as the harness makes it

_Answer = tuple[Mapping[str, Any], Mapping[str, np.ndarray]]


def serve(wire: int, task: Mapping[str, Any]) -> None:
    """Answer calls until the other end closes.

    Args:
        wire: descriptor of the connected socket.
        task: the agent's ``name`` and ``arguments``, and ``code``, directories for its import path.
    """
    with socket.socket(fileno=wire) as connection:
        channel = Channel(connection, _NO_LIMIT)
        agents: dict[int, Any] = {}  # 0: the agent; the others: copies for assessment
        while True:
            try:
                header, announced = channel.receive_header()
                arrays = channel.receive_arrays(announced)
            except (EOFError, OSError):
                return
            try:
                answer, results = _answer(agents, header, arrays, task)
            except DuelgymError as error:
                answer, results = {"error": f"refused: {_one_line(error)}"}, {}
            except BaseException as error:  # whatever it raises is reported
                answer, results = {"error": f"raised {type(error).__name__}: {_one_line(error)}"}, {}
            try:
                channel.send(answer, results)
            except (WireError, ValueError) as error:  # more, longer or other things than can be sent
                channel.send({"error": f"gave what cannot be sent: {_one_line(error)}"}, {})


def _answer(
    agents: dict[int, Any], header: dict[str, Any], arrays: dict[str, np.ndarray], task: Mapping[str, Any]
) -> _Answer:
    for number in header.get("forgotten", ()):
        del agents[number]
    call = header["call"]
    if call == "factory":
        agents[0] = agent = _made(task)
        members = [name for name in _CALLS if hasattr(agent, name)]
        return {"members": members, "needs_texts": bool(getattr(agent, "needs_texts", False))}, {}
    agent = agents[header["agent"]]
    if call == "deepcopy":
        agents[header["to"]] = copy.deepcopy(agent)
        return {}, {}
    return _CALLS[call](agent, header, arrays)


def _made(task: Mapping[str, Any]) -> Any:
    name, arguments = task["name"], task["arguments"]
    sys.path[:0] = task["code"]
    if ":" in name and "+" not in name and not name.startswith("sb3:"):  # without the registry, which brings torch
        module, _, attribute = name.partition(":")
        agent = getattr(importlib.import_module(module), attribute)(**arguments)
    else:
        from duelgym_agents.registry import make_agent

        agent = make_agent(name, **arguments)
    if not isinstance(agent, Agent):
        raise TypeError(f"a {type(agent).__name__} has not the methods select_pairs, observe and recommend")
    return agent


def _select_pairs(agent: Any, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> _Answer:
    return {}, {"pairs": _numbers(agent.select_pairs(_contexts(arrays)))}


def _observe(agent: Any, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> _Answer:
    agent.observe(_contexts(arrays), arrays["pairs"], arrays["preferences"])
    return {}, {}


def _recommend(agent: Any, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> _Answer:
    return {}, {"positions": _numbers(agent.recommend(_contexts(arrays)))}


def _sample_utilities(agent: Any, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> _Answer:
    bits = np.random.PCG64(0)
    bits.state = header["rng"]
    samples = agent.sample_utilities(_contexts(arrays), header["n_samples"], np.random.Generator(bits))
    return {}, {"utilities": _numbers(samples)}


def _state_dict(agent: Any, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> _Answer:
    return {}, {name: np.asarray(array) for name, array in agent.state_dict().items()}


def _load_state_dict(agent: Any, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> _Answer:
    agent.load_state_dict(arrays)
    return {}, {}


def _counters(agent: Any, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> _Answer:
    return {"counters": {str(name): int(count) for name, count in agent.counters().items()}}, {}


_CALLS: dict[str, Callable[[Any, Mapping[str, Any], Mapping[str, np.ndarray]], _Answer]] = {
    "select_pairs": _select_pairs,
    "observe": _observe,
    "recommend": _recommend,
    "sample_utilities": _sample_utilities,
    "state_dict": _state_dict,
    "load_state_dict": _load_state_dict,
    "counters": _counters,
}


def _contexts(arrays: Mapping[str, np.ndarray]) -> Contexts:
    prompts, candidates = arrays["prompts"], arrays["candidates"]
    if "texts" not in arrays:
        return Contexts(prompts, candidates)
    prompt_texts, candidate_texts = json.loads(arrays["texts"].tobytes())
    return Contexts(prompts, candidates, tuple(prompt_texts), tuple(map(tuple, candidate_texts)))


def _numbers(answer: object) -> np.ndarray:
    """Return an answer as an array, whole numbers all of one type."""
    array = np.asarray(answer)
    return array.astype(np.int64) if array.dtype.kind in "iu" else array


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:1000]
