"""The power law fitted to a curve of win rates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duelgym_bench.power_law import power_law

CHECKPOINTS = np.array([0, 8, 32, 64, 160, 640, 3200])


def law(a: float, b: float) -> np.ndarray:
    return 1 - 0.5 * (np.maximum(CHECKPOINTS, 1) / a) ** -b


@given(st.floats(1, 30), st.floats(0.02, 1))
def test_a_power_law_is_found_again(a: float, b: float):
    fit = power_law(np.stack([law(a, b)] * 3), CHECKPOINTS)
    assert (float(fit.a.value), float(fit.b.value)) == (pytest.approx(a, rel=1e-3), pytest.approx(b, rel=1e-3))
    assert fit.error == pytest.approx(0, abs=1e-6)
    assert fit(np.array([a])) == pytest.approx([0.5], abs=1e-4)


def test_by_hand():
    """Three checkpoints evenly apart weigh 1/4, 1/2, 1/4; 1 - w of 1/2, 1/4 and 1/4 has y = 0, -log 2, -log 2.

    With x = -log 2, 0, log 2 around the middle one: b = log 2 * (log 2) / 4 / (log 2)^2 * 2 = 1/2; mean y = -3/4 log 2.
    """
    fit = power_law(np.array([[0.2, 0.5, 0.75, 0.75]] * 2), np.array([0, 32, 64, 128]))
    assert float(fit.b.value) == pytest.approx(0.5)
    assert np.log(float(fit.a.value)) == pytest.approx(np.log(64) - 1.5 * np.log(2))
    fitted = fit(np.array([32.0, 64, 128])) - [0.5, 0.75, 0.75]
    assert fit.error == pytest.approx(np.sqrt([0.25, 0.5, 0.25] @ fitted**2))


def test_no_fit_of_curves_that_fall_or_are_short():
    assert power_law(law(5, 0.2)[None, ::-1].repeat(2, 0), CHECKPOINTS) is None
    assert power_law(np.full((2, 7), 0.5), CHECKPOINTS) is None
    assert power_law(law(5, 0.2)[None, :3].repeat(2, 0), CHECKPOINTS[:3]) is None


def test_a_win_rate_of_one_is_no_infinity():
    curve = law(5, 0.3)
    curve[-1] = 1.0
    fit = power_law(np.stack([curve] * 3), CHECKPOINTS)
    assert np.isfinite([fit.error, float(fit.a.value), float(fit.b.value)]).all()


def test_resamples_that_do_not_rise_leave_the_ends_open():
    fit = power_law(np.stack([law(5, 0.2), law(5, 0.2), law(5, 0.2)[::-1]]), CHECKPOINTS)
    assert np.isnan(float(fit.a.low)) and np.isfinite(float(fit.a.value)) and float(fit.b.low) < 0
