"""The bootstrap: weights, means, areas, intervals and their coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duelgym_bench.statistics import Draws, Interval, area, area_weights, deviation, draw_resamples, mean_curve


def test_mean_curve_by_hand():
    """Two seeds of one group: the second resample counts seed 0 alone and prompt 1 three times as much."""
    draws = Draws(
        seeds=np.array([[0.5, 0.5], [1.0, 0.0]]),
        prompts={"a": np.array([[0.5, 0.5], [0.25, 0.75]])},
        groups=("a", "a"),
    )
    values = [np.array([[0.2, 0.4], [0.6, 1.0]]), np.array([[0.0, 0.0], [1.0, 1.0]])]
    np.testing.assert_allclose(mean_curve(values, draws), [[0.15, 0.9], [0.35, 0.9]])


def test_area_by_hand():
    # From 32 on: the mean of .5 and .7 over the first octave, .7 over the second.
    checkpoints = np.array([0, 32, 64, 128])
    win = np.array([[0.1, 0.5, 0.7, 0.7]])
    assert area(win, np.array([0.9]), checkpoints)[0] == pytest.approx((0.65 - 0.5) / 0.4)


def test_area_starts_between_checkpoints():
    # 32 lies half way between 16 and 64 on the logarithmic axis, where the line through .2 and .6 has height .4.
    win = np.array([[0.0, 0.2, 0.6]])
    assert win @ area_weights(np.array([0, 16, 64])) == pytest.approx((0.4 + 0.6) / 2)


def test_until_a_large_first_batch_is_learnt_from_the_area_is_that_of_no_label():
    # From 32 to 64 the .2 of checkpoint 0; from 64 to 128 the mean of .4 and .6.
    assert np.array([0.2, 0.4, 0.6]) @ area_weights(np.array([0, 64, 128])) == pytest.approx((0.2 + 0.5) / 2)


@given(st.lists(st.integers(1, 100_000), min_size=1, max_size=12, unique=True), st.floats(0, 1))
def test_area_of_a_constant_is_the_constant(counts: list[int], height: float):
    checkpoints = np.array([0, *sorted(counts)])
    assert np.full(len(checkpoints), height) @ area_weights(checkpoints) == pytest.approx(height, abs=1e-9)


@given(st.integers(1, 12), st.integers(1, 30), st.integers(0, 2**32))
def test_weights_sum_to_one_and_begin_with_the_data(n_seeds: int, n_prompts: int, seed: int):
    groups = [f"g{k % 3}" for k in range(n_seeds)]
    resamples = draw_resamples(groups, dict.fromkeys(groups, n_prompts), 20, np.random.default_rng(seed))
    for name in ("light", "full", "shared", "seeds", "prompts"):
        draws = getattr(resamples, name)
        for weights, n in [(draws.seeds, n_seeds), *((w, n_prompts) for w in draws.prompts.values())]:
            assert weights.shape == (21, n)
            assert weights.min() >= 0
            np.testing.assert_allclose(weights.sum(axis=1), 1)
            np.testing.assert_allclose(weights[0], 1 / n)


def test_equal_generators_give_equal_draws():
    a, b = (draw_resamples(["x"] * 4, {"x": 7}, 50, np.random.default_rng(5)).light for _ in range(2))
    np.testing.assert_array_equal(a.seeds, b.seeds)
    np.testing.assert_array_equal(a.prompts["x"], b.prompts["x"])


def test_interval_keeps_the_estimate_apart_from_the_resamples():
    interval = Interval.of(np.concatenate([[5.0], np.arange(1001) / 1000]))
    assert (interval.value, interval.low, interval.high) == (5.0, pytest.approx(0.025), pytest.approx(0.975))


def test_components_by_formula():
    """Variance between n seeds alone is s² / n, inflated to Student's t: s² / n * (n - 1) / (n - 3)."""
    rng = np.random.default_rng(0)
    seeds, prompts = rng.normal(size=10), rng.normal(size=50)
    values = [(s + prompts)[None] for s in seeds]
    resamples = draw_resamples(["x"] * 10, {"x": 50}, 20_000, rng)
    expected = seeds.std(ddof=1) * np.sqrt(9 / 7 / 10)
    assert deviation(mean_curve(values, resamples.seeds)[:, 0]) == pytest.approx(expected, rel=0.03)
    expected = prompts.std(ddof=1) * np.sqrt(49 / 47 / 50)
    assert deviation(mean_curve(values, resamples.prompts)[:, 0]) == pytest.approx(expected, rel=0.03)


def test_a_censored_number_keeps_its_infinities():
    cost = Interval.of_censored(np.array([7.0, *range(1, 100), np.inf]))  # the estimate, then 100 resamples
    assert (float(cost.value), float(cost.low), float(cost.high)) == (7.0, 3.0, 98.0)
    never = Interval.of_censored(np.array([np.inf, 1.0, np.inf, np.inf, np.inf]))
    assert (float(never.value), float(never.low), float(never.high)) == (np.inf, 1.0, np.inf)
