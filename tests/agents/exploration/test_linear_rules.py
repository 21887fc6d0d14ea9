"""Rules that read a linear posterior, one prompt at a time: D-optimal, CoLSTIM, Sta'D, VACDB. And what all of them share."""

from __future__ import annotations

import math
import tracemalloc
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duelgym.errors import SpecificationError
from duelgym_agents.exploration import (
    CoLSTIM,
    DeterminantGreedy,
    DOptimal,
    KCentre,
    StagewiseDuel,
    VarianceAware,
)
from duelgym_agents.exploration.posterior import LinearPosterior

RULES = [
    DOptimal(),
    DOptimal(fisher=True),
    CoLSTIM(),
    StagewiseDuel(),
    VarianceAware(),
    DeterminantGreedy(),
    DeterminantGreedy(fisher=True),
    KCentre(),
]
IDS = [repr(rule) for rule in RULES]
EYE = np.eye(3, dtype=np.float32)


def posterior_of(batch, n_candidates, dim=5, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((dim, dim))
    return LinearPosterior(
        features=(scale * rng.standard_normal((batch, n_candidates, dim))).astype(np.float32),
        mean=rng.standard_normal(dim).astype(np.float32),
        covariance=(root @ root.T / dim).astype(np.float32),
    )


def independent(means, variances):
    """Return the posterior of one prompt whose candidates' utilities are independent: one feature each."""
    eye = np.eye(len(means), dtype=np.float32)
    return LinearPosterior(eye[None], np.array(means, np.float32), np.diag(variances).astype(np.float32))


def select(rule, posterior, seed=0):
    seen = posterior.features if rule.reads == "features" else posterior
    return rule(seen, np.random.default_rng(seed))


def with_features(posterior, features):
    return LinearPosterior(features, posterior.mean, posterior.covariance)


def difference_variances(posterior):
    z = posterior.features[:, :, None].astype(float) - posterior.features[:, None]
    return np.einsum("bijd,de,bije->bij", z, posterior.covariance.astype(float), z)


def pair_counts(rule, posterior, repeats, seed=0):
    n = posterior.features.shape[1]
    pairs = select(rule, with_features(posterior, np.repeat(posterior.features, repeats, axis=0)), seed).pairs
    return np.bincount(pairs[:, 0] * n + pairs[:, 1], minlength=n * n).reshape(n, n)


# --- every rule that reads features or a posterior ------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=IDS)
@settings(max_examples=30)
@given(
    batch=st.sampled_from([1, 2, 5, 32]),
    n_candidates=st.integers(2, 6),
    scale=st.sampled_from([0.0, 1e-6, 1.0, 1e6]),
    seed=st.integers(0, 10**6),
)
def test_pairs_are_legal_and_of_two_candidates(rule, batch, n_candidates, scale, seed):
    selection = select(rule, posterior_of(batch, n_candidates, seed=seed, scale=scale), seed)
    pairs = selection.pairs
    assert pairs.shape == (batch, 2)
    assert pairs.dtype == np.int64
    assert ((pairs >= 0) & (pairs < n_candidates)).all()
    assert (pairs[:, 0] != pairs[:, 1]).all()


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_features_beyond_float32_are_refused_in_one_line(rule):
    with np.errstate(all="ignore"), pytest.raises(SpecificationError, match="scores are not numbers: the embeddings"):
        select(rule, posterior_of(4, 5, scale=1e25))


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_equal_generators_give_equal_pairs_and_nothing_handed_over_changes(rule):
    posterior = posterior_of(6, 8)
    before = [array.copy() for array in (posterior.features, posterior.mean, posterior.covariance)]
    first, second = (select(rule, posterior, 3) for _ in range(2))
    assert np.array_equal(first.pairs, second.pairs)
    assert first.fallbacks == second.fallbacks
    for array, kept in zip((posterior.features, posterior.mean, posterior.covariance), before, strict=True):
        assert np.array_equal(array, kept)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.name != "colstim"], ids=repr)
