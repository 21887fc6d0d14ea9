"""Wrappers for clients that want plain spaces."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from hypothesis import given
from hypothesis import strategies as st

from duelgym.envs import Belief, DropText, FlattenDuel, PairIndex
from duelgym.errors import SpecificationError


@pytest.mark.parametrize(
    "wrap",
    [
        PairIndex,
        FlattenDuel,
        DropText,
        Belief,
        lambda e: FlattenDuel(PairIndex(e)),
        lambda e: FlattenDuel(Belief(PairIndex(e))),
    ],
)
@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
def test_wrapped_environments_pass_the_checker_and_rebuild(wrap):
    env = wrap(gym.make("SyntheticDuel-v0", text=True) if wrap is DropText else gym.make("SyntheticDuel-v0"))
    check_env(env, skip_render_check=True)
    assert data_equivalence(env.reset(seed=2), gym.make(env.spec).reset(seed=2))


@given(st.integers(2, 9))
def test_pair_index_names_every_unordered_pair_once(n):
    env = PairIndex(gym.make("SyntheticDuel-v0", n_candidates=n, dimension=2))
    pairs = [tuple(env.action(k).tolist()) for k in range(env.action_space.n)]
    assert pairs == [(i, j) for i in range(n) for j in range(i + 1, n)]


@pytest.mark.parametrize("bad", [-1, 120, 1.0, [0], "a"])
def test_pair_index_refuses_what_is_no_index(bad):
    env = PairIndex(gym.make("SyntheticDuel-v0"))
    env.reset(seed=0)
    with pytest.raises(gym.error.InvalidAction, match="0 to 119"):
        env.step(bad)
    assert env.unwrapped.session.queries == 0


def test_pair_index_needs_a_pair():
    with pytest.raises(SpecificationError, match="two candidates"):
        PairIndex(gym.make("SyntheticDuel-v0", n_candidates=1))


@pytest.mark.parametrize("inside", [lambda env: env, Belief])
def test_what_is_flattened_lies_in_its_space(inside):
    env = FlattenDuel(inside(gym.make("SyntheticDuel-v0", budget=40)))
    observation, _ = env.reset(seed=0)
    for t in range(40):
        assert observation in env.observation_space
        observation, *_ = env.step([t % 16, (3 * t) % 16])


def test_pair_index_wraps_pairs_only():
    with pytest.raises(SpecificationError, match="MultiDiscrete"):
        PairIndex(PairIndex(gym.make("SyntheticDuel-v0")))


def test_flattened_observation_by_hand():
    inner = gym.make("SyntheticDuel-v0", n_candidates=3, dimension=2)
    env = FlattenDuel(inner)
    env.reset(seed=0)
    flat, *_ = env.step(np.array([2, 1]))
    assert flat.dtype == np.float32 and flat.shape == (6 + 6 + 4 + 2,)
    assert flat[6:12].tolist() == [0, 0, 1, 0, 1, 0]  # last pair (2, 1), one-hot
    assert flat[12:16].sum() == 1 and flat[14] == 0  # answered


def test_drop_text_keeps_the_numbers():
    plain, dropped = gym.make("SyntheticDuel-v0"), DropText(gym.make("SyntheticDuel-v0", text=True))
    assert data_equivalence(plain.reset(seed=1), dropped.reset(seed=1))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_belief_needs_a_positive_prior(scale):
    with pytest.raises(SpecificationError, match=r"prior_scale is .*; it must be a positive finite number"):
        Belief(gym.make("SyntheticDuel-v0"), prior_scale=scale)


def test_belief_learns_what_the_rater_likes():
    env = Belief(gym.make("SyntheticDuel-v0", utility="linear", dimension=4, n_candidates=8, budget=400))
    observation, _ = env.reset(seed=0)
    rng, correct, spread = np.random.default_rng(0), [], []
    for _ in range(400):
        utilities = env.unwrapped.asked.utilities[0]
        correct.append(
            np.corrcoef(observation["candidates"][:, 0], utilities)[0, 1]
            if observation["candidates"][:, 0].any()
            else 0
        )
        spread.append(observation["candidates"][:, 1].mean())
        observation, *_ = env.step(rng.choice(8, 2, replace=False))
    assert np.mean(correct[-50:]) > 0.9
    assert spread[-1] < 0.3 * spread[0]


def test_wrappers_refuse_the_wrong_inside():
    flat = FlattenDuel(gym.make("SyntheticDuel-v0"))
    for wrapper in (FlattenDuel, DropText, Belief):
        with pytest.raises(SpecificationError, match="Dict observation"):
            wrapper(flat)
