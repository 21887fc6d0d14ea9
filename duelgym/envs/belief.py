"""A belief in place of raw embeddings, so that a policy without memory can use the feedback."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from jaxtyping import Float32, Float64

from duelgym.agent import PREFERENCE_NONE, PREFERENCE_TIE
from duelgym.errors import SpecificationError

BOUND = 10.0
"""Posterior means and deviations are in logits and are clipped here: beyond, a preference is certain to 5e-5."""


class Belief(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Replaces the embeddings by each candidate's posterior mean and standard deviation.

    The posterior is that of a Bayesian logistic regression on differences of candidate embeddings, updated online after
    every preference by one Laplace step (Spiegelhalter and Lauritzen 1990): with x the difference and p = σ(xᵀm/κ),
    precision += p(1-p) x xᵀ and m += Σ x (y - p). The prior gives a random pair a utility difference of standard
    deviation ``prior_scale`` logits, measured on the first context of the episode, without labels.

    Observation: ``candidates`` Box (N, 2), mean centred within the prompt and deviation, both in logits;
    ``last_pair`` and ``preference`` as before; ``prompt`` is gone.

    Args:
        env: an environment with the duel's Dict observation.
        prior_scale: in logits, positive.
    """

    def __init__(self, env: gym.Env[Any, Any], prior_scale: float = 2.0) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, prior_scale=prior_scale)
        gym.Wrapper.__init__(self, env)
        inner = env.observation_space
        if not isinstance(inner, spaces.Dict):
            raise SpecificationError(f"Belief wraps a duel's Dict observation, not {inner}")
        if not prior_scale > 0:
            raise SpecificationError(f"prior_scale is {prior_scale!r}; it must be positive")
        candidates = inner["candidates"]
        assert candidates.shape is not None
        n, self._dimension = candidates.shape
        low = np.tile(np.array([-BOUND, 0.0], dtype=np.float32), (n, 1))
        self._prior_scale = prior_scale
        self.observation_space = spaces.Dict(
            {
                "candidates": spaces.Box(low, np.full((n, 2), BOUND, dtype=np.float32), dtype=np.float32),
                "last_pair": inner["last_pair"],
                "preference": inner["preference"],
            }
        )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode with the prior."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._shown = observation["candidates"].astype(np.float64)
        spread = float(np.mean(np.sum((self._shown - self._shown.mean(axis=0)) ** 2, axis=1)))
        variance = self._prior_scale**2 / (2.0 * spread) if spread > 0 else 1.0
        self._mean: Float64[np.ndarray, " d"] = np.zeros(self._dimension)
        self._covariance: Float64[np.ndarray, "d d"] = variance * np.eye(self._dimension)
        return self._observation(observation), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Ask, learn from the answer, and show the belief about the next candidates."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        first, second = observation["last_pair"]
        if observation["preference"] != PREFERENCE_NONE:
            won = 0.5 if observation["preference"] == PREFERENCE_TIE else 1.0 - float(observation["preference"])
            self._update(self._shown[first] - self._shown[second], won)
        self._shown = observation["candidates"].astype(np.float64)
        return self._observation(observation), reward, terminated, truncated, info

    def _update(self, x: Float64[np.ndarray, " d"], won: float) -> None:
        direction = self._covariance @ x
        variance = float(x @ direction)
        if variance == 0.0:  # a candidate against itself or its copy
            return
        kappa = np.sqrt(1.0 + np.pi * variance / 8.0)
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ self._mean / kappa, -500, 500)))
        curvature = p * (1.0 - p)
        self._covariance -= np.outer(direction, direction) * (curvature / (1.0 + curvature * variance))
        self._mean = self._mean + (self._covariance @ x) * (won - p)

    def _observation(self, observation: dict[str, Any]) -> dict[str, Any]:
        centred = self._shown - self._shown.mean(axis=0)
        variance = np.einsum("nd,de,ne->n", centred, self._covariance, centred)
        both: Float32[np.ndarray, "n_candidates 2"] = np.stack(
            [centred @ self._mean, np.sqrt(np.maximum(variance, 0.0))], axis=1
        ).astype(np.float32)
        shown = np.clip(both, [[-BOUND, 0.0]], BOUND).astype(np.float32)
        return {
            "candidates": shown,
            "last_pair": observation["last_pair"],
            "preference": observation["preference"],
        }
