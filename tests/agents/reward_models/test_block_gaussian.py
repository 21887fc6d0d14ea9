from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duelgym.errors import SpecificationError
from duelgym_agents.reward_models.block_gaussian import BlockGaussian, _matched

seeds = st.integers(0, 10**6)


def fixed(widths, variances):
    """Return beliefs whose precisions, held by a strong prior, stay as they are."""
    return BlockGaussian(widths, np.array(variances, dtype=float), strength=1e9)


def batch_of(rng, duels, dim, scale=1.0):
    differences = (scale * rng.standard_normal((duels, dim))).astype(np.float32)
    return differences, rng.choice([0.0, 0.5, 1.0], duels).astype(np.float32), np.ones(duels)


def one_label(variance, target, power=1.0, difference=1.0):
    """Return mean and variance of a single weight after one label."""
    weights = fixed([1], [variance])
    weights.update(np.array([[difference]], np.float32), np.array([target], np.float32), np.array([power]))
    return weights.mean[0], weights.covariance[0, 0]


def integrated(variance, target, power=1.0):
    """Return the same moments from a sum over a fine grid."""
    w = np.linspace(-40, 40, 400_001)
    density = np.exp(-(w**2) / (2 * variance) + power * (target * w - np.logaddexp(0, w)))
    density /= density.sum()
    mean = density @ w
    return mean, density @ (w - mean) ** 2


# --- by hand ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variance", [0.1, 1.0, 9.0])
@pytest.mark.parametrize("target", [1.0, 0.0, 0.5])
@pytest.mark.parametrize("power", [1.0, 0.3])
def test_one_label_leaves_the_exact_mean_and_variance(variance, target, power):
    mean, left = one_label(variance, target, power)
    exact_mean, exact_left = integrated(variance, target, power)
    assert mean == pytest.approx(exact_mean, abs=2e-4)
    assert left == pytest.approx(exact_left, rel=5e-4)


@pytest.mark.parametrize("deviation", [0.1, 1.0, 6.0])
@pytest.mark.parametrize("mean", [-72.0, -20.0, -6.0, 0.0, 6.0, 30.0])
@pytest.mark.parametrize("power", [1.0, 0.01])
def test_no_label_however_surprising_tells_more_than_a_quarter(deviation, mean, power):
    weights, shifts = _matched(np.array([mean]), np.array([[deviation**2]]), np.array([1.0]), np.array([power]))
    assert 0 <= weights[0] <= power / 4 * (1 + 1e-6)
    precision = 1 / deviation**2 + weights[0]
    moved = (mean / deviation**2 + shifts[0]) / precision - mean
    assert 0 <= moved <= power * deviation**2 * (1 + 1e-6)  # the likelihood's slope is at most its power


def test_a_label_on_a_logit_that_is_nearly_known_tells_what_its_slope_and_curvature_say():
    # At 0 they are 1/2 and 1/4, and a deviation of 1/1000 is too small for anything else to matter.
    weights, shifts = _matched(np.zeros(1), np.array([[1e-6]]), np.ones(1), np.ones(1))
    assert (weights[0], shifts[0]) == pytest.approx((0.25, 0.5), rel=1e-4)
    weights, shifts = _matched(np.zeros(1), np.zeros((1, 1)), np.ones(1), np.ones(1))  # equal candidates
    assert (weights[0], shifts[0]) == (0, 0)


@pytest.mark.parametrize("power", [1.0, 0.01])
def test_rounding_never_tells_more_than_a_quarter(power):
    # Nodes within 1 / 100 000 of 30 are rounded by 1e-15, and so their variance by more than a label can tell.
    weights, _ = _matched(np.array([30.0]), np.array([[1e-10]]), np.ones(1), np.array([power]))
    assert 0 <= weights[0] <= power / 4 * (1 + 1e-3)


