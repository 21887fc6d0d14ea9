"""Figures of pools small enough to be worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import duelgym.metrics.calibration as calibration
from duelgym.errors import PoolError
from duelgym.metrics.calibration import (
    bits_per_label,
    favourite_rate,
    find_temperature,
    longest,
    reference_win_rates,
    single_utility,
    tied_share,
    win_rates,
    zero_query_win_rates,
)

# One prompt: logits 0, ln 3, ln 9. Pairs: (0, ln 3) and (ln 3, ln 9) are won 3:1, (0, ln 9) is won 9:1.
LADDER = np.log([[1.0, 3.0, 9.0]])


def test_favourite_rate_by_hand() -> None:
    assert favourite_rate(LADDER, temperature=1.0) == pytest.approx((0.75 + 0.75 + 0.9) / 3)


def test_temperature_by_hand() -> None:
    """With one pair, sigmoid(ln 9 / T) = 0.75 at T = ln 9 / ln 3 = 2."""
    assert find_temperature(np.log([[1.0, 9.0]]), rate=0.75) == 2.0


def test_bits_by_hand() -> None:
    """A fair coin tells nothing; 3:1 leaves 1 - h(1/4) = 0.1887 bit; a certain label tells one bit."""
    assert bits_per_label(np.zeros((1, 2)), temperature=1.0) == pytest.approx(0.0, abs=1e-12)
    assert bits_per_label(np.log([[1.0, 3.0]]), temperature=1.0) == pytest.approx(0.75 * math.log2(3) - 1, abs=1e-12)
    assert bits_per_label(np.array([[0.0, 1e6]]), temperature=1.0) == pytest.approx(1.0, abs=1e-12)


def test_ties_by_hand() -> None:
    assert tied_share(np.array([[1.0, 1.0, 2.0], [0.0, 1.0, 2.0]])) == pytest.approx(1 / 6)


def test_win_rates_by_hand() -> None:
    rates = win_rates(LADDER, temperature=1.0)
    np.testing.assert_allclose(rates, [[(0.25 + 0.1) / 2, 0.5, (0.75 + 0.9) / 2]])
    against = reference_win_rates(LADDER, reference_utility=math.log(3), temperature=1.0)
    np.testing.assert_allclose(against, [[0.25, 0.5, 0.75]])


def test_zero_query_policies_by_hand() -> None:
    """Two prompts, the second one the mirror of the first; the longest responses are columns 1 and 0 (a draw)."""
    utilities = np.concatenate([LADDER, LADDER[:, ::-1]])
    characters = np.array([[1, 5, 2], [7, 3, 7]])
    assert longest(characters).tolist() == [1, 0]
    rates = win_rates(utilities, temperature=1.0)
    figures = zero_query_win_rates(rates, utilities, characters)
    assert figures == {
        "oracle": pytest.approx(0.825),
        "uniform": pytest.approx(0.5),
        "best_column": pytest.approx(0.5),
        "first_column": pytest.approx(0.5),
        "longest": pytest.approx((0.5 + 0.825) / 2),
    }


@given(seed=st.integers(0, 10_000), rate=st.floats(0.55, 0.95), scale=st.floats(1e-3, 1e3))
@settings(max_examples=25)
def test_the_temperature_found_gives_the_rate_asked_for(seed: int, rate: float, scale: float) -> None:
    utilities = scale * np.random.default_rng(seed).standard_normal((6, 4))
    assert favourite_rate(utilities, temperature=find_temperature(utilities, rate=rate)) == pytest.approx(
        rate, abs=1e-5
    )


def test_blocks_do_not_change_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    utilities = np.random.default_rng(2).standard_normal((11, 5))
    whole = (favourite_rate(utilities, temperature=0.7), win_rates(utilities, temperature=0.7))
    monkeypatch.setattr(calibration, "_BLOCK_PAIRS", 60)
    assert favourite_rate(utilities, temperature=0.7) == pytest.approx(whole[0], abs=1e-14)
    np.testing.assert_array_equal(win_rates(utilities, temperature=0.7), whole[1])


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25)
def test_a_uniform_choice_wins_half(seed: int) -> None:
    utilities = np.random.default_rng(seed).standard_normal((3, 5))
    assert win_rates(utilities, temperature=1.3).mean() == pytest.approx(0.5, abs=1e-12)


def test_what_cannot_be_calibrated_is_refused() -> None:
    with pytest.raises(PoolError, match=r"66\.7% is the limit"):  # two of three pairs tied: 1 - 2/3 / 2
        find_temperature(np.array([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]])[:, :4])
    with pytest.raises(PoolError, match=r"favourite rate is 0\.5"):
        find_temperature(LADDER, rate=0.5)
    with pytest.raises(PoolError, match="two candidates"):
        favourite_rate(np.zeros((3, 1)), temperature=1.0)


def test_several_attributes_have_no_utility_of_their_own() -> None:
    assert single_utility(np.zeros((2, 3, 1))).shape == (2, 3)
    with pytest.raises(PoolError, match=r"2 attributes.*name a rater"):
        single_utility(np.zeros((2, 3, 2)))
