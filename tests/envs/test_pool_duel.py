"""Recorded pools as problems: one rater, or a documented population over several attributes."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import duelgym  # noqa: F401
from duelgym.envs.session import DuelSession
from duelgym.errors import SpecificationError
from duelgym.metrics.calibration import favourite_rate
from duelgym.pools import write_pool
from duelgym.simulators.attributes import AttributeRaters, Population
from duelgym.testing import make_pool
from duelgym_bench.references import rater_blind_choice

NAMES = ("true", "clean", "detail", "warmth")


def write_pool_of(path, utilities, prompt_embeddings, candidate_embeddings, **more):
    """Write a pool of utilities in four attributes, with made-up texts."""
    n_prompts, n_candidates, _ = utilities.shape
    write_pool(
        path,
        name=path.name,
        prompts=[f"prompt {k}" for k in range(n_prompts)],
        candidate_names=[f"candidate {k}" for k in range(n_candidates)],
        texts=[[f"answer {k} to {row}" for k in range(n_candidates)] for row in range(n_prompts)],
        prompt_embeddings=prompt_embeddings,
        candidate_embeddings=candidate_embeddings,
        utilities=utilities,
        attributes=NAMES,
        **more,
    )


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """A pool with four attributes and raters who combine them."""
    rng = np.random.default_rng(3)
    values = rng.standard_normal((60, 8, 4))
    path = tmp_path_factory.mktemp("pools") / "several"
    write_pool_of(
        path,
        values,
        rng.standard_normal((60, 5)),
        values @ rng.standard_normal((4, 5)),
        raters=Population(NAMES[:2], NAMES[2:], (1.0, 1.0, 1.0, 1.0), 0.6).specification(),
        utility_dtype="float16",
        embedding_storage="int8",
    )
    return path


def test_environment_on_several_attributes_passes_the_checker(several):
    check_env(gym.make("PoolDuel-v0", pool=str(several)).unwrapped)


def test_each_seed_has_its_own_rater_who_is_equally_sure(several):
    problem = gym.make("PoolDuel-v0", pool=str(several)).unwrapped.problem
    assert isinstance(problem.raters, AttributeRaters)
    raters = [problem.raters.draw(np.random.default_rng(seed)) for seed in range(6)]
    assert len({rater.weights.tastes.tobytes() for rater in raters}) == 6
    for rater in raters:
        pairs = rater.weights.utilities(problem.raters.calibration) / rater.scale
        assert favourite_rate(pairs, temperature=1.0) == pytest.approx(0.70, abs=1e-3)


def test_named_member_is_the_same_for_every_seed_and_weights_follow_their_signs(several):
    def utilities(rater, seed):
        env = gym.make("PoolDuel-v0", pool=str(several), rater=rater).unwrapped
        env.reset(seed=seed)
        return env.session.rater.utilities(env.problem.generator.every("learn"))

    assert np.array_equal(utilities(2, 0), utilities(2, 9))
    assert not np.array_equal(utilities(2, 0), utilities(3, 0))
    brief, detailed = utilities({"detail": -1.0}, 0), utilities({"detail": 1.0}, 0)
    assert np.corrcoef(brief.ravel(), detailed.ravel())[0, 1] < -0.9


def test_subset_of_candidates_keeps_their_utilities(several):
    whole = gym.make("PoolDuel-v0", pool=str(several), rater=1).unwrapped
    part = gym.make("PoolDuel-v0", pool=str(several), rater=1, n_candidates=3).unwrapped
    for env in (whole, part):
        env.reset(seed=4)
    every = whole.problem.generator.every("learn")
    some = every.only(np.tile([5, 0, 2], (len(every), 1)))
    assert np.array_equal(part.session.rater.utilities(some), whole.session.rater.utilities(every)[:, [5, 0, 2]])


@pytest.mark.parametrize(
    "rater",
    [
        -1,
        True,
        {"detail": "much"},
        {"true": -1.0},
        {"unknown": 1.0},
        {},
        {"true": 0.0},
        {"true": 1e300},
        {"detail": -1e-9},
    ],
)
def test_bad_raters_are_refused_in_one_line(several, rater):
    with pytest.raises(SpecificationError, match="rater") as caught:
        gym.make("PoolDuel-v0", pool=str(several), rater=rater)
    assert "\n" not in str(caught.value)


def test_opposed_members_differ_in_the_sign_of_every_taste_alone():
    population = Population(NAMES[:2], NAMES[2:], (1.0, 1.0, 1.0, 1.0), 0.6)
    one, other = population.opposed(np.random.default_rng(5))
    assert np.array_equal(one.tastes, -other.tastes) and np.abs(one.tastes).min() >= 0.5
    assert np.array_equal(one.liked, other.liked)
    assert np.array_equal(one.interactions, other.interactions)
    alone = population.weights(np.random.default_rng(5))
    assert np.array_equal(alone.tastes, one.tastes)  # half of them are what single draws give


@pytest.mark.parametrize(
    "simulator", [None, [{"name": "bradley_terry", "temperature": 1.0}, {"name": "mixture", "raters": 3}]]
)
def test_rater_blind_policy_picks_what_all_like(tmp_path, simulator):
    """Tastes cancel over opposed raters, so what is best in what all like is picked, whoever answers."""
    rng = np.random.default_rng(6)
    values = rng.standard_normal((40, 6, 4))
    values[:, :, 0] *= 4.0
    path = tmp_path / "liked"
    write_pool_of(
        path,
        values,
        rng.standard_normal((40, 3)),
        rng.standard_normal((40, 6, 3)),
        raters=Population(NAMES[:1], NAMES[1:], (1.0, 1.0, 1.0, 1.0), 2.0).specification(),
    )
    problem = gym.make("PoolDuel-v0", pool=str(path), simulator=simulator).unwrapped.problem
    held_out = DuelSession.seeded(problem, budget=1, seed=0).assessment()
    blind = rater_blind_choice(held_out, problem.raters, 0)
    liked = problem.raters.values(held_out.questions)[:, :, 0]
    picked = np.take_along_axis(liked, blind[:, None], axis=1)[:, 0]
    assert (liked.max(axis=1) - picked).mean() < 0.35 * (liked.max(axis=1) - liked.mean(axis=1)).mean()


def test_pool_with_one_utility_is_the_problem_of_its_own_rater(tmp_path):
    make_pool(tmp_path / "one")
    recorded = gym.make("PoolDuel-v0", pool=str(tmp_path / "one"))
    imported = gym.make("AlpacaEvalDuel-v0", pool=str(tmp_path / "one"))
    first, second = recorded.reset(seed=1)[0], imported.reset(seed=1)[0]
    assert all(np.array_equal(first[key], second[key]) for key in first)


def test_pool_is_required():
    with pytest.raises(SpecificationError, match="pool=DIR"):
        gym.make("PoolDuel-v0")
