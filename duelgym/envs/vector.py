"""B questions at a time: the papers' batched setting, one rater for all."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from jaxtyping import Int8, Int64

from duelgym.agent import PREFERENCE_NONE, Contexts
from duelgym.envs.problems import Problem, build_problem
from duelgym.envs.session import DuelSession, HoldsSession, checked_pairs, checked_scoring, checked_settings
from duelgym.envs.spaces import observation_space
from duelgym.errors import SpecificationError


class DuelVectorEnv(HoldsSession, VectorEnv[dict[str, Any], np.ndarray, np.ndarray]):
    """B prompts at once, B pairs, then B preferences; made by ``gym.make_vec(id, num_envs=B)``.

    The query index decides everything: row b of step k is query kB + b of the seed, so any B meets the same prompts,
    candidates, orders and label noise as :class:`DuelEnv` stepped B times as often (live responses: up to rounding). ``budget`` counts queries over all
    rows: an episode is budget / B steps. All rows end together. Autoreset is NEXT_STEP only: the step after the end
    ignores its action and begins the next episode with reward 0. One invalid pair refuses the whole batch at no cost.

    Args: as :class:`DuelEnv`, and
        num_envs: B, at least 1; it must divide the budget.

    Raises:
        SpecificationError: on an argument that is not allowed, such as a budget that B does not divide.
        PoolError: if the pool cannot be opened.
    """

    metadata = {  # noqa: RUF012 (gymnasium's own form)
        "render_modes": [],
        "render_fps": 4,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        problem: str | Problem,
        *,
        num_envs: int = 1,
        budget: int = 6400,
        reward: str = "regret",
        text: bool = False,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        if isinstance(num_envs, bool) or not isinstance(num_envs, (int, np.integer)) or num_envs < 1:
            raise SpecificationError(f"num_envs is {num_envs!r}; it must be a whole number of at least 1")
        checked_settings(budget, reward, batch=num_envs)
        if render_mode is not None:
            raise SpecificationError("the vector environment does not render; make a single one with gym.make")
        self.problem = build_problem(problem, arguments) if isinstance(problem, str) else problem
        checked_scoring(self.problem, reward)
        self.num_envs = int(num_envs)
        self.budget = int(budget)
        self.render_mode = None
        self._reward = reward
        self._text = text
        generator = self.problem.generator
        self.n_candidates = generator.n_candidates
        self.single_action_space = spaces.MultiDiscrete([self.n_candidates, self.n_candidates])
        self.single_observation_space = observation_space(generator, text=text)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self._answered: dict[str, Any] | None = None

    @property
    def last_answer(self) -> dict[str, Any]:
        """The last batch's ``last_pair`` and ``preference``, as the unwrapped observation shows them."""
        if self._answered is None:
            raise gym.error.ResetNeeded("no query has been asked yet in this episode")
        return self._answered

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin an episode for all rows. The seed is one whole number: there is one rater."""
        if seed is not None and not isinstance(seed, (int, np.integer)):
            raise SpecificationError(f"seed is {seed!r}; give one whole number, since all rows share one rater")
        super().reset(seed=None if seed is None else int(seed))
        self._session = DuelSession(self.problem, budget=self.budget, reward=self._reward, rng=self.np_random)
        self._asked, self._answered = self._session.ask(self.num_envs), None
        nothing = np.full(self.num_envs, PREFERENCE_NONE, dtype=np.int8)
        return self._observation(np.zeros((self.num_envs, 2), dtype=np.int64), nothing), self._info()

    def step(self, actions: Any) -> tuple[dict[str, Any], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Ask for B labels, and show the answers with the next B questions."""
        session, never = self.session, np.zeros(self.num_envs, dtype=np.bool_)
        if session.queries >= self.budget:
            observation, info = self.reset()
            return observation, np.zeros(self.num_envs), never, never.copy(), info
        pairs = checked_pairs(actions, batch=self.num_envs, n_candidates=self.n_candidates)
        preferences, rewards = session.answer(self.asked, pairs)
        self._answered = {"last_pair": pairs, "preference": preferences}
        self._asked = None  # should the generator fail now, the labels are given and the next call says: reset
        self._asked = session.ask(self.num_envs)
        truncated = np.full(self.num_envs, session.queries >= self.budget)
        return self._observation(pairs, preferences), rewards, never, truncated, self._info()

    def contexts(self) -> Contexts:
        """Return what agents see of the questions now shown."""
        return self.problem.generator.contexts(self.asked.questions, texts=self._text)

    def _observation(
        self, pairs: Int64[np.ndarray, "batch 2"], preferences: Int8[np.ndarray, " batch"]
    ) -> dict[str, Any]:
        contexts = self.contexts()
        observation: dict[str, Any] = {
            "prompt": contexts.prompts,
            "candidates": contexts.candidates,
            "last_pair": pairs.copy(),
            "preference": preferences.astype(np.int64),
        }
        if self._text:
            observation["prompt_text"] = contexts.prompt_texts
            observation["candidate_texts"] = contexts.candidate_texts
        return observation

    def _info(self) -> dict[str, Any]:
        everywhere = np.ones(self.num_envs, dtype=np.bool_)
        values = {
            "prompt_id": self.asked.questions.prompt_ids.copy(),
            "candidate_ids": self.asked.questions.candidate_ids.copy(),
            "queries": np.full(self.num_envs, self.session.queries),
            "self_duels": np.full(self.num_envs, self.session.self_duels),
            "clipped": np.full(self.num_envs, self.session.clipped),
        }
        return values | {f"_{key}": everywhere.copy() for key in values}
