"""Rules on features and posteriors inside agents, the oracle outside of them."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from duelgym.agent import Contexts
from duelgym.errors import SpecificationError
from duelgym_agents.composed import RewardModelAgent
from duelgym_agents.exploration import (
    BatchBALD,
    CoLSTIM,
    DeterminantGreedy,
    DOptimal,
    FeelGoodThompson,
    Infomax,
    KCentre,
    Oracle,
    Passive,
    StagewiseDuel,
    VarianceAware,
)
from duelgym_agents.exploration.posterior import GivesFeatures, GivesPosterior, LinearPosterior
from duelgym_agents.registry import AGENTS
from duelgym_agents.reward_models import MLPEnsemble, NetworkSettings

RULES = [
    BatchBALD(),
    CoLSTIM(),
    DeterminantGreedy(),
    DeterminantGreedy(fisher=True),
    DOptimal(),
    DOptimal(fisher=True),
    FeelGoodThompson(),
    KCentre(),
    StagewiseDuel(),
    VarianceAware(),
]


class Linear:
    """A reward model in the plainest form: Bayesian logistic regression on candidates, a Newton step a label."""

    def __init__(self, dim, variance=4.0):
        self._mean = np.zeros(dim)
        self._covariance = variance * np.eye(dim)

    def features(self, contexts):
        return contexts.candidates

    def posterior(self, contexts):
        return LinearPosterior(
            self.features(contexts), self._mean.astype(np.float32), self._covariance.astype(np.float32)
        )

    def mean(self, contexts):
        return self.posterior(contexts).utilities()

    def sample_utilities(self, contexts, n_samples, rng):
        weights = rng.multivariate_normal(self._mean, self._covariance, size=n_samples)
        return np.einsum("bnd,sd->sbn", self.features(contexts), weights).astype(np.float32)

    def update(self, contexts, pairs, preferences):
        rows = np.arange(len(pairs))
        differences = contexts.candidates[rows, pairs[:, 0]] - contexts.candidates[rows, pairs[:, 1]]
        for z, preference in zip(differences.astype(float), preferences, strict=True):
            p = 1 / (1 + np.exp(-z @ self._mean))
            shared = self._covariance @ z
            self._covariance -= np.outer(shared, shared) * p * (1 - p) / (1 + p * (1 - p) * (z @ shared))
            self._mean += self._covariance @ z * ((preference == 0) - p)

    def state_dict(self):
        return {"mean": self._mean.copy(), "covariance": self._covariance.copy()}

    def load_state_dict(self, state):
        self._mean, self._covariance = state["mean"].copy(), state["covariance"].copy()


def contexts_of(rng, batch, n_candidates, dim):
    return Contexts(np.zeros((batch, 1), np.float32), rng.uniform(-1, 1, (batch, n_candidates, dim)).astype(np.float32))


def agent_of(rule, dim=4, seed=0):
    return RewardModelAgent(Linear(dim), rule, n_samples=20, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("rule", [Passive(), DOptimal(), KCentre(), Infomax()])
def test_a_single_candidate_leaves_no_choice(rule):
    agent = agent_of(rule)
    assert agent.select_pairs(contexts_of(np.random.default_rng(0), 3, 1, 4)).tolist() == [[0, 0]] * 3
    assert agent.counters()["fallbacks"] == 0


def played(agent, weights, steps, seed=0):
    """Let the agent ask about prompts of 8 candidates, 8 at a time, a rater of linear utility."""
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        contexts = contexts_of(rng, 8, 8, len(weights))
        pairs = agent.select_pairs(contexts)
        shown = np.take_along_axis(contexts.candidates @ weights, pairs, axis=1)
        lost = rng.random(8) >= 1 / (1 + np.exp(shown[:, 1] - shown[:, 0]))
        agent.observe(contexts, pairs, lost.astype(np.int8))
    return agent


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_every_rule_learns_with_a_linear_model(rule):
    weights = np.array([2.0, -1.0, 1.0, 0.5])
    agent = played(agent_of(rule), weights, steps=25)
    contexts = contexts_of(np.random.default_rng(99), 200, 8, 4)
    utilities = contexts.candidates @ weights
    shares = (utilities[np.arange(200), agent.recommend(contexts)] - utilities.mean(axis=1)) / (
        utilities.max(axis=1) - utilities.mean(axis=1)
    )
    # 200 labels for four weights. A random choice has a share of 0 of the way from the mean to the best.
    assert shares.mean() > 0.85


@pytest.mark.parametrize("rule", [CoLSTIM(), DOptimal(), KCentre()], ids=repr)
def test_forks_and_restored_agents_go_on_alike(rule):
    weights = np.array([2.0, -1.0, 1.0, 0.5])
    agent = played(agent_of(rule), weights, steps=3)
    fork = copy.deepcopy(agent)
    restored = agent_of(rule, seed=1)
    restored.load_state_dict(agent.state_dict())
    contexts = contexts_of(np.random.default_rng(5), 8, 8, 4)
    expected = agent.select_pairs(contexts)
    for other in (fork, restored):
        assert np.array_equal(other.select_pairs(contexts), expected)


def test_the_agent_hands_over_what_the_rule_reads_and_counts_its_fallbacks():
    contexts = Contexts(np.zeros((3, 1), np.float32), np.ones((3, 5, 4), np.float32))  # identical candidates
    for rule in (DOptimal(), KCentre()):
        agent = agent_of(rule)
        agent.select_pairs(contexts)
        assert agent.counters()["fallbacks"] == 3


def test_the_reference_model_gives_features_and_a_posterior_and_an_ensemble_features_alone():
    ensemble = MLPEnsemble(NetworkSettings(), prompt_dim=2, candidate_dim=4, rng=np.random.default_rng(0))
    for kind in (GivesFeatures, GivesPosterior):
        assert isinstance(Linear(4), kind)
    assert isinstance(ensemble, GivesFeatures)
    assert not isinstance(ensemble, GivesPosterior)
    agent = RewardModelAgent(ensemble, Passive(), n_samples=1, rng=np.random.default_rng(0))
    assert agent.counters()["fallbacks"] == 0
    with pytest.raises(SpecificationError, match="'d_optimal' reads a covariance, which MLPEnsemble does not give"):
        RewardModelAgent(ensemble, DOptimal(), n_samples=1, rng=np.random.default_rng(0))
    with pytest.raises(SpecificationError, match="'k_centre' reads features, which object does not give"):
        RewardModelAgent(object(), KCentre(), n_samples=1, rng=np.random.default_rng(0))
    with pytest.raises(SpecificationError, match="'infomax' compares samples, and MLPEnsemble would give it 1"):
        RewardModelAgent(ensemble, Infomax(), n_samples=1, rng=np.random.default_rng(0))


def test_features_that_are_not_finite_are_refused():
    class Broken(Linear):
        def features(self, contexts):
            return np.full_like(contexts.candidates, np.nan)

    contexts = contexts_of(np.random.default_rng(0), 2, 3, 4)
    for rule in (DOptimal(), KCentre()):
        agent = RewardModelAgent(Broken(4), rule, n_samples=1, rng=np.random.default_rng(0))
        with pytest.raises(SpecificationError, match="features.* finite"):
            agent.select_pairs(contexts)


@pytest.mark.parametrize(
    ("features", "mean", "covariance"),
    [((2, 3), 3, (3, 3)), ((3,), 3, (3, 3)), ((1, 2, 3), 2, (3, 3)), ((1, 2, 3), 3, (3, 2))],
)
def test_a_posterior_of_shapes_that_do_not_fit_is_refused(features, mean, covariance):
    with pytest.raises(SpecificationError, match=r"it takes \(batch, n_candidates, d\), \(d,\) and \(d, d\)"):
        LinearPosterior(np.zeros(features, np.float32), np.zeros(mean, np.float32), np.zeros(covariance, np.float32))


def test_mean_utilities_by_hand():
    features = np.array([[[1, 0], [2, 3]]], np.float32)
    posterior = LinearPosterior(features, np.array([0.5, -1], np.float32), np.eye(2, dtype=np.float32))
    assert posterior.utilities().tolist() == [[0.5, -2]]


# --- the oracle -----------------------------------------------------------------------------------------------------


def test_the_oracle_compares_the_two_best_in_order():
    utilities = np.array([[[0.0, 3.0, 1.0, 2.0], [5.0, -1.0, 4.0, 4.5]]])
    assert Oracle()(utilities, np.random.default_rng(0)).pairs.tolist() == [[1, 3], [0, 3]]
    assert Oracle()(utilities[:, :, :2], np.random.default_rng(0)).pairs.tolist() == [[1, 0], [0, 1]]


def test_the_oracle_decides_ties_at_random():
    pairs = Oracle()(np.tile([0.0, 1.0, 1.0, -1.0], (1, 4000, 1)), np.random.default_rng(0)).pairs
    assert set(map(tuple, pairs.tolist())) == {(1, 2), (2, 1)}
    assert abs((pairs[:, 0] == 1).sum() - 2000) < 4 * np.sqrt(1000)


@pytest.mark.parametrize("seed", range(5))
def test_permuting_candidates_permutes_the_oracle(seed):
    rng = np.random.default_rng(seed)
    utilities, order = rng.standard_normal((1, 4, 6)), rng.permutation(6)
    plain = Oracle()(utilities, rng).pairs
    assert np.array_equal(order[Oracle()(utilities[:, :, order], rng).pairs], plain)


def test_no_agent_can_be_made_of_the_oracle():
    with pytest.raises(SpecificationError, match="'oracle' reads 'truth', which no agent has"):
        agent_of(Oracle())
    assert all(spec.rule.reads != "truth" for spec in AGENTS.values())
    with pytest.raises(SpecificationError, match="given 2 utilities"):
        Oracle()(np.zeros((2, 1, 3)), np.random.default_rng(0))