@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), order=st.permutations(range(6)))
def test_permuting_candidates_permutes_the_pairs(rule, seed, order):
    posterior = posterior_of(4, 6, seed=seed)
    plain = select(rule, posterior)
    permuted = select(rule, with_features(posterior, posterior.features[:, order]))
    if plain.fallbacks == 0:  # else drawn
        assert np.array_equal(np.sort(np.array(order)[permuted.pairs], axis=1), np.sort(plain.pairs, axis=1))


def test_permuting_candidates_permutes_the_distribution_of_colstim():
    posterior = independent([0.5, 0, -0.2, 0.1], [1, 0.5, 2, 1])
    order = np.array([2, 0, 3, 1])
    plain = pair_counts(CoLSTIM(), posterior, 20_000, seed=0)
    permuted = pair_counts(CoLSTIM(), with_features(posterior, posterior.features[:, order]), 20_000, seed=1)
    # Two counts of one distribution: their difference has variance below 2 * 20 000 * p (1 - p) <= 10 000.
    assert np.abs(permuted - plain[np.ix_(order, order)]).max() < 400
    assert np.count_nonzero(plain > 400) > 3  # it does explore


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_what_all_candidates_share_changes_nothing(rule):
    posterior = posterior_of(5, 7, seed=2)
    shifted = with_features(posterior, posterior.features + np.float32(4))
    assert np.array_equal(select(rule, posterior).pairs, select(rule, shifted).pairs)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.name not in ("colstim", "vacdb")], ids=repr)
def test_identical_candidates_fall_back_to_uniform_pairs(rule):
    posterior = with_features(posterior_of(1, 1), np.ones((6000, 4, 5), np.float32))
    if rule.name in ("k_centre", "determinant_greedy"):  # these compare prompts with each other: fewer will do
        posterior = with_features(posterior, posterior.features[:240])
    selection = select(rule, posterior)
    batch = len(posterior.features)
    assert selection.fallbacks == batch
    counts = np.zeros((4, 4))
    np.add.at(counts, tuple(selection.pairs.T), 1)
    counts = counts[np.triu_indices(4, k=1)]
    assert counts.sum() == batch
    assert ((counts - batch / 6) ** 2).sum() / (batch / 6) < 20.5  # 0.1 %, 5 degrees of freedom


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_memory_stays_below_64_mb(rule):
    posterior = posterior_of(32, 100, dim=384)
    tracemalloc.start()
    select(rule, posterior)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64e6


# --- D-optimal ------------------------------------------------------------------------------------------------------


def test_d_optimal_by_hand():
    # Variances 4, 1 and 0: differences have 5, 4 and 1, so (0, 1) is least certain.
    posterior = independent([6, 0, 0], [4, 1, 0])
    assert select(DOptimal(), posterior).pairs.tolist() == [[0, 1]]
    # sigmoid(6) = 0.9975, p (1 - p) = 0.0025: 0.012, 0.010 and, for the undecided pair, 1 / 4.
    assert select(DOptimal(fisher=True), posterior).pairs.tolist() == [[1, 2]]


def test_d_optimal_breaks_ties_uniformly():
    counts = pair_counts(DOptimal(), independent([0, 0, 0], [1, 1, 1]), 6000)[np.triu_indices(3, k=1)]
    assert ((counts - 2000) ** 2).sum() / 2000 < 13.8  # 0.1 %, 2 degrees of freedom


def test_d_optimal_equals_its_definition():
    posterior = posterior_of(4, 7, seed=9)
    variances = difference_variances(posterior)
    for b, (i, j) in enumerate(select(DOptimal(), posterior).pairs):
        assert variances[b, i, j] == pytest.approx(variances[b].max())


# --- CoLSTIM --------------------------------------------------------------------------------------------------------


class Noise:
    """Stands in for a generator: Gumbel noise as given, and of equals the first."""

    def __init__(self, noise):
        self._noise = np.array(noise, float)

    def gumbel(self, size):
        assert size == self._noise.shape
        return self._noise

    def integers(self, high):
        return np.zeros_like(high)


