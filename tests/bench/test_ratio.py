"""Queries to a level: isotonic fits, interpolation, censoring, and passive against itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duelgym_bench.ratio import (
    Ratio,
    both_ways,
    check_passive,
    isotonic_fit,
    passive_levels,
    queries_to_level,
    ratio,
    ratio_bounds,
)

CHECKPOINTS = np.array([0, 10, 100, 1000])
curves = st.lists(st.floats(0, 1), min_size=1, max_size=12).map(np.array)


def test_isotonic_fit_by_hand():
    # .7 and .5 pool to .6; then .6, .6, .3 pool to .5.
    np.testing.assert_allclose(isotonic_fit(np.array([[0.1, 0.7, 0.5, 0.8]])), [[0.1, 0.6, 0.6, 0.8]])
    np.testing.assert_allclose(isotonic_fit(np.array([[0.1, 0.7, 0.5, 0.3]])), [[0.1, 0.5, 0.5, 0.5]])


@given(curves)
def test_isotonic_fit_rises_keeps_the_mean_and_is_idempotent(curve: np.ndarray):
    fit = isotonic_fit(curve[None])
    assert (np.diff(fit) >= -1e-12).all()
    assert fit.mean() == pytest.approx(curve.mean())
    np.testing.assert_allclose(isotonic_fit(fit), fit, atol=1e-12)


@given(curves)
def test_isotonic_fit_leaves_rising_curves_alone(curve: np.ndarray):
    np.testing.assert_allclose(isotonic_fit(np.sort(curve)[None])[0], np.sort(curve), atol=1e-12)


def test_isotonic_fit_treats_rows_apart():
    rows = np.random.default_rng(0).uniform(size=(20, 9))
    np.testing.assert_allclose(isotonic_fit(rows), np.concatenate([isotonic_fit(row[None]) for row in rows]))


@pytest.mark.parametrize(
    ("level", "queries"),
    [
        (0.6, 10),  # at a checkpoint
        (0.65, 10**1.5),  # half way to the next, on the logarithmic axis
        (0.7, 100),  # the first of two equal ones
        (0.55, np.sqrt(5 * 10)),  # no query stands at half the first checkpoint
        (0.4, 5),  # reached from the start
        (0.71, np.inf),
    ],
)
def test_queries_to_level_by_hand(level: float, queries: float):
    fit = np.array([[0.5, 0.6, 0.7, 0.7]])
    assert queries_to_level(fit, CHECKPOINTS, np.array([level]))[0] == pytest.approx(queries)


@given(curves.filter(lambda curve: len(curve) > 1), st.floats(0, 1), st.integers(2, 50))
def test_scaling_queries_scales_the_cost(curve: np.ndarray, level: float, factor: int):
    checkpoints = np.array([0, *(4 ** np.arange(1, len(curve)))])
    fit, levels = isotonic_fit(curve[None]), np.array([level])
    cost = queries_to_level(fit, checkpoints, levels)
    np.testing.assert_allclose(queries_to_level(fit, factor * checkpoints, levels), factor * cost)


@given(curves.filter(lambda curve: len(curve) > 1), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_level_never_costs_less(curve: np.ndarray, one: float, other: float):
    checkpoints = np.array([0, *(2 ** np.arange(1, len(curve)))])
    fit = isotonic_fit(np.stack([curve, curve]))
    low, high = queries_to_level(fit, checkpoints, np.array(sorted([one, other])))
    assert low <= high * (1 + 1e-6)


def test_levels_by_hand():
    levels = passive_levels(np.array([[0.5, 0.6, 0.7]]), np.array([0.9]))
    assert {name: pytest.approx(value[0]) for name, value in levels.items()} == {
        "final": 0.7,
        "25%": 0.6,
        "50%": 0.7,
        "75%": 0.8,
        "90%": 0.86,
    }
    assert list(passive_levels(np.array([[0.5, 0.7]]), None)) == ["final"]


def test_passive_always_reaches_its_own_final_level():
    rng = np.random.default_rng(0)
    fits = isotonic_fit(rng.uniform(size=(500, 4)))
    assert np.isfinite(queries_to_level(fits, CHECKPOINTS, fits[:, -1])).all()


def resampled(*values: float) -> np.ndarray:
    """Costs with the row of the data in front, which a ratio over resamples leaves out."""
    return np.array([np.nan, *values])


def test_ratio_without_censoring():
    assert ratio(ratio_bounds(resampled(80, 100, 120), resampled(20, 20, 20), 1000)) == Ratio((5.0, 5.0), 4.0, 6.0)


def test_ratio_where_the_agent_does_not_arrive():
    # T_agent > 1000, so that the ratio is below 100 / 1000, and at least 0.
    assert ratio(ratio_bounds(resampled(100, 100, 100), resampled(*[np.inf] * 3), 1000)) == Ratio((0.0, 0.1), 0.0, 0.1)


def test_ratio_where_passive_does_not_arrive():
    assert ratio(ratio_bounds(resampled(*[np.inf] * 3), resampled(100, 100, 100), 1000)) == Ratio(
        (10.0, np.inf), 10.0, np.inf
    )


def test_ratio_where_neither_arrives_says_nothing():
    assert ratio(ratio_bounds(resampled(np.inf), resampled(np.inf), 1000)) == Ratio((0.0, np.inf), 0.0, np.inf)


def test_censoring_in_a_few_resamples_opens_the_interval_but_not_the_median():
    passive = resampled(*[200.0] * 100)
    agent = resampled(*[100.0] * 90, *[np.inf] * 10)
    assert ratio(ratio_bounds(passive, agent, 1000)) == Ratio((2.0, 2.0), 0.0, 2.0)


@pytest.mark.parametrize(
    ("ratios", "level", "verdict"),
    [
        ({"final": Ratio((1.0, 1.0), 0.7, 1.5)}, "final", "passed"),
        ({"final": Ratio((6.0, 6.0), 3.0, 9.0)}, "final", "FAILED"),
        ({"final": Ratio((1.2, 1.2), 1.1, 1.3)}, "final", "FAILED"),  # the interval does not cover 1
        ({"final": Ratio((0.0, 0.5), 0.0, 0.9)}, "final", "FAILED"),  # certainly below 0.8
        ({"final": Ratio((0.0, 1.0), 0.0, 1.2)}, None, "undetermined"),
        (
            {
                "final": Ratio((0.0, 1.0), 0.0, 1.2),
                "25%": Ratio((3.0, 3.0), 2.0, 4.0),
                "50%": Ratio((0.9, 0.9), 0.7, 1.1),
            },
            "50%",
            "passed",
        ),
    ],
)
def test_check_of_passive_against_itself(ratios: dict[str, Ratio], level: str | None, verdict: str):
    check = check_passive("passive@1", ratios, n_seeds=5)
    assert (check.level, check.verdict) == (level, verdict)
    few = check_passive("passive@1", ratios, n_seeds=4)
    assert (few.level, few.verdict, set(few.levels.values())) == (None, "undetermined", {"undetermined"})


def test_the_measure_gives_passive_no_lead_over_itself():
    """A curve that is flat at the end, with noise: first crossings of the raw curve lead several times, this does not."""
    rng = np.random.default_rng(3)
    checkpoints = np.array([0, *np.round(32 * 1.4 ** np.arange(16)).astype(int)])
    truth = 0.5 + 0.2 * np.minimum(1, np.log1p(checkpoints) / np.log(600))
    measured, naive = [], []
    for _ in range(400):
        passive, other = truth + rng.normal(0, 0.01, (2, len(truth)))
        fits = isotonic_fit(np.stack([passive, other]))
        costs = queries_to_level(fits, checkpoints, np.repeat(fits[0, -1], 2))
        measured.append(min(costs[0], checkpoints[-1]) / min(costs[1], checkpoints[-1]))
        crossed = other >= passive[-1]
        naive.append(checkpoints[-1] / (checkpoints[crossed.argmax()] if crossed.any() else checkpoints[-1]))
    assert 0.8 <= np.median(measured) <= 1.25
    assert np.median(naive) > 2


def test_both_ways_by_hand():
    """A lead of 4 one way and 1/4 the other is chance; 4 both ways is a lead. Censoring keeps its bounds."""
    four, quarter = (resampled(4.0), resampled(4.0)), (resampled(0.25), resampled(0.25))
    assert ratio(both_ways(four, quarter)) == Ratio((1.0, 1.0), 1.0, 1.0)
    assert ratio(both_ways(four, four)) == Ratio((4.0, 4.0), 4.0, 4.0)
    assert ratio(both_ways(four, (resampled(0.0), resampled(0.25)))) == Ratio((0.0, 1.0), 0.0, 1.0)
    assert ratio(both_ways(four, (resampled(0.25), resampled(np.inf)))) == Ratio((1.0, np.inf), 1.0, np.inf)
    assert ratio(both_ways((resampled(0.0), resampled(0.1)), (resampled(2.0), resampled(np.inf)))).median == (
        0.0,
        np.inf,
    )


@pytest.mark.parametrize(("bend", "least"), [(6400, 0.95), (640, 0.7)])
def test_equal_agents_pass_the_check(bend: int, least: float):
    """Two noisy samples of one rising curve, and of one that is flat from 640 labels on, where the final level misleads."""
    rng = np.random.default_rng(1)
    checkpoints = np.array([0, *np.round(32 * 1.5 ** np.arange(14)).astype(int)])
    truth = 0.46 + 0.2 * np.minimum(1, np.log1p(checkpoints / 30) / np.log1p(bend / 30))
    verdicts = []
    for _ in range(60):
        means = truth + rng.normal(0, 0.008, (2, 1)) + rng.normal(0, 0.005, (2, len(truth)))
        noise = rng.normal(0, 0.008, (2, 201, 1)) + rng.normal(0, 0.005, (2, 201, len(truth)))
        fits = [isotonic_fit(samples) for samples in means[:, None] + noise]
        ways = []
        for passive, other in (fits, fits[::-1]):
            levels = passive_levels(passive, np.full(201, 0.77))
            costs = {
                k: [queries_to_level(fit, checkpoints, at) for fit in (passive, other)] for k, at in levels.items()
            }
            ways.append({k: ratio_bounds(*cost, int(checkpoints[-1])) for k, cost in costs.items()})
        check = check_passive("passive@1", {k: ratio(both_ways(ways[0][k], ways[1][k])) for k in ways[0]}, n_seeds=10)
        verdicts.append(check.verdict == "passed")
        assert check.levels["50%"] == "passed"
    assert np.mean(verdicts) >= least
