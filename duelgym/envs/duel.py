"""One question at a time: the Gymnasium environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from duelgym.agent import PREFERENCE_NONE
from duelgym.envs.problems import Problem, build_problem
from duelgym.envs.rendering import ansi, pixels
from duelgym.envs.session import DuelSession, HoldsSession, checked_pairs, checked_scoring, checked_settings
from duelgym.envs.spaces import observation_space
from duelgym.errors import SpecificationError
from duelgym.metrics.judged import Judged

Observation = dict[str, Any]


class DuelEnv(HoldsSession, gym.Env[Observation, np.ndarray]):
    """A contextual dueling bandit: a prompt with N candidate responses; the action is the pair to compare next.

    **Action** ``MultiDiscrete([N, N])``: positions (first shown, second shown). A pair (i, i) is legal, costs a query,
    is a fair coin and is counted. Anything not integral, of another shape or out of range raises
    ``gymnasium.error.InvalidAction`` and costs nothing.

    **Observation** ``Dict``: ``prompt`` Box (d,) and ``candidates`` Box (N, d), float32 in [-1, 1]; ``last_pair``, the pair
    just asked ((0, 0) before the first query); ``preference``: 0 the first won, 1 the second won, 2 none (at reset, or no
    answer), 3 tie. The preference belongs to the previous prompt. With ``text=True`` also ``prompt_text`` and
    ``candidate_texts``.

    **Reward** ``"regret"``: minus the average regret of the pair, -(Δ_i + Δ_j)/2 with Δ_i = P(winner beats i) - 1/2, in
    [-0.5, 0]; highest for the best candidate against itself, which teaches nothing: it scores, it is not the goal.
    ``"zero"``: always 0. Actions do not move contexts, so gamma = 0 suits learners that treat this as a bandit.

    **Episode**: one hidden rater, one budget of T queries, truncated at T; never terminated. Questions and label noise of
    query t depend on the seed and t alone. ``info`` has ``prompt_id`` and ``candidate_ids`` (for logs; agents never get them),
    ``queries``, ``self_duels`` and ``clipped`` (feature values cut off at the range's edge) so far.

    **Ids**

    * ``LLMDuel-v0``: 100 recorded answers of the embedded language model to each of 1 625 prompts, cross-fitted in 5 folds
      (``split``, ``fold``); 64 features of the model's own; hidden raters of a documented population over eight attributes
      that the embedded reward model reads, each of whom prefers the favourite of a random pair 70 % of the time; 0.4 % of
      pairs are tied. On the way from a win rate of 0.5 to the oracle's, over 10 seeds, a policy that knows the
      population and no rater comes to 23 % [11 35], one that is given all learning utilities to 59 % [54 67].
    * ``AlpacaEvalDuel-v0``: 55 language models judged by GPT-4; ``pool=DIR`` required; ``split``, ``fold``.
    * ``PoolDuel-v0``: any pool (``duelgym pool record``, :func:`duelgym.pools.write_pool`); ``pool=DIR`` required; ``split``, ``fold``.
    * ``SyntheticDuel-v0``: Gaussian features, clipped at 4 standard deviations and divided by 4; ``dimension=16``,
      ``utility="random_features" | "mlp" | "linear"``, ``prompt_share=0.5``; 16 candidates, temperature 1.
    * ``LLMDuelLive-v0``: a language model that answers while the episode runs, loaded at the first reset. ``generator``: its
      directory, its hub name, or an object such as ``{"model": …, "temperature": 0.8}``, ``{"name": "endpoint", "url": …}``,
      ``{"name": "recorded", "pool": …}``; default ``"embedded"``, which has the settings of ``LLMDuel-v0`` where none are
      given. ``prompts``: a file, one a line. ``encoder``: None, the generator's own embeddings. ``max_new_tokens=48``,
      ``n_candidates=16``; ``n_assessment``: prompts held out by hash; None: 64, or a fifth of few. ``simulator`` begins with
      ``reward_model``, ``rubrics`` or ``llm_judge``. An episode is drawn from its seed alone, but a model's arithmetic
      rounds by machine and batch: for results that are exact, record a pool.

    Args:
        problem: name of the problem (set by the id), or a :class:`Problem`.
        budget: T, number of queries of an episode.
        reward: ``"regret"`` or ``"zero"``.
        text: add strings to the observation.
        render_mode: None, ``"ansi"`` or ``"rgb_array"``.
        **arguments: of the problem: ``n_candidates`` (None: all), ``rater`` (None: from the seed), ``temperature`` or
            ``simulator`` (a list such as ``[{"name": "bradley_terry", "temperature": 2.0}]``), and those of the id.

    Raises:
        SpecificationError: on an argument that is not allowed.
        PoolError: if the pool cannot be opened.

    Version history: v0, first.
    """

    metadata = {"render_modes": ["ansi", "rgb_array"], "render_fps": 4}  # noqa: RUF012 (gymnasium's own form)

    def __init__(
        self,
        problem: str | Problem,
        *,
        budget: int = 6400,
        reward: str = "regret",
        text: bool = False,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        checked_settings(budget, reward, batch=1)
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise SpecificationError(f"render_mode is {render_mode!r}; known: ansi, rgb_array, or none")
        self.problem = build_problem(problem, arguments) if isinstance(problem, str) else problem
        checked_scoring(self.problem, reward)
        self.budget = int(budget)
        self.render_mode = render_mode
        self._reward = reward
        self._text = text
        generator = self.problem.generator
        self.n_candidates = generator.n_candidates
        self.action_space = spaces.MultiDiscrete([self.n_candidates, self.n_candidates])
        self.observation_space = observation_space(generator, text=text)
        self._answered: tuple[Judged, tuple[int, int], int] | None = None

    @property
    def last_answer(self) -> dict[str, Any]:
        """The last query's ``last_pair`` and ``preference``, as the unwrapped observation shows them."""
        if self._answered is None:
            raise gym.error.ResetNeeded("no query has been asked yet in this episode")
        _, pair, preference = self._answered
        return {"last_pair": pair, "preference": preference}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode: draw the hidden rater, and show the first question."""
        super().reset(seed=seed)
        self._session = DuelSession(self.problem, budget=self.budget, reward=self._reward, rng=self.np_random)
        self._asked, self._answered = self._session.ask(1), None
        return self._observation(self._asked, (0, 0), PREFERENCE_NONE), self._info(self._asked)

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Ask for the label of a pair, and show the answer with the next question."""
        session, asked = self.session, self.asked
        if session.queries >= self.budget:
            raise gym.error.ResetNeeded(f"the budget of {self.budget} queries is spent: call reset()")
        pairs = checked_pairs(action, batch=None, n_candidates=self.n_candidates)
        preferences, rewards = session.answer(asked, pairs)
        pair, preference = (int(pairs[0, 0]), int(pairs[0, 1])), int(preferences[0])
        self._answered = (asked, pair, preference)
        self._asked = None  # should the generator fail now, the label is given and the next call says: reset
        self._asked = session.ask(1)
        observation = self._observation(self._asked, pair, preference)
        return observation, float(rewards[0]), False, session.queries >= self.budget, self._info(self._asked)

    def texts(
        self, prompt_id: int | None = None, candidate_ids: Sequence[int] | None = None
    ) -> tuple[str, tuple[str, ...]]:
        """Return a prompt and its responses as strings; by default those now shown, in the order shown.

        Raises:
            SpecificationError: if only one of the two arguments is given.
        """
        if (prompt_id is None) != (candidate_ids is None):
            raise SpecificationError("texts() needs prompt_id and candidate_ids, or neither for what is now shown")
        if prompt_id is None or candidate_ids is None:
            questions = self.asked.questions
            return self.problem.generator.texts(int(questions.prompt_ids[0]), questions.candidate_ids[0])
        return self.problem.generator.texts(prompt_id, np.asarray(candidate_ids, dtype=np.int64))

    def render(self) -> Any:
        """Return a picture of the last query, or of the first question before any."""
        if self.render_mode is None or self._asked is None:
            gym.logger.warn("render() needs render_mode='ansi' or 'rgb_array', and a reset() first")
            return None
        shown, pair, preference = self._answered or (self._asked, None, PREFERENCE_NONE)
        if self.render_mode == "rgb_array":
            return pixels(self.problem.generator.contexts(shown.questions).candidates[0], pair, preference)
        ids = shown.questions.candidate_ids[0]
        prompt, responses = self.problem.generator.texts(
            int(shown.questions.prompt_ids[0]), ids[list(pair)] if pair is not None else ids[:0]
        )
        both = (responses[0], responses[1]) if pair is not None else None
        return ansi(prompt, both, pair or (0, 0), preference, self.session.queries)

    def _observation(self, asked: Judged, pair: tuple[int, int], preference: int) -> Observation:
        contexts = self.problem.generator.contexts(asked.questions, texts=self._text)
        observation: Observation = {
            "prompt": contexts.prompts[0],
            "candidates": contexts.candidates[0],
            "last_pair": np.array(pair, dtype=np.int64),
            "preference": np.int64(preference),
        }
        if contexts.prompt_texts is not None and contexts.candidate_texts is not None:
            observation["prompt_text"] = contexts.prompt_texts[0]
            observation["candidate_texts"] = contexts.candidate_texts[0]
        return observation

    def _info(self, asked: Judged) -> dict[str, Any]:
        return {
            "prompt_id": int(asked.questions.prompt_ids[0]),
            "candidate_ids": asked.questions.candidate_ids[0].copy(),
            "queries": self.session.queries,
            "self_duels": self.session.self_duels,
            "clipped": self.session.clipped,
        }
