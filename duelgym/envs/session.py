"""One episode of questions and answers, shared by the single and the vector environment."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding
from jaxtyping import Float64, Int8, Int64

from duelgym.agent import PREFERENCE_FIRST, PREFERENCE_SECOND
from duelgym.errors import SpecificationError
from duelgym.metrics.judged import Judged, judge

if TYPE_CHECKING:
    from duelgym.envs.problem import Problem
    from duelgym.generators import Questions

REWARDS = ("regret", "zero")


class HoldsSession:
    """What the single and the vector environment share: a running episode, and the questions now shown."""

    _session: DuelSession | None = None
    _asked: Judged | None = None

    @property
    def session(self) -> DuelSession:
        """The running episode; evaluation code reads it, agents never see it."""
        if self._session is None:
            raise gym.error.ResetNeeded("call reset() before anything else")
        return self._session

    @property
    def asked(self) -> Judged:
        """The questions now shown, as the environment's side knows them; agents never see this."""
        if self._asked is None:
            raise gym.error.ResetNeeded("call reset() before anything else")
        return self._asked


class DuelSession:
    """Asks a problem's questions in order and answers them; the query index decides everything.

    Five child streams of the environment's generator, spawned at reset, serve questions, label noise, the hidden
    rater, the simulator's own draws and the assessment. Each is consumed once per query index, so nothing that
    an agent does changes what it or another agent will be asked.

    Args:
        problem: what to ask, and who answers.
        budget: number of queries T of an episode.
        reward: ``"regret"`` or ``"zero"``.
        rng: the environment's generator, freshly seeded or going on.
    """

    def __init__(self, problem: Problem, *, budget: int, reward: str, rng: np.random.Generator) -> None:
        questions, labels, rater, simulator, assessment = rng.spawn(5)
        self.problem = problem
        self.budget = budget
        self.queries = 0
        self.self_duels = 0
        self._reward = reward
        self._labels = labels
        self._simulator_rng = simulator
        self._assessment_rng = assessment
        self.rater = problem.raters.draw(rater)
        self._stream = problem.generator.stream(questions)

    @classmethod
    def seeded(cls, problem: Problem, *, budget: int, seed: int) -> DuelSession:
        """Return the episode that ``reset(seed=seed)`` begins, for evaluation and replay, which need no reward."""
        rng, _ = seeding.np_random(seed)
        return cls(problem, budget=budget, reward="zero", rng=rng)

    def ask(self, n: int) -> Judged:
        """Return the next n questions."""
        return self.judged(self._stream.draw(n))

    @property
    def clipped(self) -> int:
        """How many feature values have been cut off at the edge of the observation's range so far."""
        return self._stream.clipped

    def judged(self, questions: Questions) -> Judged:
        """Return questions with the hidden rater's utilities."""
        return judge(self.problem.simulator, questions, self.rater.utilities(questions))

    def assessment(self) -> Judged:
        """Return the held-out questions of this episode's rater, equal at every call."""
        return self.judged(self.problem.generator.assessment(copy.deepcopy(self._assessment_rng)))

    def answer(
        self, asked: Judged, pairs: Int64[np.ndarray, "batch 2"]
    ) -> tuple[Int8[np.ndarray, " batch"], Float64[np.ndarray, " batch"]]:
        """Return the preferences of a checked batch of pairs, and the rewards; counts the queries."""
        simulator = self.problem.simulator
        batch = len(pairs)
        queries = np.arange(self.queries, self.queries + batch, dtype=np.int64)
        duels = asked.duels(pairs, queries, self._simulator_rng, self._texts(asked, pairs))
        first_wins = resolve(
            simulator.probability(duels), self._labels.random(batch), duels.candidate_ids, simulator.symmetric
        )
        self.queries += batch
        self.self_duels += int(np.count_nonzero(pairs[:, 0] == pairs[:, 1]))
        rewards = np.zeros(batch) if self._reward == "zero" else 0.0 - asked.regrets(pairs).mean(axis=1)
        return np.where(first_wins, PREFERENCE_FIRST, PREFERENCE_SECOND).astype(np.int8), rewards

    def _texts(self, asked: Judged, pairs: Int64[np.ndarray, "batch 2"]) -> tuple[tuple[str, str, str], ...] | None:
        if not self.problem.simulator.needs_texts:
            return None
        chosen = np.take_along_axis(asked.questions.candidate_ids, pairs, axis=1)
        both = [
            self.problem.generator.texts(int(p), ids) for p, ids in zip(asked.questions.prompt_ids, chosen, strict=True)
        ]
        return tuple((prompt, responses[0], responses[1]) for prompt, responses in both)


