"""Rules that ask where the samples disagree, or where an answer tells most."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duelgym.errors import SpecificationError
from duelgym_agents.exploration import (
    BALD,
    EntropyOfMean,
    Infomax,
    InfomaxLogit,
    InfomaxWidth,
    InformationDirected,
)
from duelgym_agents.exploration.bald import information
from duelgym_agents.exploration.information_directed import answer_information, least_ratio
from duelgym_agents.exploration.pairs import binary_entropy, sample_variance, score_pairs


def logit(p):
    return math.log(p / (1 - p))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def pick(rule, utilities):
    return rule(np.array(utilities, np.float32), np.random.default_rng(0)).pairs.tolist()


def entropy(p):
    with np.errstate(divide="ignore", invalid="ignore"):
        return -np.nan_to_num(p * np.log(p)) - np.nan_to_num((1 - p) * np.log(1 - p))


# --- infomax on the logit ---------------------------------------------------------------------------------


def test_infomax_logit_variances_by_hand_and_against_infomax():
    # Differences: (0, 1): 0 and 2, variance 2; (0, 2): 30 and 22, variance 32; (1, 2): 30 and 20, variance 50.
    # Nobody doubts that 2 loses: infomax asks (0, 1).
    utilities = np.array([[[0.0, 0.0, -30.0]], [[2.0, 0.0, -20.0]]], np.float32)
    assert score_pairs(utilities, sample_variance)[0] == pytest.approx([2, 32, 50])
    assert pick(InfomaxLogit(), utilities) == [[1, 2]]
    assert pick(Infomax(), utilities) == [[0, 1]]


def test_infomax_sees_a_spread_of_one_in_ten_thousand():
    # Candidate 0 against either other: .5 and .5001, or .49995 and .50005; variance 5e-9. The others' duel is certain.
    utilities = np.array([[[0, 0, 0.0002]], [[0.0004, 0, 0.0002]]], np.float32)
    selection = Infomax()(utilities, np.random.default_rng(0))
    assert selection.pairs.tolist() != [[1, 2]]
    assert selection.fallbacks == 0


def test_variance_of_equal_samples_is_exactly_zero():
    assert (sample_variance(np.full((7, 3), 0.1)) == 0).all()


# --- infomax on the interval ------------------------------------------------------------------------------


def test_infomax_width_by_hand():
    # Candidate 0 has mean 0 and deviation 1, the others are certain at 0 and 1.
    # (0, 1): sigmoid(1) - sigmoid(-1) = 0.462; (0, 2): sigmoid(0) - sigmoid(-2) = 0.381; (1, 2): 0.
    utilities = [[[-1.0, 0.0, 1.0]], [[0.0, 0.0, 1.0]], [[1.0, 0.0, 1.0]]]
    assert pick(InfomaxWidth(), utilities) == [[0, 1]]
    # At width 5, (0, 1): sigmoid(5) - sigmoid(-5) = 0.987; (0, 2): sigmoid(4) - sigmoid(-6) = 0.980.
    assert pick(InfomaxWidth(width=5), utilities) == [[0, 1]]


def test_infomax_width_does_not_see_what_candidates_share():
    # Candidates 0 and 1 go up and down together: their duel is certain, their interval sigmoid(2) - sigmoid(-2).
    utilities = [[[-1.0, -1.0, 0.0]], [[0.0, 0.0, 0.0]], [[1.0, 1.0, 0.0]]]
    assert pick(InfomaxWidth(), utilities) == [[0, 1]]
    assert pick(InfomaxLogit(), utilities) != [[0, 1]]


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), width=st.sampled_from([0.5, 1.0, 3.0]))
def test_infomax_width_equals_its_definition(seed, width):
    utilities = np.random.default_rng(seed).standard_normal((5, 4, 6)).astype(np.float32)
    mean, radius = utilities.mean(axis=0), width * utilities.std(axis=0, ddof=1)
    low, high = mean - radius, mean + radius
    first, second = np.triu_indices(6, k=1)
    widths = sigmoid(high[:, first] - low[:, second]) - sigmoid(low[:, first] - high[:, second])
    for b, pair in enumerate(pick(InfomaxWidth(width=width), utilities)):
        best = widths[b].argmax()
        assert pair == [first[best], second[best]]


# --- BALD -------------------------------------------------------------------------------------------------


def test_information_by_hand():
    # p = 3/4 or 1/4: ln 2 - (3/4 ln 4/3 + 1/4 ln 4) = 0.6931 - 0.5623 = 0.1308 nats. Certain bits: ln 2 of a fair coin.
    cases = np.array([[[0.5, 1.0, 0.3]], [[-0.5, -1.0, 0.3]]])
    assert information(cases.mean(axis=0), cases)[0] == pytest.approx([0.130812, math.log(2), 0], abs=1e-6)
    assert binary_entropy(np.array([-1.0, 0.0, 1.0])).tolist() == [0, math.log(2), 0]


def test_bald_differs_from_infomax_in_the_tails():
    # (0, 1): 0.6 and 0.4, variance 0.02, information h(0.5) - h(0.6) = 0.020.
    # (0, 2): 0.99 and 0.8, variance 0.018, information h(0.895) - (h(0.99) + h(0.8)) / 2 = 0.336 - 0.278 = 0.058.
    # (1, 2): 0.985 and 0.857, variance 0.008, information 0.032.
    utilities = [[[0.0, -logit(0.6), -logit(0.99)]], [[0.0, logit(0.6), -logit(0.8)]]]
    assert pick(Infomax(), utilities) == [[0, 1]]
    assert pick(BALD(), utilities) == [[0, 2]]


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([0.1, 1.0, 30.0]))
def test_information_equals_its_definition(seed, scale):
    u = np.random.default_rng(seed).standard_normal((5, 2, 4)) * scale
    utilities = u.astype(np.float32)
    rows, columns = np.triu_indices(4, k=1)
    u = utilities.astype(np.float64)
    p = 1 / (1 + np.exp(u[:, :, columns] - u[:, :, rows]))
    by_definition = entropy(p.mean(axis=0)) - entropy(p).mean(axis=0)
    found = answer_information(utilities, "sample")
    assert found == pytest.approx(by_definition, abs=1e-12)
    assert (found >= 0).all()
    assert (found <= math.log(2)).all()
    # What is learned of the favourite is learned of the sample that holds it.
    assert (answer_information(utilities, "best") <= found + 1e-12).all()


# --- entropy of the mean ----------------------------------------------------------------------------------


def test_entropy_of_mean_takes_the_mean_of_probabilities():
    # (0, 1): 0.9 and 0.4, mean 0.65; (0, 2): 2/3 twice; (1, 2): odds 2/9 and 3, 0.182 and 0.75, mean 0.466.
    utilities = [[[math.log(9), 0.0, math.log(4.5)]], [[0.0, math.log(1.5), -math.log(2)]]]
    assert pick(EntropyOfMean(), utilities) == [[1, 2]]


def test_entropy_of_mean_asks_about_twins_for_ever_and_bald_never():
    utilities = [[[1.0, 1.0, 0.0]], [[3.0, 3.0, 0.0]]]
    assert pick(EntropyOfMean(), utilities) == [[0, 1]]
    assert pick(BALD(), utilities) != [[0, 1]]


# --- information-directed sampling ------------------------------------------------------------------------


def test_least_ratio_by_hand():
    # Options (regret, gain): (0.1, 0.01) and (0.5, 0.5), ratios 1 and 0.5; (0.6, 0.1) lies above their edge.
    # Share of the second: 0.1 / 0.4 - 2 * 0.01 / 0.49 = 0.209184, ratio 0.183673^2 / 0.1125 = 0.299875.
    low, high, share = least_ratio(np.array([[0.5, 0.6, 0.1]]), np.array([[0.5, 0.1, 0.01]]))
    assert (low.tolist(), high.tolist()) == ([2], [0])
    assert share == pytest.approx([0.25 - 0.02 / 0.49])


@pytest.mark.parametrize(
    ("regrets", "gains", "expected"),
    [
        ([0.0, 0.3], [0.1, 0.5], 0),  # no regret: ratio 0
        ([0.2, 0.2], [0.1, 0.5], 1),  # equal regret: the more telling
        ([0.2, 0.3], [0.0, 0.0], 0),  # nothing to learn: least regret
        ([0.1, 0.9], [0.5, 0.6], 0),  # 0.01 / 0.5 cannot be bettered by mixing in 0.81 / 0.6
    ],
)
def test_least_ratio_at_one_option(regrets, gains, expected):
    low, high, share = least_ratio(np.array([regrets]), np.array([gains]))
    chosen = np.where(share == 0, low, np.where(share == 1, high, -1))
    assert chosen.tolist() == [expected]


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), n_options=st.integers(2, 12))
def test_least_ratio_is_least(seed, n_options):
    rng = np.random.default_rng(seed)
    regrets, gains = rng.random((1, n_options)) + 0.01, rng.random((1, n_options)) ** 3
    low, high, share = (array[0] for array in least_ratio(regrets, gains))
    r, g = regrets[0], gains[0]
    found = ((1 - share) * r[low] + share * r[high]) ** 2 / ((1 - share) * g[low] + share * g[high])
    q = np.linspace(0, 1, 101)[:, None, None]  # of every two options
    grid = ((1 - q) * r[:, None] + q * r) ** 2 / ((1 - q) * g[:, None] + q * g)
    assert found <= grid.min() * (1 + 1e-9)


def test_information_about_the_favourite_by_hand():
    # Favourite 0 in two samples, 3 in the other two. P(1 beats 2) is 0.9, 0.7 under the former, 0.3, 0.1 under the
    # latter: 0.8 and 0.2 given the favourite. About it: h(0.5) - h(0.8) = 0.6931 - 0.5004 = 0.1927. About the sample:
    # 0.6931 - (h(0.9) + h(0.7)) / 2 = 0.6931 - (0.3251 + 0.6109) / 2 = 0.2252.
    utilities = np.zeros((4, 1, 4), np.float32)
    utilities[:2, 0, 0] = utilities[2:, 0, 3] = 10
    utilities[:, 0, 1] = [logit(p) for p in (0.9, 0.7, 0.3, 0.1)]
    one_two = 3  # after (0, 1), (0, 2), (0, 3)
    assert answer_information(utilities, "best")[0, one_two] == pytest.approx(0.192745, abs=1e-6)
    assert answer_information(utilities, "sample")[0, one_two] == pytest.approx(0.225180, abs=1e-5)


def test_information_directed_draws_with_the_minimising_share():
    # Candidates 0 and 1 are good and hardly differ, 2 and 3 are bad and tell which sample is right. Mean shortfalls:
    # of 0 and 1, tanh(0.1) / 4 = 0.02492; of 2 and 3, (tanh(1.6) + tanh(3.1)) / 4 = 0.47940. Information:
    # of (0, 1), ln 2 - h(0.54983) = 0.004975; of (2, 3), ln 2 - h(0.95257) = 0.502271.
    # Share of (2, 3): 0.02492 / 0.45449 - 2 * 0.004975 / 0.497296 = 0.03482.
    utilities = np.array([[[0.2, 0, -3, -6]], [[0, 0.2, -6, -3]]], np.float32)
    selection = InformationDirected()(np.repeat(utilities, 30_000, axis=1), np.random.default_rng(0))
    pairs, counts = np.unique(selection.pairs, axis=0, return_counts=True)
    assert pairs.tolist() == [[0, 1], [2, 3]]
    assert counts[1] == pytest.approx(0.03482 * 30_000, abs=4 * math.sqrt(30_000 * 0.0336))
    assert selection.fallbacks == 0


def test_information_directed_follows_the_favourite_where_asked_and_the_sample_where_asked():
    # All samples like 0 best, so that no answer tells about the favourite; they disagree about 1 against 2.
    utilities = np.array([[[9.0, 2.0, 0.0]], [[9.0, -2.0, 0.0]]], np.float32)
    best = InformationDirected()(utilities, np.random.default_rng(0))
    assert best.fallbacks == 1
    # Shortfalls of 1: tanh(3.5) / 2 and tanh(5.5) / 2, mean 0.49908; of 2: tanh(4.5) / 2 twice, 0.49988.
    assert best.pairs.tolist() == [[0, 1]]
    many = np.repeat(utilities, 500, axis=1)
    sample = InformationDirected(about="sample")(many, np.random.default_rng(0))
    assert sample.fallbacks == 0
    assert [1, 2] in sample.pairs.tolist()


def test_information_directed_refuses_another_subject():
    with pytest.raises(SpecificationError, match="about is 'index'"):
        InformationDirected(about="index")
