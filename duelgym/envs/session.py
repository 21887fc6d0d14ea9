"""One episode of questions and answers, shared by the single and the vector environment."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding
from jaxtyping import Float64, Int8, Int64

from duelgym.agent import PREFERENCE_FIRST, PREFERENCE_NONE, PREFERENCE_SECOND, PREFERENCE_TIE
from duelgym.errors import SpecificationError
from duelgym.metrics.judged import Judged, judge

if TYPE_CHECKING:
    from duelgym.envs.problems import Problem
    from duelgym.generators import Questions
    from duelgym.simulators import Duels, PreferenceSimulator

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

    Raises:
        SpecificationError: if regret is asked for and the simulator cannot score.
    """

    def __init__(self, problem: Problem, *, budget: int, reward: str, rng: np.random.Generator) -> None:
        checked_scoring(problem, reward)
        questions, labels, rater, simulator, assessment = rng.spawn(5)
        self.problem = problem
        self.budget = budget
        self.queries = 0
        self.self_duels = 0
        self._reward = reward
        self._labels = labels
        self._simulator_rng = simulator
        self._assessment_rng = assessment
        # A mixture asks several raters; the first is whom any other simulator would ask.
        self.rater, *self._others = [
            problem.raters.draw(rater) for _ in range(getattr(problem.simulator, "n_raters", 1))
        ]
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
        """Return questions with the hidden rater's utilities; with several raters, also each one's.

        Raises:
            SpecificationError: if the simulator mixes raters, and those drawn do not differ.
        """
        simulator, utilities = self.problem.simulator, self.rater.utilities(questions)
        if not self._others:
            return judge(simulator, questions, utilities)
        everybody = np.stack([utilities, *(rater.utilities(questions) for rater in self._others)], axis=2)
        if everybody.shape[1] > 1 and np.all(everybody == everybody[:, :, :1]):
            raise SpecificationError(
                f"a mixture of {everybody.shape[2]} raters needs raters who differ; here all are the same: leave rater out, or "
                "take a problem with a population of raters"
            )
        return judge(simulator, questions, everybody.mean(axis=2), everybody)

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
        duels = asked.duels(pairs, queries, self._simulator_rng, self._texts(asked, pairs), self._lengths(asked, pairs))
        if duels.all_utilities is not None:
            who = (duels.all_utilities.shape[2] * self._simulator_rng.random(batch)).astype(np.int64)
            duels = replace(duels, utilities=duels.all_utilities[np.arange(batch), :, who])
        preferences = drawn_preferences(simulator, duels, self._labels)
        self.queries += batch
        self.self_duels += int(np.count_nonzero(pairs[:, 0] == pairs[:, 1]))
        rewards = np.zeros(batch) if self._reward == "zero" else 0.0 - asked.regrets(pairs).mean(axis=1)
        return preferences, rewards

    def _texts(self, asked: Judged, pairs: Int64[np.ndarray, "batch 2"]) -> tuple[tuple[str, str, str], ...] | None:
        return self._shown_texts(asked, pairs) if self.problem.simulator.needs_texts else None

    def _shown_texts(self, asked: Judged, pairs: Int64[np.ndarray, "batch 2"]) -> tuple[tuple[str, str, str], ...]:
        chosen = np.take_along_axis(asked.questions.candidate_ids, pairs, axis=1)
        both = [
            self.problem.generator.texts(int(p), ids) for p, ids in zip(asked.questions.prompt_ids, chosen, strict=True)
        ]
        return tuple((prompt, responses[0], responses[1]) for prompt, responses in both)

    def _lengths(self, asked: Judged, pairs: Int64[np.ndarray, "batch 2"]) -> Float64[np.ndarray, "batch 2"] | None:
        if not getattr(self.problem.simulator, "needs_lengths", False):
            return None
        if self.problem.pool is not None:  # which knows them without reading a text
            chosen = np.take_along_axis(asked.questions.candidate_ids, pairs, axis=1)
            recorded = self.problem.pool.characters(asked.questions.prompt_ids)
            return np.take_along_axis(recorded, chosen, axis=1).astype(np.float64)
        texts = self._shown_texts(asked, pairs)
        return np.array([[len(first), len(second)] for _, first, second in texts], dtype=np.float64)


def drawn_preferences(
    simulator: PreferenceSimulator, duels: Duels, rng: np.random.Generator
) -> Int8[np.ndarray, " batch"]:
    """Return the answers to duels, from one uniform each, drawn once the simulator has said what is likely.

    The lowest part of [0, 1) is for skips, the next for ties; the rest, stretched to [0, 1), decides between the two.

    Raises:
        SpecificationError: if the simulator gives what are no probabilities.
    """
    probability = checked_probabilities(simulator.probability(duels))
    undecided = getattr(simulator, "undecided", None)
    if undecided is not None:
        skip, tie = checked_probabilities(undecided(duels)).T
        neither = checked_probabilities(skip + tie)
    uniform = decisive = rng.random(len(probability))
    if undecided is not None:
        # Where nothing is left to decide the divisor does not matter.
        decisive = (uniform - neither) / np.where(neither < 1.0, 1.0 - neither, 1.0)
    first_wins = resolve(probability, decisive, duels.candidate_ids, simulator.symmetric)
    preferences = np.where(first_wins, PREFERENCE_FIRST, PREFERENCE_SECOND).astype(np.int8)
    if undecided is not None:
        preferences[uniform < neither] = PREFERENCE_TIE
        preferences[uniform < skip] = PREFERENCE_NONE
    return preferences


def checked_probabilities(values: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """Return the values.

    Raises:
        SpecificationError: if one is not from 0 to 1, up to rounding.
    """
    if not (values.min() >= -1e-9 and values.max() <= 1.0 + 1e-9):
        raise SpecificationError(
            f"the simulator answered with {np.ravel(values).tolist()}; probabilities go from 0 to 1"
        )
    return values


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


def checked_scoring(problem: Problem, reward: str) -> None:
    """Refuse a reward that nobody can compute.

    Raises:
        SpecificationError: if it is regret, and the simulator has no judgement.
    """
    if reward == "regret" and not problem.simulator.has_judgement:
        name = problem.simulator.specification()[0]["name"]
        raise SpecificationError(f"reward is 'regret', and the {name} simulator cannot score pairs: give reward='zero'")


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
