from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duelgym.errors import SpecificationError
from duelgym_agents.reward_models.gaussian import GaussianWeights, sigmoid


def batch_of(rng, duels, dim, scale=1.0):
    differences = (scale * rng.standard_normal((duels, dim))).astype(np.float32)
    return differences, rng.choice([0.0, 0.5, 1.0], duels).astype(np.float32)


def plain_sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def explicit_information(differences, mean, power):
    p = plain_sigmoid(differences @ mean)
    return power * (differences * (p * (1 - p))[:, None]).T @ differences


# --- by hand ----------------------------------------------------------------------------------------------


def test_one_duel_in_one_dimension_by_hand():
    # Prior variance ln 3, difference 2, the first preferred. At w = ln(3) / 2 the win probability is 3/4, sigmoid of
    # ln 3, and the slope w / ln 3 = 1/2 of the prior meets the likelihood's 2 (1 - 3/4). Information: 2^2 * 3/4 * 1/4.
    weights = GaussianWeights(1, math.log(3))
    weights.update(np.array([[2.0]], np.float32), np.array([1.0], np.float32))
    assert weights.mean == pytest.approx([math.log(3) / 2])
    assert weights.covariance == pytest.approx(np.array([[1 / (1 / math.log(3) + 0.75)]]))


def test_half_a_likelihood_by_hand():
    # With the power 1/2 and twice the variance the same place: w / (2 ln 3) = 1/4 = 2 * 1/2 * 1/4; information halved.
    weights = GaussianWeights(1, 2 * math.log(3))
    weights.update(np.array([[2.0]], np.float32), np.array([1.0], np.float32), power=0.5)
    assert weights.mean == pytest.approx([math.log(3) / 2])
    assert weights.covariance == pytest.approx(np.array([[1 / (0.5 / math.log(3) + 0.375)]]))


def test_a_tie_moves_nothing_at_first_and_informs_most():
    weights = GaussianWeights(2, 3.0)
    weights.update(np.array([[2.0, 0.0]], np.float32), np.array([0.5], np.float32))
    assert weights.mean == pytest.approx([0.0, 0.0])
    assert weights.covariance == pytest.approx(np.diag([1 / (1 / 3 + 4 / 4), 3.0]))


def test_the_mean_is_what_brute_force_finds_and_the_covariance_the_inverse_of_the_hessian_there():
    rng = np.random.default_rng(0)
    differences, targets = batch_of(rng, 9, 2)
    weights = GaussianWeights(2, 1.7)
    weights.update(differences, targets)

    def log_posterior(grid):
        logits = grid @ differences.T.astype(np.float64)
        return (targets * logits - np.logaddexp(0, logits)).sum(axis=1) - (grid**2).sum(axis=1) / (2 * 1.7)

    best, reach = np.zeros(2), 8.0
    for _ in range(25):  # a grid of 21 x 21 around the best so far, each time half as wide
        offsets = np.stack(np.meshgrid(*2 * [np.linspace(-reach, reach, 21)]), axis=2).reshape(-1, 2)
        best, reach = best + offsets[log_posterior(best + offsets).argmax()], reach / 2
    assert weights.mean == pytest.approx(best, abs=1e-5)

    step = 1e-3  # second differences of the log posterior
    moves = step * np.array([[[a, b] for b in (-1, 0, 1)] for a in (-1, 0, 1)], dtype=float)
    values = log_posterior((weights.mean + moves).reshape(-1, 2)).reshape(3, 3)
    across = (values[2, 2] - values[2, 0] - values[0, 2] + values[0, 0]) / 4
    hessian = [
        [values[2, 1] - 2 * values[1, 1] + values[0, 1], across],
        [across, values[1, 2] - 2 * values[1, 1] + values[1, 0]],
    ]
    assert weights.covariance == pytest.approx(np.linalg.inv(-np.array(hessian) / step**2), rel=1e-4)


# --- properties -------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    st.integers(0, 10**6),
    st.integers(1, 12),
    st.integers(1, 6),
    st.floats(0.05, 1.0),
    st.floats(0.01, 20.0),
    st.floats(0.1, 30.0),
)
def test_every_batch_is_taken_in_by_laplace_approximation_of_the_whole(seed, duels, dim, power, variance, scale):
    rng = np.random.default_rng(seed)
    weights = GaussianWeights(dim, variance)
    for _ in range(2):  # from the prior, and from what the first batch left
        before, precision = weights.mean.copy(), np.linalg.inv(weights.covariance)
        differences, targets = batch_of(rng, duels, dim, scale)
        if duels > 2:
            differences[1], differences[2] = differences[0], 0  # a pair asked twice, and two equal candidates
        weights.update(differences, targets, power)
        x = differences.astype(np.float64)
        # At the maximum prior and likelihood pull equally: precision (mean - before) = power X' (targets - p).
        pull = power * (targets - plain_sigmoid(x @ weights.mean)) @ x
        assert precision @ (weights.mean - before) == pytest.approx(pull, rel=1e-4, abs=1e-5 * (1 + scale))
        after = np.linalg.inv(precision + explicit_information(x, weights.mean, power))
        assert weights.covariance == pytest.approx(after, rel=1e-5, abs=1e-7 * variance)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.permutations(range(8)))