def test_a_batch_of_contradictions_a_million_times_as_long_leaves_proper_beliefs():
    rng, truth = np.random.default_rng(5), np.array([1.0, -2.0, 0.5])
    weights = BlockGaussian([1, 2], np.array([1.0, 1.0]), strength=10.0)
    for _ in range(100):
        x = rng.standard_normal((32, 3)).astype(np.float32)
        weights.update(x, (x @ truth > 0).astype(np.float32), np.ones(32))
    before = np.trace(np.linalg.inv(weights.covariance))
    weights.update(1e6 * x, (x @ truth < 0).astype(np.float32), np.ones(32))
    assert np.isfinite(weights.mean).all()
    assert np.trace(np.linalg.inv(weights.covariance)) < 1e3 * before


def test_a_difference_too_long_is_shortened_to_six_deviations():
    assert one_label(1.0, 1.0, difference=1e6) == pytest.approx(one_label(1.0, 1.0, difference=6.0))


def test_precisions_follow_the_evidence_by_hand():
    # One batch moves the weights; the next sets precisions from them, with the pull of 2 weights at variance 1/2.
    weights = BlockGaussian([1, 2], np.array([0.5, 0.5]), strength=2.0)
    x = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]], np.float32)
    weights.update(x, np.array([1.0, 0.0], np.float32), np.ones(2))
    assert weights.precisions == pytest.approx([(0 + 2) / (0 + 1)] * 2)  # nothing was determined before the labels
    mean, spread = weights.mean.copy(), np.diag(weights.covariance).copy()
    weights.update(x, np.array([1.0, 0.0], np.float32), np.ones(2))
    first = (1 - 2 * spread[0] + 2) / (mean[0] ** 2 + 1)
    second = (2 - 2 * (spread[1] + spread[2]) + 2) / (mean[1] ** 2 + mean[2] ** 2 + 1)
    assert weights.precisions == pytest.approx([first, second])


@settings(max_examples=20)
@given(seeds, st.integers(2, 8))
def test_a_batch_is_its_labels_one_after_the_other(seed, duels):
    x, targets, powers = batch_of(np.random.default_rng(seed), duels, 4)
    whole, single = fixed([4], [2.0]), fixed([4], [2.0])
    whole.update(x, targets, 0.7 * powers)
    for k in range(duels):
        single.update(x[k : k + 1], targets[k : k + 1], 0.7 * powers[k : k + 1])
    assert single.mean == pytest.approx(whole.mean, abs=1e-6)
    assert single.covariance == pytest.approx(whole.covariance, abs=1e-6)


# --- properties -------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(seeds, st.integers(1, 10), st.integers(1, 6))
def test_batches_add_up_to_gaussian_factors_that_never_widen(seed, duels, dim):
    rng = np.random.default_rng(seed)
    weights = fixed([dim], [2.0])
    for _ in range(3):
        before = weights.covariance.copy()
        weights.update(*batch_of(rng, duels, dim))
        narrowed = before - weights.covariance
        assert np.linalg.eigvalsh(narrowed).min() > -1e-7
        assert np.linalg.eigvalsh(weights.covariance).min() > 0


@settings(max_examples=40)
@given(seeds)
def test_showing_the_second_first_changes_nothing_and_a_turned_answer_turns_the_mean(seed):
    x, targets, powers = batch_of(np.random.default_rng(seed), 8, 4)
    beliefs = [fixed([4], [2.0]) for _ in range(3)]
    beliefs[0].update(x, targets, powers)
    beliefs[1].update(-x, 1 - targets, powers)
    beliefs[2].update(x, 1 - targets, powers)
    assert beliefs[1].mean == pytest.approx(beliefs[0].mean, abs=1e-8)
    assert beliefs[2].mean == pytest.approx(-beliefs[0].mean, abs=1e-8)
    for other in beliefs[1:]:
        assert other.covariance == pytest.approx(beliefs[0].covariance, abs=1e-8)


@settings(max_examples=20)
@given(seeds, st.floats(0.0, 0.9))
def test_a_smaller_power_teaches_less(seed, power):
    x, targets, powers = batch_of(np.random.default_rng(seed), 6, 3)
    whole, part = fixed([3], [1.0]), fixed([3], [1.0])
    whole.update(x, targets, powers)
    part.update(x, targets, power * powers)
    assert np.trace(part.covariance) > np.trace(whole.covariance)


