"""Interquartile mean and probability of improvement."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duelgym_bench.aggregate import improvement, interquartile_mean, profile, seed_areas
from duelgym_bench.statistics import Draws, Interval, area, draw_resamples, draw_strata, mean_curve

even = lambda n: np.full((1, n), 1 / n)  # noqa: E731


def test_interquartile_mean_by_hand():
    # Of four the middle two; of six a quarter is one and a half runs: half of the second and of the fifth stay.
    assert interquartile_mean(np.array([[9.0, 1.0, 2.0, -50.0]]), even(4)) == pytest.approx([1.5])
    assert interquartile_mean(np.array([[1.0, 2, 3, 4, 5, 60]]), even(6)) == pytest.approx(
        [(0.5 * 2 + 3 + 4 + 0.5 * 5) / 3]
    )
    # A seed drawn three times of four has all of the middle half but nothing beyond.
    assert interquartile_mean(np.array([[1.0, 7.0]]), np.array([[0.75, 0.25]])) == pytest.approx([1.0])
    assert interquartile_mean(np.array([[1.0, 7.0]]), np.array([[0.5, 0.5]])) == pytest.approx([4.0])
    assert interquartile_mean(np.array([[3.0]]), np.array([[1.0]])) == pytest.approx([3.0])


def test_improvement_by_hand():
    # Of nine pairs 2 > 0, 2 > 1, 3 > 0, 3 > 1 and half of 0 = 0: 4.5; weights 1/2, 1/4, 1/4 for both agents.
    scores, others = np.array([[0.0, 2.0, 3.0]]), np.array([[0.0, 1.0, 4.0]])
    assert improvement(scores, others, even(3)) == pytest.approx([4.5 / 9])
    weights = np.array([[0.5, 0.25, 0.25]])
    assert improvement(scores, others, weights) == pytest.approx([0.5 * 0.25 + 0.25 * 0.75 + 0.25 * 0.75])


def test_profile_by_hand():
    scores = np.array([[0.1, 0.4, 0.4, 0.9], [0.1, 0.4, 0.4, 0.9]])
    weights = np.array([[0.25, 0.25, 0.25, 0.25], [0.5, 0.0, 0.25, 0.25]])
    above = profile(scores, weights, np.array([0.0, 0.1, 0.4, 0.9]))
    np.testing.assert_allclose(above, [[1, 0.75, 0.25, 0], [1, 0.5, 0.25, 0]])


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12), st.integers(0, 10**6))
def test_a_profile_falls_and_has_the_mean_below_it(scores, seed):
    """The area under a profile from a floor is the mean above that floor."""
    weights = draw_resamples(["a"] * len(scores), {"a": 1}, 5, np.random.default_rng(seed)).light.seeds
    rows, thresholds = np.broadcast_to(np.array([scores]), weights.shape), np.linspace(-5, 5, 501)
    above = profile(rows, weights, thresholds)
    assert (np.diff(above, axis=1) <= 1e-12).all()
    assert above.sum(axis=1) * (thresholds[1] - thresholds[0]) - 5 == pytest.approx(weights @ scores, abs=0.02)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12), st.integers(0, 10**6))
def test_equal_agents_improve_half_the_time_and_a_better_one_always(scores, seed):
    weights = draw_resamples(["a"] * len(scores), {"a": 1}, 5, np.random.default_rng(seed)).light.seeds
    rows = np.broadcast_to(np.array([scores]), weights.shape)
    assert improvement(rows, rows, weights) == pytest.approx(0.5)
    assert improvement(rows + 11, rows, weights) == pytest.approx(1)
    assert improvement(rows, rows + 11, weights) == pytest.approx(0)


@given(st.lists(st.floats(-5, 5), min_size=4, max_size=12), st.integers(0, 10**6))
def test_interquartile_mean_lies_within_and_moves_with_its_scores(scores, seed):
    weights = draw_resamples(["a"] * len(scores), {"a": 1}, 5, np.random.default_rng(seed)).light.seeds
    rows = np.broadcast_to(np.array([scores]), weights.shape)
    mean = interquartile_mean(rows, weights)
    assert (mean >= min(scores) - 1e-9).all() and (mean <= max(scores) + 1e-9).all()
    assert interquartile_mean(2 * rows + 1, weights) == pytest.approx(2 * mean + 1)
    outlier = np.array([scores])
    outlier[0, np.argmax(outlier)] = 1e9  # of four runs or more, the best alone is beyond the upper quartile
    assert interquartile_mean(outlier, even(len(scores))) == pytest.approx(mean[:1])


def test_areas_of_seeds_have_the_mean_that_the_agent_has():
    rng, checkpoints = np.random.default_rng(0), np.array([0, 32, 64, 320])
    values = [rng.uniform(0.4, 0.9, (4, 7)) for _ in range(5)]
    draws: Draws = draw_resamples(["a", "b", "a", "b", "a"], {"a": 7, "b": 7}, 30, rng).light
    oracle = rng.uniform(0.9, 1, 31)
    areas = seed_areas(values, oracle, checkpoints, draws)
    assert areas.shape == (31, 5)
    whole = area(mean_curve(values, draws), oracle, checkpoints)
    assert (areas * draws.seeds).sum(axis=1) == pytest.approx(whole)


@pytest.mark.parametrize("draw", ["standard_normal", "standard_exponential"])
@pytest.mark.parametrize("n", [10, 20])
def test_intervals_of_the_interquartile_mean_cover_it(draw, n):
    """Of 1 000 experiments 93 to 97 % in the long run; here with room for three standard errors (.007)."""
    rng = np.random.default_rng(n)
    population = np.sort(getattr(rng, draw)(400_000))[100_000:300_000].mean()
    covered = 0
    for _ in range(1000):
        draws = draw_resamples(["a"] * n, {"a": 1}, 400, rng).light
        rows = np.broadcast_to(getattr(rng, draw)(n), (401, n))
        interval = Interval.of(interquartile_mean(rows, draws.seeds))
        covered += interval.low <= population <= interval.high
    assert 0.93 - 0.02 < covered / 1000 < 0.97 + 0.02


ONE = "726 694 625 569 577 377 620 555 632 636 722 565 632 750 547 605 606 479 635 492"
OTHER = "665 839 737 568 672 602 652 713 736 725 601 616 602 572 615 576 586 566 550 1067"
THIRD = "364 374 353 419 432 444 344 395 369 513 462 309 465 450 414 456 459 400 436 376"
one, other, third = (np.array([int(word) / 1000 for word in text.split()]) for text in (ONE, OTHER, THIRD))


def test_agreement_with_an_independent_implementation():
    """Values that rliable 1.2.0 gives for these scores; its intervals are percentiles of 50 000 resamples of all n."""

    def interval(*scores):
        weights = draw_strata([len(of) for of in scores], 20_000, np.random.default_rng(0), leave=0)
        of = Interval.of(interquartile_mean(np.broadcast_to(np.concatenate(scores), weights.shape), weights))
        return float(of.value), float(of.low), float(of.high)

    assert interval(one) == pytest.approx((0.6066, 0.5717, 0.6428), abs=0.005)
    assert interval(other) == pytest.approx((0.6324, 0.5950, 0.6840), abs=0.005)
    assert interval(one, other, third) == pytest.approx((0.55877, 0.53903, 0.57847), abs=0.005)
    assert improvement(one[None], other[None], even(20)) == pytest.approx([0.3925])
    assert improvement(one[None, :10], other[None, :10], even(10)) == pytest.approx([0.22])
    at = np.array([0.45, 0.55, 0.6, 0.65, 0.7, 0.8])
    assert profile(one[None], even(20), at)[0] == pytest.approx([0.95, 0.8, 0.6, 0.2, 0.15, 0])
    assert profile(other[None], even(20), at)[0] == pytest.approx([1, 0.95, 0.7, 0.45, 0.3, 0.1])


def test_experiments_that_share_seeds_draw_them_alike():
    weights = draw_strata([5, 4, 5], 50, np.random.default_rng(0), alike=True)
    np.testing.assert_array_equal(weights[:, :5], weights[:, 9:])
    assert weights.sum(axis=1) == pytest.approx(1)
    rng, covered = np.random.default_rng(2), 0
    for _ in range(300):  # seven experiments on five seeds, whose effects are common to all of them
        areas = rng.normal(0, 1, 5) + rng.normal(0, 0.3, (7, 5))
        drawn = draw_strata([5] * 7, 200, rng, alike=True)
        interval = Interval.of((areas.ravel() * drawn).sum(axis=1))
        covered += interval.low <= 0 <= interval.high
    assert covered / 300 > 0.88  # five seeds are few; drawn apart: about .7


def test_strata_are_drawn_apart():
    weights = draw_strata([4, 10], 50, np.random.default_rng(0))
    assert weights.shape == (51, 14)
    assert weights[:, :4].sum(axis=1) == pytest.approx(0.5) and weights[:, 4:].sum(axis=1) == pytest.approx(0.5)
    assert weights[0] == pytest.approx([1 / 8] * 4 + [1 / 20] * 10)
    assert set(np.round(weights[1:, :4].ravel(), 9)) == {0.0, 0.5}  # one of four, three left out
    assert draw_strata([5], 50, np.random.default_rng(0), leave=0)[1:].min() * 5 == pytest.approx(0)