def resolve(
    probability: Float64[np.ndarray, " batch"],
    uniform: Float64[np.ndarray, " batch"],
    candidate_ids: Int64[np.ndarray, "batch 2"],
    symmetric: bool,
) -> np.ndarray:
    """Return whether the first shown wins.

    For symmetric simulators the favourite wins iff u < p(favourite), so the same uniform gives the same winner in
    whichever order a pair is shown; between equals the candidate of lower number counts as the favourite.
    """
    if not symmetric:
        return uniform < probability
    first_is_favourite = (probability > 0.5) | ((probability == 0.5) & (candidate_ids[:, 0] < candidate_ids[:, 1]))
    favourite_wins = uniform < np.maximum(probability, 1.0 - probability)
    return first_is_favourite == favourite_wins


def checked_pairs(action: object, *, batch: int | None, n_candidates: int) -> Int64[np.ndarray, "rows 2"]:
    """Return an action as pairs of positions, or refuse it at no cost.

    Args:
        action: what the agent gave.
        batch: how many pairs it must hold, in shape (batch, 2); None: one pair in shape (2,), returned as (1, 2).
        n_candidates: positions go from 0 to one less.

    Raises:
        gymnasium.error.InvalidAction: if it is not integral, of another shape, or out of range.
    """
    try:
        pairs = np.asarray(action)
    except ValueError:
        raise gym.error.InvalidAction(f"the action is {action!r}; its parts differ in length") from None
    if pairs.dtype.kind not in "iu":
        raise gym.error.InvalidAction(
            f"the action has type {pairs.dtype}; a pair is two whole numbers, the positions of the candidates shown "
            "first and second"
        )
    shape = (2,) if batch is None else (batch, 2)
    if pairs.shape != shape:
        raise gym.error.InvalidAction(
            f"the action has shape {pairs.shape}; it must be {shape}: one pair for each prompt"
        )
    pairs = pairs.reshape(-1, 2)
    wrong = np.flatnonzero((pairs < 0).any(axis=1) | (pairs >= n_candidates).any(axis=1))
    if len(wrong):
        raise gym.error.InvalidAction(
            f"pair {pairs[wrong[0]].tolist()} (row {wrong[0]}) is out of range: positions go from 0 to {n_candidates - 1}"
        )
    return pairs.astype(np.int64)


def checked_settings(budget: object, reward: object, batch: int) -> None:
    """Refuse a budget or reward that no episode can have.

    Raises:
        SpecificationError: naming what is allowed; for a budget that the batch does not divide, the nearest two.
    """
    if isinstance(budget, bool) or not isinstance(budget, (int, np.integer)) or budget < 1:
        raise SpecificationError(f"budget is {budget!r}; it must be a whole number of queries, at least 1")
    if reward not in REWARDS:
        raise SpecificationError(f"reward is {reward!r}; known: {', '.join(REWARDS)}")
    if budget % batch:
        below, above = budget // batch * batch, (budget // batch + 1) * batch
        nearest = f"{below} or {above}" if below else f"{above}"
        raise SpecificationError(f"budget {budget} is not a multiple of num_envs={batch}; the nearest are {nearest}")
