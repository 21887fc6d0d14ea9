"""Student's t: tabled values, the density, and that tail and quantile undo each other."""

import math

import numpy as np
import pytest

from duelgym_bench.student import quantile, upper_tail


def test_tabled_quantiles():
    tabled = ((1, 63.657), (2, 9.925), (3, 5.841), (4, 4.604), (9, 3.250), (30, 2.750), (120, 2.617))
    for degrees, value in tabled:
        assert round(quantile(0.995, degrees), 3) == value


def test_tails_by_hand():
    assert math.isclose(upper_tail(1.0, 1), 0.25)  # Cauchy: a quarter lies above 1
    assert math.isclose(upper_tail(math.sqrt(2), 2), (1 - math.sqrt(0.5)) / 2)  # t / sqrt(2 + t²) lies within
    assert upper_tail(0.0, 7) == 0.5 and upper_tail(math.inf, 3) == 0.0 and upper_tail(-math.inf, 3) == 1.0


@pytest.mark.parametrize("degrees", [1, 2, 3, 6, 17, 60])
def test_the_tail_is_that_of_the_density(degrees):
    for t in (0.3, 1.7, 4.2):
        x = np.linspace(0, t, 4001)
        density = (1 + x**2 / degrees) ** (-(degrees + 1) / 2)
        scale = math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)) / math.sqrt(degrees * math.pi)
        below = 0.5 + scale * float(np.sum(density[1:] + density[:-1]) / 2 * x[1])
        assert math.isclose(upper_tail(t, degrees), 1 - below, abs_tol=1e-6)
        assert math.isclose(upper_tail(-t, degrees), below, abs_tol=1e-6)
        assert math.isclose(quantile(1 - upper_tail(t, degrees), degrees), t, rel_tol=1e-9)
