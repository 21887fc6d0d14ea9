"""Whom the person is measured against: as many labels of the same rater, on pairs drawn at random."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Int64

from duelgym.agent import PREFERENCE_NONE, PREFERENCE_TIE
from duelgym.envs.problems import Problem
from duelgym.envs.session import DuelSession
from duelgym.generators import Questions

PRIOR_SCALE = 2.0
"""Standard deviation, in logits, that the prior gives to the utility difference of a random pair."""

_NEWTON_STEPS = 50


def passive_choices(
    problem: Problem, finals: Questions, *, queries: int, seed: int, rng: np.random.Generator
) -> Int64[np.ndarray, " finals"]:
    """Return the positions that a passive learner recommends after random pairs of an episode's questions.

    It meets the questions and the label noise that anybody meets with this seed, and fits a logistic regression to the
    differences of the embeddings it compared.

    Args:
        problem: what is asked, and who answers.
        finals: questions to choose on.
        queries: number of labels; with none it chooses at random.
        seed: of the episode.
        rng: draws the pairs, and chooses between equals.
    """
    candidates = problem.generator.contexts(finals).candidates.astype(np.float64)
    session = DuelSession.seeded(problem, budget=max(1, queries), seed=seed)
    differences, won = [np.zeros((0, candidates.shape[2]))], []
    for _ in range(queries):
        asked = session.ask(1)
        pair = rng.choice(candidates.shape[1], size=(1, 2), replace=False)
        preferences, _ = session.answer(asked, pair)
        if preferences[0] != PREFERENCE_NONE:
            shown = problem.generator.contexts(asked.questions).candidates[0].astype(np.float64)
            differences.append((shown[pair[0, 0]] - shown[pair[0, 1]])[None])
            won.append(0.5 if preferences[0] == PREFERENCE_TIE else 1.0 - float(preferences[0]))
    compared = np.concatenate(differences)
    weights = fitted_weights(compared, np.array(won), spread=_spread(candidates))
    scores = candidates @ weights + 1e-9 * rng.random(candidates.shape[:2])
    return np.argmax(scores, axis=1).astype(np.int64)


def fitted_weights(
    differences: Float64[np.ndarray, "labels dim"], won: Float[np.ndarray, " labels"], *, spread: float
) -> Float64[np.ndarray, " dim"]:
    """Return the most probable weights w of P(first wins) = 1 / (1 + exp(-w·difference)), by Newton's method.

    The prior is N(0, PRIOR_SCALE² / spread · I).

    Args:
        differences: first minus second embedding of each labelled pair.
        won: 1 where the first won, 0 where the second did, 0.5 for a tie.
        spread: mean squared length of a random difference, positive.
    """
    weights = np.zeros(differences.shape[1])
    precision = spread / PRIOR_SCALE**2
    for _ in range(_NEWTON_STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(differences @ weights, -30.0, 30.0)))
        gradient = differences.T @ (won - p) - precision * weights
        curvature = (differences.T * (p * (1.0 - p))) @ differences + precision * np.eye(len(weights))
        step = np.linalg.solve(curvature, gradient)
        weights += step
        if np.abs(step).max() < 1e-9:
            break
    return weights


def _spread(candidates: Float64[np.ndarray, "batch n dim"]) -> float:
    """Return the mean squared length of the difference of two random candidates of a prompt; 1 if all are equal."""
    centred = candidates - candidates.mean(axis=1, keepdims=True)
    return float(2.0 * np.mean(np.sum(centred**2, axis=2))) or 1.0