def test_order_in_a_batch_and_order_of_showing_do_not_matter(seed, order):
    differences, targets = batch_of(np.random.default_rng(seed), 8, 4)
    beliefs = [GaussianWeights(4, 2.0) for _ in range(3)]
    beliefs[0].update(differences, targets)
    beliefs[1].update(differences[order], targets[order])
    beliefs[2].update(-differences, 1 - targets)  # the second shown first
    for other in beliefs[1:]:
        assert other.mean == pytest.approx(beliefs[0].mean, abs=1e-7)
        assert other.covariance == pytest.approx(beliefs[0].covariance, abs=1e-7)


def test_two_thousand_updates_leave_a_covariance_that_is_symmetric_positive_and_exact():
    rng = np.random.default_rng(1)
    weights, precision = GaussianWeights(12, 5.0), np.eye(12) / 5.0
    truth = rng.standard_normal(12)
    for _ in range(2000):
        differences = (rng.standard_normal((3, 12)) * np.geomspace(0.01, 3, 12)).astype(np.float32)
        targets = (rng.random(3) < plain_sigmoid(differences @ truth)).astype(np.float32)
        weights.update(differences, targets)
        precision += explicit_information(differences.astype(np.float64), weights.mean, 1.0)
    assert np.abs(weights.covariance - weights.covariance.T).max() <= 1e-15
    assert np.linalg.eigvalsh(weights.covariance).min() > 0
    assert weights.covariance == pytest.approx(np.linalg.inv(precision), rel=1e-6, abs=1e-12)
    # Each of 6 000 labels is worth at most 1/4 x x': weights that hardly show stay open, those that show do not.
    spread = np.sqrt(np.diag(weights.covariance))
    assert spread[0] > 0.5
    assert spread[-1] < 0.1


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 1e-20, 1e6, 1e12]))
def test_extreme_differences_give_finite_beliefs(seed, scale):
    rng = np.random.default_rng(seed)
    weights = GaussianWeights(3, 2.0)
    for _ in range(3):
        weights.update(*batch_of(rng, 4, 3, scale))
        weights.update(*batch_of(rng, 4, 3))
    assert np.isfinite(weights.mean).all()
    assert np.isfinite(weights.covariance).all()
    assert np.isfinite(weights.sample(5, rng)).all()


def test_a_difference_of_any_length_tells_as_much_as_one_whose_label_is_certain():
    beliefs = []
    for size in (1e7, 1e11):
        weights = GaussianWeights(2, 1.0)
        weights.update(np.array([[1.0, 0.0], [size, size]], np.float32), np.array([0.0, 1.0], np.float32))
        beliefs.append(weights)
    assert beliefs[0].mean == pytest.approx(beliefs[1].mean)
    assert beliefs[0].mean.sum() > 0 > beliefs[0].mean[0]


# --- sampling ---------------------------------------------------------------------------------------------


def test_samples_have_the_mean_and_covariance():
    rng = np.random.default_rng(2)
    weights = GaussianWeights(3, 2.0)
    weights.update(*batch_of(rng, 6, 3))
    draws = weights.sample(40_000, rng).astype(np.float64)
    assert draws.mean(axis=0) == pytest.approx(weights.mean, abs=0.03)  # four standard errors: 4 sqrt(2 / 40 000)
    assert np.cov(draws.T) == pytest.approx(weights.covariance, abs=0.06)


@pytest.mark.parametrize("rounding", [0.0, -1e-17])
def test_a_covariance_that_rounding_has_made_singular_can_still_be_drawn_from(rounding):
    weights = GaussianWeights(3, 1.0)
    weights.mean = np.array([1.0, 2.0, 3.0])
    turned = np.array([[3.0, 4.0], [-4.0, 3.0]]) / 5
    weights.covariance[:2, :2] = turned @ np.diag([4.0, rounding]) @ turned.T
    draws = weights.sample(20_000, np.random.default_rng(3)).astype(np.float64) - weights.mean
    assert draws[:, :2] @ turned[:, 1] == pytest.approx(0, abs=1e-5)  # what is known exactly does not vary
    assert (draws[:, :2] @ turned[:, 0]).std() == pytest.approx(2.0, rel=0.03)
    assert draws[:, 2].std() == pytest.approx(1.0, rel=0.03)


def test_draws_depend_on_the_generator_alone():
    weights = GaussianWeights(4, 1.0)
    weights.update(*batch_of(np.random.default_rng(4), 5, 4))
    first, again, other = (weights.sample(3, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert first.dtype == np.float32
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_state_goes_round_and_another_dimension_is_refused():
    weights = GaussianWeights(4, 1.0)
    weights.update(*batch_of(np.random.default_rng(5), 5, 4))
    again = GaussianWeights.from_state(weights.state_dict(), 4)
    assert np.array_equal(again.mean, weights.mean)
    assert np.array_equal(again.covariance, weights.covariance)
    with pytest.raises(SpecificationError, match=r"'mean' has shape \(4,\), this agent needs \(5,\)"):
        GaussianWeights.from_state(weights.state_dict(), 5)


def test_sigmoid_of_any_logit():
    assert sigmoid(np.array([-1e308, -800.0, 0.0, math.log(3), 1e308])) == pytest.approx([0, 0, 0.5, 0.75, 1])
