"""Training a policy by PPO (Schulman et al. 2017, 1707.06347), as Stable-Baselines3 has it. Needs the extra ``sb3``."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv
from tqdm import tqdm

from duelgym_agents.policies.recipe import Recipe
from duelgym_agents.policies.stable_baselines import EquivariantPolicy

_N_ENVS = 16  # raters met at a time


def train(recipe: Recipe) -> PPO:
    """Return a trained PPO model; the caller's global random states are as before.

    Stable-Baselines3 draws from the global states of torch and numpy, so these are seeded for the while of the training.
    """
    steps = max(2, min(128, -(-recipe.timesteps // _N_ENVS)))
    with _own_random_states():
        model = PPO(
            EquivariantPolicy,
            DummyVecEnv([recipe.environment] * _N_ENVS),
            policy_kwargs={"width": recipe.width},
            n_steps=steps,
            batch_size=steps * _N_ENVS // 4,
            n_epochs=8,
            gamma=recipe.gamma,
            gae_lambda=0.9,
            learning_rate=_falling(recipe.learning_rate),
            seed=recipe.seed,
            device="cpu",
        )
        model.set_logger(Logger(folder=None, output_formats=[]))  # the default leaves a directory in the temporary one
        model.learn(recipe.timesteps, callback=_Progress(recipe.timesteps))
    return model


def _falling(start: float) -> Callable[[float], float]:
    return lambda left: start * left


@contextlib.contextmanager
def _own_random_states() -> Iterator[None]:
    """Leave the global random states of Python, numpy and torch as they were."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002


class _Progress(BaseCallback):
    """A bar with the time left; silent where nobody watches."""

    def __init__(self, timesteps: int) -> None:
        super().__init__()
        self._total = timesteps

    def _on_training_start(self) -> None:
        self._bar = tqdm(total=self._total, desc="training", unit="query", disable=None)

    def _on_step(self) -> bool:
        self._bar.update(self.training_env.num_envs)
        return True

    def _on_training_end(self) -> None:
        self._bar.close()
