"""What holds for every rule that reads sampled utilities and nothing else."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duelgym.errors import SpecificationError
from duelgym_agents.exploration import (
    BALD,
    RUCB,
    BestAgainstWorst,
    DeltaQuantile,
    DeltaUCB,
    EntropyOfMean,
    Greedy,
    InfomaxLogit,
    InfomaxWidth,
    InformationDirected,
    MarginalThompson,
    MaxInP,
    MaxMinLCB,
    ParticlesWithoutReplacement,
    ReverseDoubleThompson,
    ThompsonMaxVariance,
    ThompsonMaxWidth,
    UniformPair,
)

BY_SAMPLES = [
    InfomaxLogit(),
    InfomaxWidth(),
    BALD(),
    EntropyOfMean(),
    ParticlesWithoutReplacement(),
    ThompsonMaxVariance(),
    ThompsonMaxVariance(variance_of="logit"),
    ThompsonMaxWidth(),
    MarginalThompson(),
    ReverseDoubleThompson(),
    DeltaUCB(),
    DeltaQuantile(),
    DeltaQuantile(quantile=0.5, half_window=0.2),
    MaxMinLCB(),
    MaxInP(),
    RUCB(),
    InformationDirected(),
    InformationDirected(about="sample"),
]
RULES = [UniformPair(), Greedy(), BestAgainstWorst(), *BY_SAMPLES]
DRAWS_POSITIONS = (
    "uniform_pair",
    "particles_without_replacement",
    "thompson_max_width",
    "marginal_thompson",
    "reverse_double_thompson",
    "rucb",
)
LOWER_POSITION_FIRST = (
    "infomax_logit",
    "infomax_width",
    "bald",
    "entropy_of_mean",
    "max_in_p",
    "information_directed",
)
every_rule = pytest.mark.parametrize("rule", RULES, ids=str)


def utilities_for(rule, n_samples, batch, n_candidates, seed=0, scale=1.0):
    n_samples = 1 if rule.reads == "mean" else n_samples
    draws = np.random.default_rng(seed).standard_normal((n_samples, batch, n_candidates))
    return (scale * draws).astype(np.float32)


def copies(rule, utilities, n_samples):
    """The same utilities in every sample."""
    return np.repeat(np.array([utilities], np.float32), 1 if rule.reads == "mean" else n_samples, axis=0)


def pair_counts(rule, utilities, seed, repeats):
    """Count ordered pairs over many draws for one prompt."""
    n_candidates = utilities.shape[2]
    pairs = rule(np.repeat(utilities, repeats, axis=1), np.random.default_rng(seed)).pairs
    counts = np.bincount(pairs[:, 0] * n_candidates + pairs[:, 1], minlength=n_candidates**2)
    return counts.reshape(n_candidates, n_candidates)


@every_rule
@settings(max_examples=25)
@given(
    n_samples=st.integers(2, 5),
    batch=st.integers(1, 5),
    n_candidates=st.integers(2, 6),
    scale=st.sampled_from([0.0, 1e-6, 1.0, 1e6]),
    seed=st.integers(0, 10**6),
)
def test_pairs_are_legal_and_of_two_candidates(rule, n_samples, batch, n_candidates, scale, seed):
    utilities = utilities_for(rule, n_samples, batch, n_candidates, seed, scale)
    selection = rule(utilities, np.random.default_rng(seed))
    pairs = selection.pairs
    assert pairs.shape == (batch, 2)
    assert pairs.dtype == np.int64
    assert ((pairs >= 0) & (pairs < n_candidates)).all()
    assert 0 <= selection.fallbacks <= batch
    assert selection.retries >= 0
    assert (pairs[:, 0] != pairs[:, 1]).all()


@every_rule
def test_equal_generators_give_equal_selections_and_utilities_stay_as_they_are(rule):
    utilities = utilities_for(rule, 4, 8, 10)
    before = utilities.copy()
    first, second = (rule(utilities, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first.pairs, second.pairs)
    assert (first.retries, first.fallbacks) == (second.retries, second.fallbacks)
    assert np.array_equal(utilities, before)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.name not in DRAWS_POSITIONS], ids=str)
@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), order=st.permutations(range(6)))
def test_permuting_candidates_permutes_the_pair(rule, seed, order):
    utilities = utilities_for(rule, 4, 3, 6, seed)
    plain = rule(utilities, np.random.default_rng(0)).pairs
    permuted = np.array(order)[rule(utilities[:, :, order], np.random.default_rng(0)).pairs]
    if rule.name in LOWER_POSITION_FIRST:
        plain, permuted = np.sort(plain, axis=1), np.sort(permuted, axis=1)
    assert np.array_equal(permuted, plain)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.name in DRAWS_POSITIONS], ids=str)
def test_permuting_candidates_permutes_the_distribution_of_pairs(rule):
    utilities = utilities_for(rule, 3, 1, 4, seed=5)
    order = np.array([2, 0, 3, 1])
    plain = pair_counts(rule, utilities, 0, 20_000)
    permuted = pair_counts(rule, utilities[:, :, order], 1, 20_000)
    # Two counts of one distribution: their difference has variance below 2 * 20 000 * p (1 - p) <= 10 000.
    assert np.abs(permuted - plain[np.ix_(order, order)]).max() < 4 * math.sqrt(10_000)


@every_rule
def test_equal_candidates_are_drawn_uniformly(rule):
    counts = pair_counts(rule, copies(rule, np.zeros((1, 4)), 3), 3, 12_000)
    unordered = (counts + counts.T)[np.triu_indices(4, k=1)]
    assert unordered.sum() == 12_000
    # Six pairs: chi-square of 5 degrees of freedom, 0.1 % point.
    assert ((unordered - 2000) ** 2 / 2000).sum() < 20.5


@every_rule
def test_of_two_candidates_both_are_shown(rule):
    selection = rule(utilities_for(rule, 3, 50, 2, seed=4), np.random.default_rng(0))
    assert (np.sort(selection.pairs, axis=1) == [0, 1]).all()


# What each rule shows where all particles hold 0, 9, 1, 2.5, and for how many of 200 prompts it falls back.
# "any" other candidate is uniform; rules that only measure disagreement draw "any" pair.
ANY = None
AGREED = {
    "greedy": (1, 3, 0),
    "best_against_worst": (1, 0, 0),
    "infomax_logit": (ANY, ANY, 200),
    "infomax_width": (ANY, ANY, 200),
    "bald": (ANY, ANY, 200),
    "entropy_of_mean": (0, 2, 0),
    "particles_without_replacement": (1, ANY, 200),
    "thompson_max_variance": (1, ANY, 200),
    "thompson_max_width": (1, ANY, 200),
    "marginal_thompson": (1, ANY, 200),
    "reverse_double_thompson": (1, 0, 0),
    "delta_ucb": (1, 0, 0),
    "delta_quantile": (1, 0, 0),
    "max_min_lcb": (1, 3, 200),
    "max_in_p": (1, ANY, 200),
    "rucb": (1, 3, 0),
    "information_directed": (1, 3, 200),
}


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.reads != "nothing"], ids=str)
def test_identical_particles_fall_back_as_the_definition_says(rule):
    first, second, fallbacks = AGREED[rule.name]
    if rule == DeltaQuantile(quantile=0.5, half_window=0.2):
        # 12 ordered gaps: 9, 8, 6.5, 2.5, 1.5, 1, and minus these. Ranks floor(3.6) = 3 to floor(8.4) - 1 = 7:
        # gaps 2.5, 1.5, 1, -1, -1.5, whose largest first is 3: pairs (3, 0) and (3, 2), the former wider.
        first, second = 3, 0
    selection = rule(np.repeat(copies(rule, [[0, 9, 1, 2.5]], 10), 200, axis=1), np.random.default_rng(1))
    assert selection.fallbacks == fallbacks
    shown = {tuple(pair) for pair in selection.pairs.tolist()}
    if second is not ANY:
        assert shown == {(first, second)}
    elif rule.name == "max_in_p":  # lower position first
        assert shown == {(0, 1), (1, 2), (1, 3)}
    elif first is not ANY:
        assert shown == {(1, 0), (1, 2), (1, 3)}
    else:
        assert shown == {(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)}


ONLY_DIFFERENCES = (
    "infomax_logit",
    "bald",
    "entropy_of_mean",
    "particles_without_replacement",
    "thompson_max_variance",
    "max_min_lcb",
    "max_in_p",
    "rucb",
    "information_directed",
)


@pytest.mark.parametrize("rule", [rule for rule in BY_SAMPLES if rule.name in ONLY_DIFFERENCES], ids=str)
@settings(max_examples=15)
@given(seed=st.integers(0, 10**6))
def test_a_doubt_that_all_candidates_share_changes_nothing(rule, seed):
    utilities = utilities_for(rule, 4, 3, 6, seed)
    offsets = np.array([-8, 4, 16, 2], np.float32)[:, None, None]
    plain, shifted = (rule(u, np.random.default_rng(0)).pairs for u in (utilities, utilities + offsets))
    assert np.array_equal(plain, shifted)


@pytest.mark.parametrize("rule", BY_SAMPLES, ids=str)
def test_too_few_samples_are_refused(rule):
    needed = 1 if rule.name in ("entropy_of_mean", "particles_without_replacement") else 2
    rule(np.zeros((needed, 2, 3), np.float32), np.random.default_rng(0))
    with pytest.raises(SpecificationError, match=f"{rule.name} was given {needed - 1} .* at least {needed}"):
        rule(np.zeros((needed - 1, 2, 3), np.float32), np.random.default_rng(0))


@pytest.mark.parametrize("rule", [Greedy(), BestAgainstWorst()], ids=str)
def test_rules_that_read_the_mean_refuse_several_samples(rule):
    with pytest.raises(SpecificationError, match="given 2 utility samples; it takes one"):
        rule(np.zeros((2, 1, 3), np.float32), np.random.default_rng(0))


@pytest.mark.parametrize(
    "rule",
    [
        InfomaxWidth,
        MarginalThompson,
        ThompsonMaxWidth,
        ReverseDoubleThompson,
        DeltaUCB,
        DeltaQuantile,
        MaxMinLCB,
        MaxInP,
        RUCB,
    ],
)
@pytest.mark.parametrize("width", [0, -1.0, math.inf, math.nan, "1", True])
def test_widths_that_are_no_positive_number_are_refused(rule, width):
    with pytest.raises(SpecificationError, match="width is"):
        rule(width=width)


@pytest.mark.parametrize("rule", [MarginalThompson, ReverseDoubleThompson, ParticlesWithoutReplacement])
@pytest.mark.parametrize("max_retries", [-1, 1.5, "3", True])
def test_wrong_numbers_of_retries_are_refused(rule, max_retries):
    with pytest.raises(SpecificationError, match="max_retries is"):
        rule(max_retries=max_retries)


@every_rule
def test_memory_stays_below_64_mb(rule):
    utilities = utilities_for(rule, 10, 32, 100)
    tracemalloc.start()
    rule(utilities, np.random.default_rng(0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64e6
