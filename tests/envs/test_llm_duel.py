"""`LLMDuel-v0` is what its docstring says, and the models that come with it are those that made it."""

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence

from duelgym import assets
from duelgym.envs.problems import build_problem, recorded
from duelgym.errors import PoolError, SpecificationError
from duelgym.generators.specification import encoder_from_specification, generator_from_specification
from duelgym.metrics.calibration import favourite_rate, tied_share, win_rates
from duelgym.pools import CandidatePool
from duelgym.simulators.attributes import member
from duelgym.simulators.reward_model import RewardModel
from duelgym.world.corpus import held_out
from duelgym.world.reward_model import pairwise_accuracy
from duelgym.world.rubric import ATTRIBUTES, mark


@pytest.fixture(scope="module")
def pool():
    return CandidatePool.open(assets.POOL)


@pytest.fixture(scope="module")
def raters():
    return build_problem("llm_duel", {}).raters


@pytest.mark.parametrize("text", [False, True])
def test_gymnasium_checker_finds_nothing(text):
    env = gym.make("LLMDuel-v0", text=text)
    check_env(env.unwrapped)  # warnings are errors here
    assert data_equivalence(env.reset(seed=5), gym.make(env.spec).reset(seed=5))


def test_a_thousand_steps_need_no_torch():
    code = """
import sys, duelgym, gymnasium as gym
env = gym.make("LLMDuel-v0")
env.reset(seed=0)
env.action_space.seed(0)
answers = [env.step(env.action_space.sample())[0]["preference"] for _ in range(1000)]
assert set(answers) == {0, 1}, set(answers)
heavy = {"torch", "transformers", "tokenizers", "safetensors", "tqdm"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_sizes(pool):
    assert pool.n_candidates == 100 and pool.candidate_dim == pool.prompt_dim == 64
    assert pool.attributes == ATTRIBUTES and pool.n_folds == 5
    assert min(len(pool.split("learn", fold)) for fold in range(5)) >= 1000
    assert min(len(pool.split("assess", fold)) for fold in range(5)) >= 250
    shipped = sum(
        file.stat().st_size for file in assets.POOL.parent.rglob("*") if file.is_file() and file.suffix != ".pyc"
    )
    assert shipped <= 30e6


def test_every_file_is_what_the_manifest_says(pool):
    pool.verify()
    assert pool.sha256 == recorded.LLM_DUEL_SHA256


def test_another_pool_in_its_place_is_refused(monkeypatch):
    monkeypatch.setattr(recorded, "LLM_DUEL_SHA256", "0" * 64)
    with pytest.raises(PoolError, match="install duelgym again"):
        gym.make("LLMDuel-v0")


def test_no_prompt_was_trained_on(pool):
    prompts = [pool.texts(row).prompt for row in range(pool.n_prompts)]
    assert all(map(held_out, prompts))
    assert prompts == assets.PROMPTS.read_text("utf-8").splitlines()


def test_every_rater_is_equally_sure_and_ties_are_few(pool, raters):
    values = raters.population.standardised(pool.utilities(np.arange(pool.n_prompts)), pool.attributes)
    for number in range(8):
        one = raters.scaled(raters.population.weights(member(number)))
        utilities = one.weights.utilities(values) / one.scale
        assert favourite_rate(utilities, temperature=1.0) == pytest.approx(0.70, abs=0.01)
        assert tied_share(utilities) < 0.05


def test_raters_differ_enough_that_knowing_none_is_worth_little(pool, raters):
    rows = pool.split("assess", 0)
    values = raters.population.standardised(pool.utilities(rows), pool.attributes)

    def wins(number):
        one = raters.scaled(raters.population.weights(member(number)))
        return win_rates(one.weights.utilities(values) / one.scale, temperature=1.0)

    blind = np.mean([wins(1000 + number) for number in range(24)], axis=0).argmax(axis=1)
    shares = [
        (w[np.arange(len(rows)), blind].mean() - 0.5) / (w.max(axis=1).mean() - 0.5) for w in map(wins, range(12))
    ]
    assert np.mean(shares) <= 0.35


def test_seeds_differ_in_rater_and_a_named_rater_is_fixed():
    def utilities(seed, **arguments):
        env = gym.make("LLMDuel-v0", **arguments).unwrapped
        env.reset(seed=seed)
        return env.session.rater.utilities(env.problem.generator.every("tune"))

    assert not np.array_equal(utilities(0), utilities(1))
    np.testing.assert_array_equal(utilities(0, rater=3), utilities(1, rater=3))
    likes, dislikes = (utilities(0, rater={"detail": weight}) for weight in (1.0, -1.0))
    assert np.corrcoef(likes.ravel(), dislikes.ravel())[0, 1] < -0.9
    with pytest.raises(SpecificationError, match="give weights for helpful, true"):
        gym.make("LLMDuel-v0", rater={"truth": 1.0})


def test_the_embedded_models_made_it(pool):
    """Scores and features of recorded answers, made anew; the pool keeps them in float16 and int8."""
    rows = [0, 700]
    texts = [pool.texts(row) for row in rows]
    prompts, answers = [t.prompt for t in texts], [t.candidates[:6] for t in texts]
    scores = RewardModel("embedded").score(prompts, answers)
    np.testing.assert_allclose(scores, pool.utilities(np.array(rows))[:, :6], atol=0.02, rtol=2e-3)
    encoder = encoder_from_specification(
        {"model": "embedded", "pooling": assets.GENERATOR["pooling"], "projection": "embedded"}
    )
    _, features, _ = encoder.embed(prompts, answers)
    kept = pool.candidate_embeddings(np.array(rows), np.tile(np.arange(6), (2, 1)))
    # Spaces and other rare spellings may be split into other tokens when a text is read than when it was written.
    assert np.quantile(np.abs(features - kept), 0.95) < 0.01
    now = generator_from_specification(assets.GENERATOR).specification()
    assert {
        key: pool.manifest["generator"][key]
        for key in ("model", "sha256", "projection", "temperature", "top_p", "pooling")
    } == {key: now[key] for key in ("model", "sha256", "projection", "temperature", "top_p", "pooling")}


def test_live_answers_come_in_the_same_spaces():
    live = gym.make("LLMDuelLive-v0", n_candidates=100, text=True)
    assert live.observation_space == gym.make("LLMDuel-v0", text=True).observation_space


def test_the_reward_model_has_learnt_the_rubric(pool):
    """Pairs of recorded answers to prompts that it never saw; chance would agree on half of them."""
    rows = np.arange(0, pool.n_prompts, 25)
    texts = [pool.texts(int(row)) for row in rows]
    marks = [[mark(t.prompt, answer).attributes for answer in t.candidates[:12]] for t in texts]
    values = np.array([[[one[name] for name in ATTRIBUTES] for one in several] for several in marks])
    agreed = pairwise_accuracy(pool.utilities(rows)[:, :12], values)
    assert min(agreed[name] for name in ATTRIBUTES[:4]) > 0.7 and min(agreed[name] for name in ATTRIBUTES[4:]) > 0.9, (
        agreed
    )


def test_the_rubric_reads_what_the_language_model_writes(pool):
    """Most answers are readable English about what was asked, and answers to one prompt differ."""
    rows = range(0, pool.n_prompts, 25)
    read = [[mark(t.prompt, answer).met for answer in t.candidates[:8]] for t in map(pool.texts, rows)]
    for criterion, least in {"readable": 0.8, "on_topic": 0.7, "complete": 0.7}.items():
        assert np.mean([[met[criterion] for met in answers] for answers in read]) > least, criterion
    assert np.mean([len(set(pool.texts(row).candidates)) for row in rows]) > 60
