"""A question asked again and again, so that a simulator can be heard out through the environment's own session."""

from types import SimpleNamespace

import numpy as np
import pytest

from duelgym.envs.problems import Problem
from duelgym.envs.session import DuelSession
from duelgym.generators import Questions

TEXTS = (
    "short",
    "a response of middling length",
    "",
    "the longest of all the responses, which goes on and on, says nothing, and ends",
)
IDS = np.array([3, 0, 2, 1])  # the order shown is not the order of the numbers


class Repeated:
    """The same prompt and four candidates for every query."""

    n_candidates = 4

    def stream(self, rng):
        return self

    def draw(self, n):
        return Questions(np.full(n, 11, dtype=np.int64), np.tile(IDS, (n, 1)))

    def texts(self, prompt_id, candidate_ids):
        return "a prompt", tuple(TEXTS[c] for c in candidate_ids)


class Population:
    """Raters whose four utilities are given, or drawn around them."""

    def __init__(self, utilities, spread):
        self._utilities, self._spread = np.asarray(utilities, dtype=np.float64), spread

    def draw(self, rng):
        mine = self._utilities + self._spread * rng.standard_normal(len(self._utilities))
        return SimpleNamespace(utilities=lambda questions: np.tile(mine, (len(questions), 1)))


@pytest.fixture
def session_of():
    """Make a session whose every question is the same: ``session_of(simulator, utilities, spread=0.0, seed=0)``."""

    def make(simulator, utilities=(0.0, 1.0, -0.5, 1.1), spread=0.0, seed=0, budget=10_000):
        problem = Problem(Repeated(), Population(utilities, spread), simulator, {})
        return DuelSession.seeded(problem, budget=budget, seed=seed)

    return make