def test_colstim_by_hand():
    # Features -1, 0, 1 of weight -1/2 with variance 4: utilities 1/2, 0, -1/2, deviations 2, 0, 2.
    features = np.array([[[-1], [0], [1]]], np.float32)
    posterior = LinearPosterior(features, np.array([-0.5], np.float32), np.array([[4]], np.float32))
    # Noise 1, 9, -1 (the 9 is cut to 5, and has no deviation to act on): 5/2, 0, -5/2. The first candidate leads.
    noise = [[1, 9, -1]]
    # Differences from it have deviations 2 and 4: with confidence 2 the challengers are worth 0 + 4 and -1/2 + 8.
    assert CoLSTIM()(posterior, Noise(noise)).pairs.tolist() == [[0, 2]]
    assert CoLSTIM(confidence=0)(posterior, Noise(noise)).pairs.tolist() == [[0, 1]]
    # Noise 0 and 0.4: 1/2 and -1/2 + 0.8 = 0.3.
    assert CoLSTIM(confidence=0)(posterior, Noise([[0, 0, 0.4]])).pairs.tolist() == [[0, 1]]
    # Noise 0.3 and 9: 1/2 + 0.6 = 1.1 and, cut to 5, -1/2 + 10 = 9.5; cut to 1/2, -1/2 + 1 = 1/2.
    assert CoLSTIM(confidence=0)(posterior, Noise([[0.3, 0, 9]])).pairs.tolist() == [[2, 0]]
    assert CoLSTIM(confidence=0, threshold=0.5)(posterior, Noise([[0.3, 0, 9]])).pairs.tolist() == [[0, 1]]


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), confidence=st.sampled_from([0.5, 2.0, 8.0]))
def test_challengers_of_colstim_equal_their_definition(seed, confidence):
    posterior = posterior_of(8, 6, dim=4, seed=seed)
    utilities, variances = posterior.utilities(), difference_variances(posterior)
    for b, (i, j) in enumerate(select(CoLSTIM(confidence=confidence), posterior, seed).pairs):
        worth = utilities[b] + confidence * np.sqrt(variances[b, i])
        assert worth[j] == pytest.approx(np.delete(worth, i).max(), abs=1e-4)


def test_colstim_without_uncertainty_compares_the_two_best():
    posterior = posterior_of(6, 5, seed=1)
    certain = LinearPosterior(posterior.features, posterior.mean, np.zeros_like(posterior.covariance))
    best = np.argsort(-posterior.utilities(), axis=1)[:, :2]
    assert np.array_equal(select(CoLSTIM(), certain).pairs, best)


@pytest.mark.parametrize(
    "setting", [{"confidence": -1}, {"confidence": math.nan}, {"threshold": 0}, {"threshold": "1"}]
)
def test_colstim_refuses_settings_out_of_range(setting):
    with pytest.raises(SpecificationError, match=f"{next(iter(setting))} is"):
        CoLSTIM(**setting)


# --- Sta'D and VACDB ------------------------------------------------------------------------------------------------

STAGED = [StagewiseDuel, VarianceAware]


@pytest.mark.parametrize("rule", STAGED)
def test_staged_rules_ask_the_least_certain_pair_at_once(rule):
    # Variances of differences 2, 1.1 and 1.1: above the first stage's 1, so nobody is dropped, however far behind.
    selection = select(rule(), independent([0, -50, 3], [1, 1, 0.1]))
    assert selection.pairs.tolist() == [[0, 1]]
    assert selection.fallbacks == 0


@pytest.mark.parametrize("rule", STAGED)
def test_staged_rules_drop_who_trails_and_go_on(rule):
    # Variances of differences 0.6, 0.9, 0.9, all at most 1. The last trails by 3, more than 2 * 1, and is dropped. Of
    # the two left 0.6 is above 1/4, the square of the second stage's 1/2. D-optimal would ask about the last.
    posterior = independent([3, 2.5, 0], [0.3, 0.3, 0.6])
    assert select(rule(), posterior).pairs.tolist() == [[0, 1]]
    assert select(rule(confidence=4), posterior).pairs.tolist() != [[0, 1]]  # 0 is within 4 of 3


