"""The common learner: one reward model for everybody's labels, so that data can be told from learner.

A logistic regression on fixed features of prompt and response, fitted from scratch by maximum a posteriori. The
same features serve the supervised reference.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, Int8, Int64

from duelgym.agent import PREFERENCE_NONE

REGULARIZERS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


def fit_logistic(
    differences: Float32[np.ndarray, "duels features"],
    preferences: Int8[np.ndarray, " duels"],
    regularizer: float,
    start: Float64[np.ndarray, " features"] | None = None,
) -> Float64[np.ndarray, " features"]:
    """Return the weights w that minimise sum of log(1 + exp(-s xᵀw)) + regularizer/2 |w|², s = ±1, by Newton steps.

    The objective is convex, so the start decides only how long it takes. Duels without an answer count for nothing, ties
    as half a win each way. Newton directions come from conjugate gradients.

    Args:
        differences: features of the first shown minus those of the second.
        preferences: 0 first, 1 second, 2 none, 3 tie.
        regularizer: positive, in sum form: it does not grow with the number of duels.
        start: where to begin, such as the weights for fewer duels.
    """
    kept = preferences != PREFERENCE_NONE
    x = differences[kept]
    target = np.select([preferences[kept] == 0, preferences[kept] == 1], [1.0, 0.0], 0.5)
    w = np.zeros(differences.shape[1]) if start is None else start.copy()

    def objective(weights: Float64[np.ndarray, " features"], logits: Float64[np.ndarray, " duels"]) -> float:
        return float(np.sum(np.logaddexp(0, logits) - target * logits) + 0.5 * regularizer * weights @ weights)

    logits = (x @ w.astype(np.float32)).astype(np.float64)
    value = objective(w, logits)
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(logits, -500, 500)))
        gradient = (p - target).astype(np.float32) @ x + regularizer * w
        if np.linalg.norm(gradient) < 1e-3 * np.sqrt(1 + len(x)):
            break
        step = _conjugate_gradients(x, (p * (1 - p)).astype(np.float32), regularizer, gradient)
        moved, size = (x @ step.astype(np.float32)).astype(np.float64), 1.0
        while size > 1e-4:
            trial = objective(w - size * step, logits - size * moved)
            if trial <= value:
                break
            size *= 0.5
        else:
            break
        w, logits, value = w - size * step, logits - size * moved, trial
    return w


def _conjugate_gradients(
    x: Float32[np.ndarray, "duels features"],
    curvature: Float32[np.ndarray, " duels"],
    regularizer: float,
    gradient: Float64[np.ndarray, " features"],
) -> Float64[np.ndarray, " features"]:
    solution, residual = np.zeros_like(gradient), gradient.astype(np.float64)
    direction, square = residual.copy(), float(residual @ residual)
    goal = 1e-4 * square
    for _ in range(50):
        product = (curvature * (x @ direction.astype(np.float32))) @ x + regularizer * direction
        step = square / float(direction @ product)
        solution += step * direction
        residual = residual - step * product
        square, before = float(residual @ residual), square
        if square < goal:
            break
        direction = residual + square / before * direction
    return solution


def best_of_n(
    weights: Float64[np.ndarray, " features"], features: Float32[np.ndarray, "batch n_candidates features"]
) -> Int64[np.ndarray, " batch"]:
    """Return the position of the highest scored candidate of every question."""
    return np.argmax(features @ weights.astype(np.float32), axis=1)
