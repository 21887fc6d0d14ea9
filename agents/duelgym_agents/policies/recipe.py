"""The recipe of the shipped policy: many hidden raters of ``SyntheticDuel-v0``, and a look at what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import gymnasium as gym
import numpy as np

import duelgym  # noqa: F401  (registers the ids)
from duelgym.checks import positive_number, whole_number
from duelgym_agents.policies.environment import LearningProgress, belief_env
from duelgym_agents.policies.files import PairPolicy


@dataclass(frozen=True)
class Recipe:
    """How a policy is trained.

    Args:
        timesteps: queries in all, rounded up to whole rollouts of 16 raters.
        n_candidates: of each prompt, at least 2.
        utility: of the hidden raters. The belief is about a linear one: with ``"linear"`` what is learnt is to explore, with the
            others also to make up for a belief that is too sure of itself.
        budget: queries of an episode, thus of a rater.
        gamma: above 0 and up to 1. Raters' answers are worth something later alone: with 0 there is nothing to explore for.
        width: features of each layer of the policy.
        learning_rate: of Adam at the start; it falls to 0 in a line.
        seed: of weights, raters, questions, actions and order.

    Raises:
        SpecificationError: if a value is not of its kind or out of range.
    """

    timesteps: int = 262_144
    n_candidates: int = 16
    utility: str = "linear"
    budget: int = 128
    gamma: float = 0.98
    width: int = 16
    learning_rate: float = 2e-3
    seed: int = 0

    def __post_init__(self) -> None:
        whole_number("timesteps", self.timesteps)
        whole_number("n_candidates", self.n_candidates, 2)
        whole_number("budget", self.budget)
        positive_number("gamma", self.gamma, most=1.0)
        whole_number("width", self.width)
        positive_number("learning_rate", self.learning_rate)
        whole_number("seed", self.seed, 0, most=2**32 - 1)

    def environment(self) -> LearningProgress:
        """Return one environment of the kind that it is trained on."""
        return LearningProgress(
            belief_env(
                gym.make("SyntheticDuel-v0", n_candidates=self.n_candidates, utility=self.utility, budget=self.budget)
            )
        )


def compare(recipe: Recipe, policy: PairPolicy, *, n_raters: int) -> dict[str, tuple[float, float, float]]:
    """Return win rates of what would be recommended, by who chose the pairs: the policy, chance, or the two best means.

    Before any label, averaged over an episode's labels, and at its end; means over the same raters and questions for
    each, none of them met in training.
    """
    first, second = np.triu_indices(recipe.n_candidates, k=1)
    index = np.zeros((recipe.n_candidates,) * 2, dtype=np.int64)
    index[first, second] = index[second, first] = np.arange(len(first))
    choices: dict[str, Callable[[np.ndarray, np.random.Generator], int]] = {
        "policy": lambda belief, rng: int(np.argmax(policy.logits(belief[None])[0] + rng.gumbel(size=len(first)))),
        "passive": lambda belief, rng: int(rng.integers(len(first))),
        "greedy": lambda belief, rng: int(index[tuple(np.argsort(-belief[:, 0], kind="stable")[:2])]),
    }
    env = recipe.environment()
    table = {}
    for name, choose in choices.items():
        rates = np.empty((n_raters, recipe.budget + 1))
        for row, seed in enumerate(np.random.SeedSequence(recipe.seed).generate_state(n_raters).tolist()):
            rng = np.random.default_rng(seed)
            belief, _ = env.reset(seed=seed)
            rates[row, 0] = env.win_rate
            for t in range(1, recipe.budget + 1):
                belief, *_ = env.step(choose(belief, rng))
                rates[row, t] = env.win_rate
        curve = rates.mean(axis=0)
        table[name] = (float(curve[0]), float(curve[1:].mean()), float(curve[-1]))
    return table