@settings(max_examples=20)
@given(seeds, st.sampled_from([1e-8, 1e3, 1e8]))
def test_extreme_differences_leave_proper_beliefs(seed, scale):
    rng = np.random.default_rng(seed)
    weights = BlockGaussian([2, 3], np.array([1.0, 1.0]), strength=10.0)
    for _ in range(5):
        weights.update(*batch_of(rng, 12, 5, scale))
        weights.update(*batch_of(rng, 12, 5))
        assert np.isfinite(weights.mean).all()
        assert np.linalg.eigvalsh(weights.covariance).min() > 0


def test_samples_are_of_the_beliefs():
    rng = np.random.default_rng(0)
    weights = BlockGaussian([1, 2], np.array([1.0, 4.0]), strength=5.0)
    weights.update(*batch_of(rng, 20, 3))
    draws = weights.sample(40_000, rng).astype(np.float64)
    assert draws.mean(axis=0) == pytest.approx(weights.mean, abs=0.03)
    assert np.cov(draws.T) == pytest.approx(weights.covariance, abs=0.04)


def test_a_block_that_tells_nothing_shrinks_and_one_that_tells_grows():
    # The utility is of the first block alone and larger than the prior says; both begin alike.
    rng = np.random.default_rng(1)
    weights = BlockGaussian([5, 5], np.array([0.2, 0.2]), strength=2.0)
    truth = np.array([2.0, -2, 1, 1, -1, 0, 0, 0, 0, 0])
    for _ in range(40):
        x = rng.standard_normal((32, 10)).astype(np.float32)
        targets = (rng.random(32) < 1 / (1 + np.exp(-x @ truth))).astype(np.float32)
        weights.update(x, targets, np.ones(32))
    assert 1 / weights.precisions[0] > 0.6
    assert 1 / weights.precisions[1] < 0.1
    assert weights.mean == pytest.approx(truth, abs=0.4)


def test_beliefs_are_calibrated_where_the_prior_is_true():
    scores = []
    for world in range(150):
        rng = np.random.default_rng(world)
        weights, truth = fixed([6], [0.64]), 0.8 * rng.standard_normal(6)
        for _ in range(10):
            x = rng.standard_normal((16, 6)).astype(np.float32)
            targets = (rng.random(16) < 1 / (1 + np.exp(-x @ truth))).astype(np.float32)
            weights.update(x, targets, np.ones(16))
        root = np.linalg.cholesky(weights.covariance)
        scores.append(np.linalg.solve(root, truth - weights.mean))
    # 900 squared scores of variance 2: a standard error of 0.047. Logits deviate by 2.
    assert np.square(scores).mean() == pytest.approx(1.0, abs=0.15)


# --- state ------------------------------------------------------------------------------------------------


def test_a_state_goes_round_to_the_last_bit_and_other_blocks_are_refused():
    rng = np.random.default_rng(2)
    weights, other = (BlockGaussian([1, 2], np.array([1.0, 1.0]), strength=5.0) for _ in range(2))
    for _ in range(3):
        weights.update(*batch_of(rng, 5, 3))
    other.load_state_dict(weights.state_dict())
    batch = batch_of(rng, 5, 3)
    for each in (weights, other):
        each.update(*batch)
    assert np.array_equal(weights.mean, other.mean)
    assert np.array_equal(weights.covariance, other.covariance)
    with pytest.raises(SpecificationError, match=r"'information' has shape \(3, 3\), this agent needs \(4, 4\)"):
        BlockGaussian([2, 2], np.ones(2), strength=5.0).load_state_dict(weights.state_dict())


@pytest.mark.parametrize("damage", [-1e9, np.nan])
def test_a_damaged_state_is_refused(damage):
    state = BlockGaussian([2, 1], np.ones(2), strength=5.0).state_dict()
    state["information"][1, 1] = damage
    with pytest.raises(SpecificationError, match="not positive definite, so it is damaged"):
        BlockGaussian([2, 1], np.ones(2), strength=5.0).load_state_dict(state)
