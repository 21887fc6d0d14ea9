"""Stable-Baselines3 as a client."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch

from duelgym.envs import Belief, FlattenDuel, PairIndex

stable_baselines3 = pytest.importorskip("stable_baselines3", reason="needs the extra duelgym[sb3]")


def test_its_checker_warns_of_nothing_but_the_two_dimensional_candidates(env_id_and_kwargs):
    from stable_baselines3.common.env_checker import check_env

    env_id, kwargs = env_id_and_kwargs
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(gym.make(env_id, **kwargs).unwrapped)
    messages = [str(warning.message) for warning in caught]
    assert len(messages) <= 1 and all("candidates" in text or "unconventional shape" in text for text in messages)


@pytest.mark.parametrize("wrap", [FlattenDuel, lambda env: FlattenDuel(PairIndex(env))])
def test_its_checker_is_silent_on_the_flat_environment(env_id_and_kwargs, wrap):
    from stable_baselines3.common.env_checker import check_env

    env_id, kwargs = env_id_and_kwargs
    check_env(wrap(gym.make(env_id, **kwargs)))


@pytest.mark.parametrize("wrap", [lambda env: env, Belief])
def test_ppo_runs_on_dict_observations(wrap):
    env = wrap(gym.make("SyntheticDuel-v0", n_candidates=4, dimension=3))
    model = stable_baselines3.PPO("MultiInputPolicy", env, n_steps=32, batch_size=32, gamma=0.0, seed=0)
    model.learn(64)


def test_dqn_runs_with_pair_indices():
    env = FlattenDuel(PairIndex(gym.make("SyntheticDuel-v0", n_candidates=4, dimension=3)))
    stable_baselines3.DQN("MlpPolicy", env, gamma=0.0, learning_starts=10, seed=0).learn(50)


def _fixed_rater(budget):
    return FlattenDuel(
        gym.make("SyntheticDuel-v0", n_candidates=8, dimension=6, utility="linear", rater=0, budget=budget)
    )


def _mean_reward(choose, n=500):
    env = _fixed_rater(n)
    observation, _ = env.reset(seed=999)
    total = 0.0
    for _ in range(n):
        observation, reward, *_ = env.step(choose(env, observation))
        total += reward
    return total / n


def test_ppo_closes_eighty_per_cent_of_the_gap_in_6000_steps():
    """Learns: from uniform pairs to the best pair of two different candidates, one fixed linear rater."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    uniform = _mean_reward(lambda env, seen: rng.choice(8, size=2, replace=False))
    best_two = _mean_reward(lambda env, seen: np.argsort(-env.unwrapped.asked.utilities[0])[:2])
    model = stable_baselines3.PPO(
        "MlpPolicy",
        _fixed_rater(6400),
        gamma=0.0,
        gae_lambda=1.0,
        learning_rate=1e-3,
        n_steps=250,
        batch_size=50,
        n_epochs=10,
        seed=0,
    )
    model.learn(6000)
    assert model.num_timesteps == 6000
    learnt = _mean_reward(lambda env, seen: model.predict(seen, deterministic=True)[0])
    assert (learnt - uniform) / (best_two - uniform) >= 0.8
