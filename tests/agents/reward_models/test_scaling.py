from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duelgym_agents.reward_models.scaling import FeatureScaler


def test_scaling_by_hand():
    scaler = FeatureScaler(2)
    scaler.update(np.array([[1.0, 5.0], [3.0, 5.0]], np.float32))
    # Mean (2, 5); squared distances 1, 0, 1, 0: spread sqrt(2 / 4).
    assert scaler(np.array([[3.0, 6.0]], np.float32)) == pytest.approx(np.array([[2**0.5, 2**0.5]]))


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.floats(1e-3, 1e3), st.floats(-10, 10))
def test_scaled_features_do_not_depend_on_scale_shift_or_batches(seed, scale, shift):
    rows = np.random.default_rng(seed).standard_normal((12, 3)).astype(np.float32)
    whole, pieces = FeatureScaler(3), FeatureScaler(3)
    whole.update(rows)
    for piece in (rows[:1], rows[1:5], rows[5:]):
        pieces.update(((piece + np.float32(shift)) * np.float32(scale)).astype(np.float32))
    moved = pieces((rows + np.float32(shift)) * np.float32(scale))
    assert moved == pytest.approx(whole(rows), abs=1e-3)
    assert float(np.square(whole(rows)).mean()) == pytest.approx(1.0, rel=1e-4)


def test_features_that_never_vary_become_zero():
    scaler = FeatureScaler(3)
    row = np.array([[0.1, 0.7, -0.3]], np.float32)
    for _ in range(5):
        scaler.update(np.repeat(row, 3001, axis=0))
    assert (scaler(row) == 0).all()
