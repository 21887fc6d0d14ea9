"""Interquartile mean and probability of improvement."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duelgym_bench.aggregate import improvement, interquartile_mean, profile, seed_areas
from duelgym_bench.statistics import Draws, Interval, area, draw_resamples, mean_curve

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
    rows, thresholds = np.broadcast_to(np.array([scores]), weights.shape), np.linspace(-5, 5, 2001)
    above = profile(rows, weights, thresholds)
    assert (np.diff(above, axis=1) <= 1e-12).all()
    assert above.sum(axis=1) * (thresholds[1] - thresholds[0]) - 5 == pytest.approx(weights @ scores, abs=0.01)


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
