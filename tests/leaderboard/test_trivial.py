"""Trivial agents ask what they say, learn like passive, and go on where they stopped."""

import copy

import numpy as np
import pytest

from duelgym.agent import Contexts
from duelgym.testing import check_agent
from duelgym_agents.registry import make_agent
from duelgym_bench.leaderboard import trivial
from duelgym_bench.leaderboard.ranked_runs import TRIVIAL

SIZES = {"prompt_dim": 4, "candidate_dim": 4, "n_candidates": 5, "batch_size": 3, "budget": 30, "seed": 1}
TEXTS = (("aaa", "", "aaaa", "aa", "a"), ("b", "bb", "bb", "bb", ""), ("é", "c", "cccc", "ccc", "cc"))
FACTORIES = [trivial.uniform_pairs, trivial.first_two, trivial.same_pair, trivial.longest_two]
PREFERENCES = np.array([0, 1, 3], dtype=np.int8)


def contexts(seed, n_candidates=5):
    rng = np.random.default_rng(seed)
    prompts = rng.uniform(-1, 1, (3, 4)).astype(np.float32)
    candidates = rng.uniform(-1, 1, (3, n_candidates, 4)).astype(np.float32)
    return Contexts(prompts, candidates, ("x", "y", "z"), tuple(texts[:n_candidates] for texts in TEXTS))


@pytest.mark.parametrize(
    ("factory", "pairs"),
    [
        (trivial.first_two, [[0, 1]] * 3),
        (trivial.same_pair, [[4, 3]] * 3),
        (trivial.longest_two, [[2, 0], [1, 2], [2, 3]]),
    ],
)
def test_what_is_asked(factory, pairs):
    agent = factory(**SIZES)
    for seed in range(3):
        shown = contexts(seed)
        asked = agent.select_pairs(shown)
        assert asked.dtype == np.int64 and asked.tolist() == pairs
        agent.observe(shown, asked, PREFERENCES)
    assert agent.select_pairs(contexts(9, n_candidates=1)).tolist() == [[0, 0]] * 3


def test_uniform_pairs_are_all_pairs_equally_often():
    agent = trivial.uniform_pairs(**SIZES)
    asked = np.concatenate([agent.select_pairs(contexts(seed)) for seed in range(1000)])
    counts = np.unique(asked, axis=0, return_counts=True)[1]
    assert len(counts) == 20 and (asked[:, 0] != asked[:, 1]).all()
    assert ((counts - 150) ** 2 / 150).sum() < 43.8  # chi-square, 19 degrees of freedom, one in a thousand


@pytest.mark.parametrize("factory", FACTORIES)
def test_the_contract_of_agents(factory):
    check_agent(factory)
    assert bool(getattr(factory(**SIZES), "needs_texts", False)) == (factory is trivial.longest_two)


@pytest.mark.parametrize("factory", FACTORIES)
def test_all_have_the_same_learner(factory):
    agent, plain = factory(**SIZES), make_agent("passive+bayesian_linear", **SIZES)
    for seed in range(4):
        shown = contexts(seed)
        pairs = agent.select_pairs(shown)
        agent.observe(shown, pairs, PREFERENCES)
        plain.observe(shown, pairs, PREFERENCES)
        assert np.array_equal(agent.recommend(contexts(9)), plain.recommend(contexts(9)))
    assert agent.counters() == plain.counters()


@pytest.mark.parametrize("factory", FACTORIES)
def test_saved_and_copied_agents_go_on_alike(factory):
    agent = factory(**SIZES)
    agent.observe(contexts(0), agent.select_pairs(contexts(0)), PREFERENCES)
    restored = factory(**SIZES | {"seed": 2})
    restored.load_state_dict({name: array.copy() for name, array in agent.state_dict().items()})
    for other in (restored, copy.deepcopy(agent)):
        twin = copy.deepcopy(agent)
        for seed in range(1, 4):
            shown = contexts(seed)
            pairs = twin.select_pairs(shown)
            assert np.array_equal(pairs, other.select_pairs(shown))
            twin.observe(shown, pairs, PREFERENCES)
            other.observe(shown, pairs, PREFERENCES)
        assert np.array_equal(twin.recommend(contexts(9)), other.recommend(contexts(9)))


def test_names_are_factories():
    assert [make_agent(name, **SIZES).select_pairs(contexts(0)).shape for name in TRIVIAL.values()] == [(3, 2)] * 4


def test_an_unknown_setting_is_refused():
    with pytest.raises(ValueError, match="has no setting clever"):
        trivial.first_two(**SIZES, clever=True)
