"""An agent composed of a reward model and a rule: what passes between them, what is counted and what is recommended."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_agents import contexts_of, make, play

from duelgym.agent import Contexts
from duelgym.errors import SpecificationError
from duelgym_agents.composed import RewardModelAgent
from duelgym_agents.exploration import Boltzmann, Infomax, Passive, Selection
from duelgym_agents.registry import make_agent


class FixedModel:
    """A reward model that says what it is told to, and notes what it was asked."""

    def __init__(self, utilities):
        self.utilities = np.asarray(utilities, np.float32)
        self.calls = []

    def update(self, contexts, pairs, preferences):
        self.calls.append("update")

    def sample_utilities(self, contexts, n_samples, rng):
        self.calls.append(f"sample {n_samples}")
        return np.repeat(self.utilities[None], n_samples, axis=0)

    def mean(self, contexts):
        self.calls.append("mean")
        return self.utilities


def test_rules_get_what_they_read_and_nothing_else_is_computed():
    contexts = contexts_of(np.random.default_rng(0))
    for rule, expected in [(Passive(), []), (Boltzmann(), ["mean"]), (Infomax(), ["sample 4"])]:
        model = FixedModel(np.zeros((5, 6)))
        RewardModelAgent(model, rule, n_samples=4, rng=np.random.default_rng(0)).select_pairs(contexts)
        assert model.calls == expected


def test_passive_asks_the_same_pairs_whatever_the_reward_model():
    point, ensemble = make("ee2024-passive", seed=5), make("passive-ensemble", seed=5)
    assert np.array_equal(play(point, np.random.default_rng(0), 10), play(ensemble, np.random.default_rng(0), 10))


def test_recommends_the_highest_mean_and_the_first_among_equals():
    model = FixedModel([[0, 3, 1, 3], [2, 2, 2, 2], [0, 0, 0, 1]])
    agent = RewardModelAgent(model, Passive(), n_samples=1, rng=np.random.default_rng(0))
    assert agent.recommend(contexts_of(np.random.default_rng(0), 4, 3)).tolist() == [1, 0, 3]


def test_counters_by_hand():
    class Rule(Passive):
        def __call__(self, utilities, rng):
            return Selection(np.zeros((utilities.shape[1], 2), np.int64), retries=3, fallbacks=1)

    agent = RewardModelAgent(FixedModel(np.zeros((3, 4))), Rule(), n_samples=1, rng=np.random.default_rng(0))
    contexts = contexts_of(np.random.default_rng(0), 4, 3)
    agent.select_pairs(contexts)
    agent.observe(contexts, np.array([[0, 1], [2, 2], [0, 1]]), np.array([0, 1, 2], np.int8))
    # The first prompt again, its candidates in another order: (3, 2) are the candidates that were at (0, 1).
    turned = Contexts(contexts.prompts, contexts.candidates[:, ::-1])
    agent.observe(turned, np.array([[2, 3], [1, 1], [3, 1]]), np.array([0, 1, 1], np.int8))
    assert agent.counters() == {
        "retries": 3,
        "fallbacks": 1,
        "self_duels": 2,
        "repeated_pairs": 1,
        "unanswered": 1,
    }


def test_ties_are_answers_and_another_prompt_makes_another_question():
    agent = RewardModelAgent(FixedModel(np.zeros((3, 4))), Passive(), n_samples=1, rng=np.random.default_rng(0))
    contexts = contexts_of(np.random.default_rng(0), 4, 3)
    agent.observe(contexts, np.array([[0, 1]] * 3), np.array([3, 3, 2], np.int8))
    elsewhere = Contexts(contexts.prompts + np.float32(1), contexts.candidates)  # as where answers are short
    agent.observe(elsewhere, np.array([[0, 1]] * 3), np.array([3, 0, 1], np.int8))
    counters = agent.counters()
    assert (counters["unanswered"], counters["repeated_pairs"]) == (1, 0)


def test_a_diverged_model_is_reported():
    agent = RewardModelAgent(
        FixedModel(np.full((5, 6), np.nan)), Boltzmann(), n_samples=1, rng=np.random.default_rng(0)
    )
    with pytest.raises(SpecificationError, match="not finite"):
        agent.select_pairs(contexts_of(np.random.default_rng(0)))


def test_ensemble_learns_a_linear_utility_from_random_pairs():
    """Best of 8 by the learned mean against a uniform candidate: 0.5 at the start, 0.75 or more after 1 280 labels."""
    rng = np.random.default_rng(0)
    direction = np.array([2.0, -1.0, 1.0, 0.5, 0, 0, 0, 0])

    def draw(batch):
        candidates = rng.standard_normal((batch, 8, 8))
        contexts = Contexts(
            (0.1 * rng.standard_normal((batch, 8))).astype(np.float32), (0.1 * candidates).astype(np.float32)
        )
        return contexts, candidates @ direction / np.sqrt(np.square(direction).sum())

    def win_rate(agent):
        chosen = assessed[1][np.arange(200), agent.recommend(assessed[0])]
        return float((1 / (1 + np.exp(assessed[1] - chosen[:, None]))).mean())

    assessed = draw(200)
    best = float((1 / (1 + np.exp(assessed[1] - assessed[1].max(axis=1, keepdims=True)))).mean())
    sizes = {"prompt_dim": 8, "candidate_dim": 8, "n_candidates": 8, "batch_size": 32, "budget": 1280}
    agent = make_agent("passive-ensemble", **sizes, seed=0)
    start = win_rate(agent)
    for _ in range(40):
        contexts, utilities = draw(32)
        pairs = agent.select_pairs(contexts)
        gap = np.take_along_axis(utilities, pairs, axis=1) @ [1, -1]
        agent.observe(contexts, pairs, (rng.random(32) > 1 / (1 + np.exp(-gap))).astype(np.int8))
    final = win_rate(agent)
    assert final > 0.9 * (best - 0.5) + 0.5
    assert final > start + 0.15


def test_pessimism_recommends_what_is_surely_good_rather_than_perhaps_best():
    contexts = contexts_of(np.random.default_rng(0), n_candidates=3)

    class Torn(FixedModel):
        def sample_utilities(self, contexts, n_samples, rng):
            apart = np.array([0, 4, 0], np.float32)
            return np.stack([self.utilities + apart, self.utilities - apart])

    # Less the mean over candidates the samples are (-4, 11, -7) / 3 and (4, -5, 1) / 3: deviations 4/3, 8/3, 4/3 times
    # the root of 2. The means 1, 2, 0 change places where a pessimism of x makes 1 - 4/3 r x = 2 - 8/3 r x: at 0.53.
    model = Torn(np.tile([1.0, 2.0, 0.0], (5, 1)))
    for pessimism, best in [(0.0, 1), (0.52, 1), (0.54, 0), (1.0, 0)]:
        agent = RewardModelAgent(model, Infomax(), n_samples=2, rng=np.random.default_rng(0), pessimism=pessimism)
        assert (agent.recommend(contexts) == best).all()
    with pytest.raises(SpecificationError, match="pessimism is -1"):
        make("ee2024-infomax", pessimism=-1.0)
    with pytest.raises(SpecificationError, match=r"pessimism is 1\.0, and MLPEnsemble would be sampled 1 time"):
        make("ee2024-passive", pessimism=1.0)


@pytest.mark.parametrize(("pessimism", "asked"), [(0.0, ["mean"]), (0.5, ["mean", "sample 7"])])
def test_pessimism_looks_at_as_many_samples_as_the_agent_has(pessimism, asked):
    model = FixedModel(np.zeros((5, 6)))
    agent = RewardModelAgent(model, Infomax(), n_samples=7, rng=np.random.default_rng(0), pessimism=pessimism)
    agent.recommend(contexts_of(np.random.default_rng(0)))
    assert model.calls == asked


def test_what_is_recommended_depends_on_nothing_but_what_was_learnt():
    contexts = contexts_of(np.random.default_rng(0), batch=50)
    agent = make("double_thompson+bayesian_linear", pessimism=1.0)
    before = agent.recommend(contexts)
    agent.select_pairs(contexts)  # which draws
    assert np.array_equal(agent.recommend(contexts), before)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ee2024-double_thompson", {}),
        ("ee2024-infomax", {"learning_rate": 0.5}),
        ("ee2024-infomax", {"pessimism": 1.0}),
        ("infomax_logit+ensemble", {}),
    ],
)
def test_the_state_of_another_agent_is_refused(name, settings):
    state = make("ee2024-infomax").state_dict()
    with pytest.raises(
        SpecificationError, match=r"the saved state is of an agent with Infomax\(\), MLPEnsemble, .*; this"
    ):
        make(name, **settings).load_state_dict(state)
    make("ee2024-infomax", seed=9).load_state_dict(state)  # its own settings, and of any seed
