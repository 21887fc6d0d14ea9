"""Raters who weigh attributes."""

from itertools import pairwise
from math import log

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from duelgym.errors import SpecificationError
from duelgym.metrics.calibration import favourite_rate
from duelgym.simulators.attributes import FORMULA, AttributeRaters, Population, Weights, member

POPULATION = Population(
    liked=("helpful", "true"),
    tastes=("detail", "formality", "warmth"),
    spread=(0.5, 0.25, 1.0, 2.0, 4.0),
    liked_scale=2.0,
)
CALIBRATION = np.random.default_rng(8).standard_normal((400, 2, 5))
level = st.floats(-5, 5)


def _raters(rater=None):
    return AttributeRaters(POPULATION, lambda questions: CALIBRATION[questions], CALIBRATION, rater)


def _u(weights, *attributes):
    return float(weights.utilities(np.array([[attributes]], dtype=np.float64))[0, 0])


def test_utilities_by_hand():
    """L = 0: u = -ln 2 + (2 t₁ - t₂ + t₁ t₂ / 2) / (1 + e⁻¹) with t₁ = 1/2 and t₂ = 1/4; L = ln 3 without tastes: -ln(4/3)."""
    weights = Weights(np.array([1.0]), np.array([2.0, -1.0]), np.array([0.5]))
    expected = -log(2) + (1.0 - 0.25 + 0.0625) / (1 + np.exp(-1))
    assert _u(weights, 0.0, np.arctanh(0.5), np.arctanh(0.25)) == pytest.approx(expected)
    assert _u(weights, log(3), 0.0, 0.0) == pytest.approx(-log(4 / 3))


@pytest.mark.parametrize(("taste", "rises"), [(-2.52, True), (-2.6, False)])
def test_what_all_like_may_be_disliked_only_under_tastes_below_a_bound(taste, rises):
    """-4 (1 - 1/e) = -2.528…; just below it u falls around L = 0.33."""
    weights = Weights(np.array([1.0]), np.array([taste]), np.zeros(0))
    u = weights.utilities(np.stack([np.linspace(-20, 20, 4001), np.full(4001, 20.0)], axis=1)[None])[0]
    falls = np.linspace(-20, 20, 4001)[1:][np.diff(u) < -1e-12]
    assert not len(falls) if rises else falls.min() < 0.33 < falls.max()


def test_interactions_are_in_the_order_of_the_upper_triangle():
    weights = Weights(np.zeros(1), np.zeros(3), np.array([1.0, 0.0, 0.0]))
    gate = 1 / (1 + np.exp(-1))
    assert _u(weights, 0.0, 9.0, 9.0, 0.0) == pytest.approx(-log(2) + gate, abs=1e-6)
    assert _u(weights, 0.0, 9.0, 0.0, 9.0) == _u(weights, 0.0, 0.0, 9.0, 9.0) == pytest.approx(-log(2))


@given(st.lists(level, min_size=3, max_size=3, unique=True))
def test_what_all_like_is_liked_and_saturates(levels):
    """Without tastes u rises in z, and by ever less."""
    weights = Weights(np.array([1.3]), np.zeros(1), np.zeros(0))
    low, middle, high = sorted(levels)
    assume(min(middle - low, high - middle) > 1e-3)
    u = [_u(weights, z, 0.0) for z in (low, middle, high)]
    first, second = (u[1] - u[0]) / (middle - low), (u[2] - u[1]) / (high - middle)
    assert first > second > 0


@given(level, level, st.floats(0.05, 5), st.sampled_from([-1.2, 0.7]))
def test_tastes_count_by_their_sign_and_less_without_what_all_like(liked, taste, step, sign):
    weights = Weights(np.array([1.0]), np.array([sign]), np.zeros(0))

    def gain(z):
        return _u(weights, z, taste + step) - _u(weights, z, taste)

    assert gain(liked) * sign > 0
    assert abs(gain(liked - 1.0)) < abs(gain(liked))


def test_tastes_saturate():
    weights = Weights(np.array([1.0]), np.array([1.0]), np.zeros(0))
    gains = [_u(weights, 0.0, z + 1) - _u(weights, 0.0, z) for z in range(5)]
    assert all(later < earlier for earlier, later in pairwise(gains))


def test_the_specification_round_trip():
    described = POPULATION.specification()
    assert described["formula"] == FORMULA and Population.from_specification(described) == POPULATION
    assert Population.from_specification({**described, "liked_scale": 3}).liked_scale == 3.0
    assert POPULATION.names == ("helpful", "true", "detail", "formality", "warmth")


