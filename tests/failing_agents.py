"""Agents that the tests of runs name: some that learn, some that are killed, some that fail."""

import json
import os
import signal
import time
from pathlib import Path

import numpy as np

from duelgym_agents.registry import make_agent


class Learner:
    """Remembers a running sum of the preferred minus the other response."""

    def __init__(self, *, candidate_dim, seed, **rest):
        self.rng, self.weights, self.calls = np.random.default_rng(seed), np.zeros(candidate_dim), 0

    def select_pairs(self, contexts):
        self.calls += 1
        die("select", self.calls)
        scores = contexts.candidates @ self.weights + self.rng.gumbel(size=contexts.candidates.shape[:2])
        return np.argsort(-scores, axis=1)[:, :2]

    def observe(self, contexts, pairs, preferences):
        die("observe", self.calls)
        rows = np.arange(len(pairs))
        gap = contexts.candidates[rows, pairs[:, 0]] - contexts.candidates[rows, pairs[:, 1]]
        self.weights += (gap * (1 - 2.0 * preferences)[:, None]).sum(axis=0)

    def recommend(self, contexts):
        self.rng.random(7)  # must not matter: it is asked of a copy
        die("recommend", self.calls)
        return np.argmax(contexts.candidates @ self.weights, axis=1)


class Resumable(Learner):
    def state_dict(self):
        state = json.dumps(self.rng.bit_generator.state).encode()
        return {"weights": self.weights, "calls": np.array(self.calls), "rng": np.frombuffer(state, dtype=np.uint8)}

    def load_state_dict(self, state):
        self.weights, self.calls = state["weights"].copy(), int(state["calls"])
        self.rng.bit_generator.state = json.loads(state["rng"].tobytes())


def die(where, calls):
    """Kill this very process at the first point of the list that no earlier process died at."""
    if Path("kills").exists():
        points = Path("kills").read_text().split()
        if points and points[0] == f"{where}{calls}":
            Path("kills").write_text(" ".join(points[1:]))
            os.kill(os.getpid(), signal.SIGKILL)


class Thompson:
    """An agent of the registry that can be killed."""

    def __init__(self, **arguments):
        self.agent, self.calls = make_agent("ee2024-double_thompson", hidden_sizes=(8, 8), **arguments), 0

    def __getattr__(self, name):
        if name == "agent" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.agent, name)

    def select_pairs(self, contexts):
        self.calls += 1
        die("select", self.calls)
        return self.agent.select_pairs(contexts)


def broken(**rest):
    raise RuntimeError("no licence\nfor this model")


def incomplete(**rest):
    return object()


class Illegal(Learner):
    def select_pairs(self, contexts):
        return np.full((len(contexts), 2), -1)


class Failing(Learner):
    def observe(self, contexts, pairs, preferences):
        if self.calls == 3:
            raise ZeroDivisionError("at the third batch")


class Uneven(Learner):
    def recommend(self, contexts):
        return [[0], [0, 1]]


class Wordy(Resumable):
    def state_dict(self):
        return super().state_dict() | {"notes": np.array(["so", "far"])}


class Leaving(Learner):
    def observe(self, contexts, pairs, preferences):
        raise SystemExit(0)


class Dozing(Learner):
    """Dozes from its fourth batch on while a file of that name lies where one stands."""

    def observe(self, contexts, pairs, preferences):
        while self.calls > 3 and Path("doze").exists():
            time.sleep(0.05)
