"""The batched environment equals the single one, query by query."""

import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence

from duelgym.errors import SpecificationError

BUDGET = 96


@pytest.mark.parametrize("batch", [1, 8, 32])
@pytest.mark.parametrize("text", [False, True])
def test_equals_the_single_environment_bit_for_bit(env_id_and_kwargs, batch, text):
    env_id, kwargs = env_id_and_kwargs
    single = gym.make(env_id, budget=BUDGET, text=text, **kwargs).unwrapped
    vector = gym.make_vec(env_id, num_envs=batch, budget=BUDGET, text=text, **kwargs).unwrapped
    pairs = np.random.default_rng(0).integers(0, single.n_candidates, size=(BUDGET, 2))
    shown, _ = single.reset(seed=21)
    batched, _ = vector.reset(seed=21)
    for start in range(0, BUDGET, batch):
        before, rewards, answers = [], [], []
        for row in range(batch):
            before.append(shown)
            shown, reward, _, truncated, info = single.step(pairs[start + row])
            rewards.append(reward)
            answers.append(int(shown["preference"]))
        for row in range(batch):
            for key in ("prompt", "candidates", *(("prompt_text", "candidate_texts") if text else ())):
                assert data_equivalence(before[row][key], batched[key][row])
        batched, reward, terminated, truncations, infos = vector.step(pairs[start : start + batch])
        assert np.array_equal(reward, rewards)
        assert batched["preference"].tolist() == answers
        assert np.array_equal(batched["last_pair"], pairs[start : start + batch])
        assert truncations.tolist() == [truncated] * batch and not terminated.any()
        assert infos["queries"][0] == info["queries"]
    assert truncated


def test_spaces_hold_what_is_shown(env_id_and_kwargs):
    env_id, kwargs = env_id_and_kwargs
    env = gym.make_vec(env_id, num_envs=4, text=True, **kwargs)
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    observation, *_ = env.step(env.action_space.sample())
    assert env.observation_space.contains(observation)


def test_a_budget_that_does_not_divide_names_the_nearest_two():
    with pytest.raises(SpecificationError, match="the nearest are 96 or 128"):
        gym.make_vec("SyntheticDuel-v0", num_envs=32, budget=100)
    with pytest.raises(SpecificationError, match="the nearest are 32$"):
        gym.make_vec("SyntheticDuel-v0", num_envs=32, budget=5)


def test_one_bad_pair_refuses_the_whole_batch_at_no_cost():
    env, twin = (gym.make_vec("SyntheticDuel-v0", num_envs=4).unwrapped for _ in range(2))
    env.reset(seed=0), twin.reset(seed=0)
    good = np.array([[0, 1]] * 4)
    for row in ([16, 0], [0, -1]):
        bad = good.copy()
        bad[2] = row
        with pytest.raises(gym.error.InvalidAction, match="row 2"):
            env.step(bad)
    with pytest.raises(gym.error.InvalidAction, match="shape"):
        env.step(good[:3])
    with pytest.raises(gym.error.InvalidAction, match="whole numbers"):
        env.step(good.astype(float))
    with pytest.raises(gym.error.InvalidAction, match="differ in length"):
        env.step([[0, 1], [1, 2], [3], [0, 1]])
    assert env.session.queries == 0
    assert data_equivalence(env.step(good), twin.step(good))


def test_autoreset_is_next_step():
    env = gym.make_vec("SyntheticDuel-v0", num_envs=2, budget=4).unwrapped
    assert env.metadata["autoreset_mode"] is gym.vector.AutoresetMode.NEXT_STEP
    env.reset(seed=0)
    pairs = np.array([[0, 1], [2, 3]])
    env.step(pairs)
    assert env.step(pairs)[3].all()
    observation, rewards, _, truncated, _ = env.step(pairs)  # ignores its action: the next episode begins
    assert (observation["preference"] == 2).all() and not rewards.any() and not truncated.any()
    assert env.session.queries == 0
    env.step(pairs)
    assert env.session.queries == 2


def test_pickled_after_a_step_it_goes_on_identically(env_id_and_kwargs):
    env_id, kwargs = env_id_and_kwargs
    env = gym.make_vec(env_id, num_envs=4, budget=8, **kwargs).unwrapped
    env.reset(seed=4)
    pairs = np.array([[0, 1]] * 4)
    env.step(pairs)
    copy = pickle.loads(pickle.dumps(env))
    for _ in range(4):  # past the end of the episode
        assert data_equivalence(env.step(pairs), copy.step(pairs))
    assert data_equivalence(env.session.assessment().utilities, copy.session.assessment().utilities)


def test_the_only_row_is_a_batch_of_one_all_the_same():
    env = gym.make_vec("SyntheticDuel-v0", num_envs=1)
    env.reset(seed=0)
    with pytest.raises(gym.error.InvalidAction, match=r"shape \(2,\); it must be \(1, 2\)"):
        env.step([0, 1])


def test_returned_arrays_are_not_shared(env_id_and_kwargs):
    env_id, kwargs = env_id_and_kwargs
    env, twin = (gym.make_vec(env_id, num_envs=4, **kwargs) for _ in range(2))
    observation, info = env.reset(seed=0)
    twin.reset(seed=0)
    for value in (*observation.values(), *info.values()):
        value[...] = 0
    pairs = np.array([[0, 1]] * 4)
    assert data_equivalence(env.step(pairs), twin.step(pairs))


def test_seeds_are_one_number_and_arguments_are_checked():
    env = gym.make_vec("SyntheticDuel-v0", num_envs=2)
    with pytest.raises(SpecificationError, match="share one rater"):
        env.reset(seed=[1, 2])
    with pytest.raises(SpecificationError, match="num_envs is 0"):
        gym.make_vec("SyntheticDuel-v0", num_envs=0)


def test_gymnasiums_own_vectorising_works_too():
    env = gym.make_vec("SyntheticDuel-v0", num_envs=3, vectorization_mode="sync")
    first, _ = env.reset(seed=1)
    again, _ = env.reset(seed=1)
    assert data_equivalence(first, again)
    actions = env.action_space.sample()
    assert env.observation_space.contains(env.step(actions)[0])