@pytest.mark.parametrize("missing", POPULATION.specification())
def test_an_incomplete_population_is_refused(missing):
    described = POPULATION.specification()
    del described[missing]
    with pytest.raises(SpecificationError, match="a population of attribute raters has formula, liked, tastes"):
        Population.from_specification(described)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"formula": "sum-1"}, "formula 'sum-1'"),
        ({"spread": {**POPULATION.specification()["spread"], "true": 0.0}}, "positive spreads"),
        ({"spread": {"helpful": 1.0}}, "a population of attribute raters has"),
        ({"spread": 1.0}, "a population of attribute raters has"),
        ({"liked_scale": "much"}, "a population of attribute raters has"),
    ],
)
def test_a_wrong_population_is_refused(change, message):
    with pytest.raises(SpecificationError, match=message):
        Population.from_specification({**POPULATION.specification(), **change})


def test_standardised_by_hand():
    """Two candidates that differ by 1 in ``true``, named in another order: -1/2 and 1/2, divided by 0.25."""
    names = ("warmth", "true", "unused", "helpful", "detail", "formality")
    values = np.zeros((1, 2, 6))
    values[0, 1, 1], values[0, :, 2], values[0, :, 0] = 1.0, (5.0, 9.0), 3.0
    assert POPULATION.standardised(values, names).tolist() == [[[0, -2, 0, 0, 0], [0, 2, 0, 0, 0]]]


def test_weights_are_drawn_as_documented():
    rng = np.random.default_rng(0)
    drawn = [POPULATION.weights(rng) for _ in range(800)]
    liked = np.stack([weights.liked for weights in drawn])
    tastes = np.stack([weights.tastes for weights in drawn])
    interactions = np.stack([weights.interactions for weights in drawn])
    assert liked.min() >= 1.0 and liked.max() <= 3.0 and liked.mean() == pytest.approx(2.0, abs=0.06)
    assert np.abs(tastes).min() >= 0.5 and np.abs(tastes).max() <= 1.5
    assert (tastes > 0).mean() == pytest.approx(0.5, abs=0.05)
    assert interactions.shape == (800, 3) and interactions.std() == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("rater", [None, 0, 1, 17, {"true": 1.0}, {"helpful": 0.5, "detail": -1.0, "warmth": 2}])
def test_every_rater_chooses_the_favourite_seventy_times_in_a_hundred(rater):
    for seed in range(5):
        drawn = _raters(rater).draw(np.random.default_rng(seed))
        assert favourite_rate(drawn.utilities(np.arange(400)), temperature=1.0) == pytest.approx(0.70, abs=1e-3)


def test_the_seed_draws_the_rater_unless_one_is_named():
    def drawn(rater, seed):
        return _raters(rater).draw(np.random.default_rng(seed)).utilities(np.arange(3)).tolist()

    assert drawn(None, 1) == drawn(None, 1) != drawn(None, 2)
    assert drawn(4, 1) == drawn(4, 2) != drawn(5, 1)
    assert drawn({"true": 1.0}, 1) == drawn({"true": 1.0}, 2) != drawn({"helpful": 1.0}, 1)
    assert member(4).random() == member(4).random() != member(5).random()


def test_named_weights_by_hand():
    weights = POPULATION.named({"true": 2, "warmth": -0.5})
    assert weights.liked.tolist() == [0.0, 2.0] and weights.tastes.tolist() == [0.0, 0.0, -0.5]
    assert weights.interactions.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("rater", "message"),
    [
        ({"brevity": 1.0}, "rater holds 'brevity': 1.0"),
        ({"true": -1.0}, "rater holds 'true': -1.0"),
        ({"detail": float("nan")}, "rater holds 'detail': nan"),
        ({"detail": True}, "rater holds 'detail': True"),
        ({"detail": "much"}, "rater holds 'detail': 'much'"),
        ({}, "at least one weight must differ from 0"),
        ({"detail": 0.0}, "at least one weight must differ from 0"),
        (-1, "rater is -1"),
        (True, "rater is True"),
        (1.5, "rater is 1.5"),
        ("first", "rater is 'first'"),
    ],
)
def test_an_unknown_rater_is_refused_at_once(rater, message):
    with pytest.raises(SpecificationError, match=message) as refused:
        _raters(rater)
    assert "\n" not in str(refused.value)
