"""The environment in which policies are trained: a belief is seen, a pair is asked, progress is rewarded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from jaxtyping import Float32, Float64, Int64

from duelgym.agent import PREFERENCE_FIRST, PREFERENCE_SECOND
from duelgym.belief import GaussianBelief
from duelgym.envs import Belief, PairIndex
from duelgym.errors import SpecificationError


class _BeliefAlone(gym.ObservationWrapper[Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Leaves only the belief: last pair and preference are in it already, and in a batch there is no last pair."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.ObservationWrapper.__init__(self, env)
        assert isinstance(env.observation_space, spaces.Dict)  # that of Belief
        self.observation_space = env.observation_space["candidates"]

    def observation(self, observation: dict[str, Any]) -> Float32[np.ndarray, "n_candidates 2"]:
        """Return the belief about the candidates."""
        return np.asarray(observation["candidates"])


def belief_env(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """Return a duel as policies see it, wherever they are trained.

    Observation: Box (N, 2), posterior mean and deviation of each candidate in logits, of a
    :class:`~duelgym.envs.Belief` with its default prior. Action: Discrete(N(N-1)/2), a pair as
    :class:`~duelgym.envs.PairIndex` counts them.

    Raises:
        SpecificationError: if it is no duel, or has fewer than two candidates.
    """
    return _BeliefAlone(PairIndex(Belief(env)))


class LearningProgress(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Rewards what is learnt: by how much an answer raises the win rate of what would be recommended.

    The win rate is that of the candidate of highest posterior mean, averaged over the hidden rater's held-out questions:
    what tables show. Undiscounted, rewards add up to the win rate that is gained by the end of the budget; the smaller
    gamma, the more the first labels count. The pair's own regret, the environment's reward, is no part of it, since
    a label is for learning and a bad candidate costs nothing.

    The reward is the mean over both answers, with the rater's probabilities of them: the same in expectation as the gain
    by the answer that is given, without its noise. Hidden utilities are read for that, as they are for the environment's own
    reward: in training, never by agents.

    Args:
        env: what :func:`belief_env` returns, of a duel in which every query is answered, first or second.

    Raises:
        SpecificationError: if it is another environment.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)
        if not isinstance(env, _BeliefAlone):
            raise SpecificationError(f"LearningProgress wraps what belief_env returns, not {env}")
        self._pairs: Int64[np.ndarray, "n_pairs 2"] = env.get_wrapper_attr("pairs")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        duel: Any = self.env.unwrapped
        held_out = duel.session.assessment()
        held_out_contexts = duel.problem.generator.contexts(held_out.questions)
        self._candidates: Float32[np.ndarray, "prompts n d"] = held_out_contexts.candidates
        self._wins: Float64[np.ndarray, "prompts n"] = held_out.win_rates()
        self.win_rate = self._recommending_by(self.env.get_wrapper_attr("belief"))
        return observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Ask, and reward the expected progress."""
        duel: Any = self.env.unwrapped
        belief, shown = self.env.get_wrapper_attr("belief"), self.env.get_wrapper_attr("shown")
        pair, before, after = self._pairs[action], self.win_rate, []
        for answer in (PREFERENCE_FIRST, PREFERENCE_SECOND):
            learnt = replace(belief)
            learnt.observe(shown, pair, answer)
            after.append(self._recommending_by(learnt))
        p = float(duel.asked.probability(pair[:1], pair[1:])[0])
        observation, _, terminated, truncated, info = self.env.step(action)
        self.win_rate = after[duel.last_answer["preference"]]
        return observation, p * after[0] + (1 - p) * after[1] - before, terminated, truncated, info

    def _recommending_by(self, belief: GaussianBelief) -> float:
        best = np.argmax(self._candidates @ belief.mean.astype(np.float32), axis=1)
        return float(self._wins[np.arange(len(best)), best].mean())
