"""Trivial agents: they ask without thinking, and learn from the answers as anybody can.

They stand on every board to lose: who is not significantly above all of them has shown nothing. Name them like agents of one's
own, ``duelgym_bench.leaderboard.trivial:uniform_pairs``. All four have one learner, the Bayesian linear reward model, and
recommend what it prefers; only their questions differ. Candidates are permuted for every query, so :func:`first_two` and
:func:`same_pair` are worth what :func:`uniform_pairs` is unless positions leak. Policies that ask nothing (a constant index,
the longest answer, rater-blind, the oracle) are :mod:`duelgym_bench.references`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Int8, Int64

from duelgym.agent import Agent, Contexts
from duelgym_agents.registry import make_agent

__all__ = ["TopTwo", "first_two", "longest_two", "same_pair", "uniform_pairs"]


class TopTwo:
    """Asks about the first two of a ranking that never learns; all else is the learner's.

    A prompt with a single candidate leaves no choice: the pair is (0, 0).

    Args:
        learner: learns from the answers and recommends; an agent that saves its state and counts.
        ranking: gives for contexts the positions of each prompt's candidates, those to ask about first.
        needs_texts: whether the ranking reads texts.
    """

    def __init__(
        self,
        learner: Any,
        ranking: Callable[[Contexts], Int64[np.ndarray, "batch n_candidates"]],
        *,
        needs_texts: bool = False,
    ) -> None:
        self._learner, self._ranking, self.needs_texts = learner, ranking, needs_texts

    def select_pairs(self, contexts: Contexts) -> Int64[np.ndarray, "batch 2"]:
        """Return the positions that the ranking puts first and second."""
        ranked = self._ranking(contexts)
        return ranked[:, [0, min(1, ranked.shape[1] - 1)]]

    def observe(
        self, contexts: Contexts, pairs: Int64[np.ndarray, "batch 2"], preferences: Int8[np.ndarray, " batch"]
    ) -> None:
        """Let the learner learn."""
        self._learner.observe(contexts, pairs, preferences)

    def recommend(self, contexts: Contexts) -> Int64[np.ndarray, " batch"]:
        """Return what the learner recommends."""
        return self._learner.recommend(contexts)

    def state_dict(self) -> Mapping[str, np.ndarray]:
        """Return the learner's state: there is no other."""
        return self._learner.state_dict()

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state_dict` gave."""
        self._learner.load_state_dict(state)

    def counters(self) -> Mapping[str, int]:
        """Return what the learner counts."""
        return self._learner.counters()


def uniform_pairs(**sizes: Any) -> Agent:
    """Return an agent that asks about two different candidates, drawn uniformly.

    Args:
        sizes: as for :class:`duelgym.agent.AgentFactory`, with settings of the learner.
    """
    return make_agent("passive", "bayesian_linear", **sizes)


def first_two(**sizes: Any) -> Agent:
    """Return an agent that asks about positions 0 and 1.

    Args:
        sizes: as for :func:`uniform_pairs`.
    """
    return TopTwo(uniform_pairs(**sizes), _positions)


def same_pair(**sizes: Any) -> Agent:
    """Return an agent that asks about the last two positions, the last one shown first.

    Args:
        sizes: as for :func:`uniform_pairs`.
    """
    return TopTwo(uniform_pairs(**sizes), _positions_from_the_last)


def longest_two(**sizes: Any) -> Agent:
    """Return an agent that asks about the two longest texts, in characters; of equals the lower position comes first.

    Args:
        sizes: as for :func:`uniform_pairs`.
    """
    return TopTwo(uniform_pairs(**sizes), _longest_first, needs_texts=True)


def _positions(contexts: Contexts) -> Int64[np.ndarray, "batch n_candidates"]:
    batch, n_candidates, _ = contexts.candidates.shape
    return np.tile(np.arange(n_candidates), (batch, 1))


def _positions_from_the_last(contexts: Contexts) -> Int64[np.ndarray, "batch n_candidates"]:
    return _positions(contexts)[:, ::-1]


def _longest_first(contexts: Contexts) -> Int64[np.ndarray, "batch n_candidates"]:
    lengths = np.array([[len(text) for text in texts] for texts in contexts.candidate_texts or ()])
    return np.argsort(-lengths, axis=1, kind="stable")