@pytest.mark.parametrize("rule", STAGED)
def test_the_two_best_always_survive(rule):
    selection = select(rule(), independent([10, -5, 0, -1], [0.2, 0.4, 0.2, 0.3]))
    assert selection.pairs.tolist() == [[0, 2]]


def test_after_the_last_stage_stad_draws_and_vacdb_takes_the_most_promising():
    # All differences have variance at most 0.41, so one stage settles them, and all are within 2 of the best.
    posterior = independent([1, 0.9, 0.8], [0.01, 0.01, 0.4])
    counts = pair_counts(StagewiseDuel(n_stages=1), posterior, 6000)[np.triu_indices(3, k=1)]
    assert ((counts - 2000) ** 2).sum() / 2000 < 13.8  # 0.1 %, 2 degrees of freedom
    assert select(StagewiseDuel(n_stages=1), posterior).fallbacks == 1
    # 1.9 + 2 sqrt(0.02) = 2.18, 1.8 + 2 sqrt(0.41) = 3.08 and 1.7 + 2 sqrt(0.41) = 2.98.
    selection = select(VarianceAware(n_stages=1), posterior)
    assert selection.pairs.tolist() == [[0, 2]]
    assert selection.fallbacks == 0


def test_stages_halve_from_the_first_width():
    # One difference, deviation sqrt(0.02) = 0.141: above 1/8, the fourth stage of 1, 1/2, 1/4, 1/8.
    posterior = independent([0, 0], [0.01, 0.01])
    assert [select(StagewiseDuel(n_stages=n), posterior).fallbacks for n in (3, 4)] == [1, 0]
    assert [select(StagewiseDuel(n_stages=2, first_width=w), posterior).fallbacks for w in (0.3, 0.28)] == [1, 0]


def answers_of_stages(rule, utilities, variances):
    """Return the pairs that the rule may ask about one prompt, stage by stage."""
    survivors = list(range(len(utilities)))
    for stage in range(rule.n_stages):
        width = rule.first_width / 2**stage
        least_certain = max(combinations(survivors, 2), key=variances.__getitem__)
        if variances[least_certain] > width**2:
            return [least_certain]
        best_first = sorted(survivors, key=lambda i: -utilities[i])
        near = [i for i in survivors if utilities[i] >= utilities[best_first[0]] - rule.confidence * width]
        survivors = near if len(near) > 1 else sorted(best_first[:2])
    if rule.name == "stad":
        return list(combinations(survivors, 2))
    promise = utilities[:, None] + utilities + rule.confidence * np.sqrt(variances)
    return [max(combinations(survivors, 2), key=promise.__getitem__)]


@pytest.mark.parametrize("kind", STAGED)
@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    first_width=st.sampled_from([0.5, 1.0, 4.0]),
    confidence=st.sampled_from([0.5, 2.0]),
    n_stages=st.integers(1, 4),
)
def test_staged_rules_equal_their_definition(kind, seed, first_width, confidence, n_stages):
    rule = kind(first_width=first_width, confidence=confidence, n_stages=n_stages)
    posterior = posterior_of(4, 5, dim=3, seed=seed, scale=0.5)
    variances = difference_variances(posterior)
    for b, pair in enumerate(select(rule, posterior, seed).pairs):
        assert tuple(pair) in answers_of_stages(rule, posterior.utilities()[b], variances[b])


@pytest.mark.parametrize("rule", STAGED)
@pytest.mark.parametrize("setting", [{"confidence": 0}, {"first_width": -1}, {"n_stages": 0}, {"n_stages": 2.0}])
def test_staged_rules_refuse_settings_out_of_range(rule, setting):
    with pytest.raises(SpecificationError, match=f"{next(iter(setting))} is"):
        rule(**setting)


@pytest.mark.parametrize("rule", [DOptimal, DeterminantGreedy])
def test_fisher_is_true_or_false(rule):
    with pytest.raises(SpecificationError, match="fisher is 1"):
        rule(fisher=1)
