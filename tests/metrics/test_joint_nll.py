"""Excess negative log-likelihood of labels predicted together, against values worked by hand and brute force."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from duelgym.errors import SpecificationError
from duelgym.metrics import LabelGroups, binary_entropy, excess_nll, marginal_groups, polyadic_groups

logits_of = arrays(np.float64, (4, 6), elements=st.floats(-8, 8))
probabilities_of = arrays(np.float64, 6, elements=st.floats(0, 1))
seeds = st.integers(0, 2**32 - 1)


def logit(p):
    return np.log(p) - np.log1p(-np.asarray(p))


def one_group(anchors, labels):
    return LabelGroups(np.array([anchors]), np.array([labels]))


@pytest.mark.parametrize(
    ("particles", "marginal", "joint"),
    [([0.7], 0.611, 3.054), ([0.99] * 7 + [0.01] * 3, 0.611, 6.379)],
    ids=["the truth", "over-dispersed"],
)
def test_redrawn_labels_find_out_who_is_too_dispersed(particles, marginal, joint):
    """Truth .7, five labels of one duel: equal marginals, and copying one label would give .661 to the second."""
    logits, p = logit(particles)[:, None], np.array([0.7])
    entropy = -0.7 * np.log(0.7) - 0.3 * np.log(0.3)
    assert excess_nll(logits, p, marginal_groups(1)) + entropy == pytest.approx(marginal, abs=6e-4)
    assert excess_nll(logits, p, one_group([0], [5])) + 5 * entropy == pytest.approx(joint, abs=6e-4)


def test_what_two_labels_have_in_common_by_hand():
    """Both duels are won for sure. Samples sure of both or of neither predict that half the time; independent ones, a quarter."""
    sure, p = 50.0, np.ones(2)
    together = np.array([[sure, sure], [-sure, -sure]])
    apart = sure * np.array(list(product((1, -1), repeat=2)))
    pair = one_group([0, 1], [1, 1])
    assert excess_nll(together, p, pair) == pytest.approx(np.log(2))
    assert excess_nll(apart, p, pair) == pytest.approx(np.log(4))
    assert excess_nll(together, p, marginal_groups(2)) == pytest.approx(excess_nll(apart, p, marginal_groups(2)))


def by_brute_force(logits, p, sequence):
    """Sum over all sequences of labels, one after the other, with plain probabilities."""
    chances, total = 1 / (1 + np.exp(-logits[:, sequence])), 0.0
    for labels in product((True, False), repeat=len(sequence)):
        true = np.prod(np.where(labels, p[sequence], 1 - p[sequence]))
        total += true * np.log(true / np.mean(np.prod(np.where(labels, chances, 1 - chances), axis=1)))
    return total


@pytest.mark.parametrize("sequence", [[0], [1, 1, 1], [0, 2, 2, 0], [3, 1, 2, 1, 1], [2, 3]])
def test_counting_wins_is_summing_over_all_sequences_of_labels(sequence):
    rng = np.random.default_rng(0)
    logits, p = 2 * rng.standard_normal((5, 4)), rng.uniform(0.05, 0.95, 4)
    anchors, labels = np.unique(sequence, return_counts=True)
    expected = by_brute_force(logits, p, np.array(sequence))
    assert excess_nll(logits, p, one_group(anchors, labels)) == pytest.approx(expected, rel=1e-12)


def test_exact_expectations_agree_with_drawn_labels():
    """The same groups, with labels drawn one by one as the definition says."""
    rng = np.random.default_rng(1)
    logits, p = 1.5 * rng.standard_normal((6, 40)), rng.uniform(0.1, 0.9, 40)
    drawn, exact = [], []
    for _ in range(300):
        groups = polyadic_groups(40, rng)
        exact.append(excess_nll(logits, p, groups))
        for anchors, labels in zip(groups.anchors, groups.labels, strict=True):
            duels = np.repeat(anchors, labels)
            won = rng.random(10) < p[duels]
            sign = np.where(won, 1, -1)
            simulator = np.log(np.where(won, p[duels], 1 - p[duels])).sum()
            agent = np.log(np.mean(np.exp(-np.logaddexp(0, -sign * logits[:, duels]).sum(axis=1))))
            drawn.append(simulator - agent)
    error = np.std(drawn) / np.sqrt(len(drawn))
    assert abs(np.mean(drawn) - np.mean(exact)) < 4 * error < 0.2 * np.mean(exact)


@given(arrays(np.float64, 6, elements=st.floats(0.001, 0.999)), seeds)
def test_the_simulator_scores_nothing(p, seed):
    for groups in (marginal_groups(6), polyadic_groups(6, np.random.default_rng(seed), kappa=3, tau=5)):
        assert excess_nll(logit(p)[None], p, groups) == pytest.approx(0, abs=1e-9)


@given(logits_of, probabilities_of, seeds)
def test_nobody_scores_less(logits, p, seed):
    for groups in (marginal_groups(6), polyadic_groups(6, np.random.default_rng(seed))):
        assert excess_nll(logits, p, groups) >= -1e-9


@given(logits_of, probabilities_of, seeds)
def test_a_point_prediction_scores_the_sum_of_its_marginals(logits, p, seed):
    groups = polyadic_groups(6, np.random.default_rng(seed))
    alone = np.array([excess_nll(logits[:1], p, one_group([duel], [1])) for duel in range(6)])
    expected = np.mean(np.sum(groups.labels * alone[groups.anchors], axis=1))
    assert excess_nll(logits[:1], p, groups) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(logits_of, probabilities_of, seeds)
def test_orders_and_whole_repetitions_change_nothing(logits, p, seed):
    rng = np.random.default_rng(seed)
    groups = polyadic_groups(6, rng)
    score = excess_nll(logits, p, groups)
    same = pytest.approx(score, rel=1e-9, abs=1e-12)
    assert excess_nll(rng.permutation(logits), p, groups) == same
    assert excess_nll(np.repeat(logits, 3, axis=0), p, groups) == same
    order = rng.permutation(6)
    assert excess_nll(logits[:, order], p[order], LabelGroups(np.argsort(order)[groups.anchors], groups.labels)) == same
    assert excess_nll(-logits, 1 - p, groups) == pytest.approx(score, rel=1e-6, abs=1e-6)


def test_a_sample_more_counts_once():
    """Three equal samples of four are no two of three."""
    logits, p = np.array([[2.0], [2.0], [2.0], [-2.0]]), np.array([0.5])
    high, low = 1 / (1 + np.exp(-2.0)), 1 / (1 + np.exp(2.0))
    win, lose = (3 * high + low) / 4, (3 * low + high) / 4
    assert excess_nll(logits, p, marginal_groups(1)) == pytest.approx(-np.log(4 * win * lose) / 2)


@pytest.mark.parametrize("size", [800.0, 1e5])
def test_logits_beyond_what_exponentials_hold(size):
    """Ten lost duels that a sample gave e^-size each cost 10 size; where another sample is right, ln 2."""
    p, ten = np.zeros(1), one_group([0], [10])
    assert excess_nll(np.array([[size]]), p, ten) == pytest.approx(10 * size)
    assert excess_nll(np.array([[size], [-size]]), p, ten) == pytest.approx(np.log(2))


@settings(max_examples=30)
@given(st.integers(1, 4), st.integers(1, 12), st.integers(0, 20), seeds)
def test_groups_hold_different_duels_each_once_and_tau_labels(kappa, tau, more, seed):
    n_duels = kappa + more
    groups = polyadic_groups(n_duels, np.random.default_rng(seed), kappa=kappa, tau=tau)
    assert groups.anchors.shape == groups.labels.shape == (n_duels // kappa, kappa)
    assert len(set(groups.anchors.ravel().tolist())) == groups.anchors.size
    assert 0 <= groups.anchors.min() <= groups.anchors.max() < n_duels
    assert (groups.labels.sum(axis=1) == tau).all() and groups.labels.min() >= 0
    again = polyadic_groups(n_duels, np.random.default_rng(seed), kappa=kappa, tau=tau)
    assert np.array_equal(groups.anchors, again.anchors) and np.array_equal(groups.labels, again.labels)


def test_any_two_duels_may_meet():
    rng, partners = np.random.default_rng(0), []
    for _ in range(900):
        anchors = polyadic_groups(4, rng).anchors
        partners += [int(group.sum()) for group in anchors if 0 in group]  # the other one, since this one is 0
    assert np.bincount(partners, minlength=4)[1:] == pytest.approx(300, abs=57)  # four standard errors


def test_anchors_are_drawn_with_replacement():
    """Labels of the first of two anchors, ten draws: a binomial of mean 5 and variance 2.5."""
    first = polyadic_groups(20_000, np.random.default_rng(0)).labels[:, 0]
    assert first.mean() == pytest.approx(5, abs=0.06) and first.var() == pytest.approx(2.5, abs=0.15)


def test_a_fair_coin_lacks_the_bits_that_labels_carry():
    p = np.array([0.5, 0.9, 1.0])
    lacking = np.log(2) * (1 - binary_entropy(p))
    assert excess_nll(np.zeros((2, 3)), p, marginal_groups(3)) == pytest.approx(lacking.mean())


@pytest.mark.parametrize(
    ("logits", "p", "groups", "message"),
    [
        (np.zeros((2, 3)), np.full(2, 0.5), marginal_groups(3), r"logits have shape \(2, 3\), probabilities \(2,\)"),
        (np.zeros((0, 3)), np.full(3, 0.5), marginal_groups(3), "at least one sample"),
        (np.full((1, 1), np.inf), np.full(1, 0.5), marginal_groups(1), "not all finite"),
        (np.zeros((1, 1)), np.full(1, 1.5), marginal_groups(1), "from 0 to 1"),
        (np.zeros((1, 0)), np.zeros(0), marginal_groups(0), "no group"),
    ],
)
def test_what_cannot_be_scored_is_refused(logits, p, groups, message):
    with pytest.raises(SpecificationError, match=message):
        excess_nll(logits, p, groups)


@pytest.mark.parametrize(("n_duels", "change"), [(1, {}), (5, {"kappa": 0}), (5, {"tau": 0}), (5, {"kappa": 2.0})])
def test_groups_that_cannot_be_are_refused(n_duels, change):
    with pytest.raises(SpecificationError, match="must be a whole number"):
        polyadic_groups(n_duels, np.random.default_rng(0), **change)
