"""A belief in place of raw embeddings, so that a policy without memory can use the feedback."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from jaxtyping import Float32

from duelgym.belief import BOUND, GaussianBelief
from duelgym.checks import positive_number
from duelgym.errors import SpecificationError


class Belief(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Replaces the embeddings by each candidate's posterior mean and standard deviation.

    The posterior is that of a :class:`~duelgym.belief.GaussianBelief` about a utility linear in candidate embeddings,
    updated after every preference. The prior gives a random pair a utility difference of standard deviation
    ``prior_scale`` logits, measured on the first context of the episode, without labels. A pair decides what is believed
    next, so with this wrapper a gamma above 0 makes exploring worth learning.

    Observation: ``candidates`` Box (N, 2), mean centred within the prompt and deviation, both in logits;
    ``last_pair`` and ``preference`` as before; ``prompt`` is gone.

    Args:
        env: an environment with the duel's Dict observation.
        prior_scale: in logits, positive.

    Attributes:
        belief: what the answers of this episode have taught so far.
        shown: embeddings of the candidates that the next query is about.
    """

    belief: GaussianBelief
    shown: Float32[np.ndarray, "n_candidates d"]

    def __init__(self, env: gym.Env[Any, Any], prior_scale: float = 2.0) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, prior_scale=prior_scale)
        gym.Wrapper.__init__(self, env)
        inner = env.observation_space
        if not isinstance(inner, spaces.Dict):
            raise SpecificationError(f"Belief wraps a duel's Dict observation, not {inner}")
        self._prior_scale = positive_number("prior_scale", prior_scale)
        candidates = inner["candidates"]
        assert candidates.shape is not None
        n, _ = candidates.shape
        low = np.tile(np.array([-BOUND, 0.0], dtype=np.float32), (n, 1))
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
        self.belief = GaussianBelief.before_labels(observation["candidates"], self._prior_scale)
        return self._observation(observation), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Ask, learn from the answer, and show the belief about the next candidates."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.belief.observe(self.shown, observation["last_pair"], int(observation["preference"]))
        return self._observation(observation), reward, terminated, truncated, info

    def _observation(self, observation: dict[str, Any]) -> dict[str, Any]:
        self.shown = observation["candidates"]
        return {
            "candidates": self.belief.about(self.shown),
            "last_pair": observation["last_pair"],
            "preference": observation["preference"],
        }
