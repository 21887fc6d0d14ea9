"""The Bradley-Terry rater, and the drawing of labels from probabilities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duelgym.envs.session import resolve
from duelgym.errors import SpecificationError
from duelgym.simulators import BradleyTerry, Duels, PreferenceSimulator, simulator_from_specification, win_probability

utility = st.floats(-1e6, 1e6)


def _duels(first, second):
    n = len(first)
    ids = np.stack([np.zeros(n, dtype=np.int64), np.ones(n, dtype=np.int64)], axis=1)
    return Duels(np.zeros(n, dtype=np.int64), ids, np.stack([first, second], axis=1), np.arange(n))


def test_by_hand():
    """A gap of ln 3 at temperature 1 is won 3 times in 4; at temperature 2, sqrt(3) : 1."""
    p = win_probability(np.log([3.0, 3.0]), np.zeros(2), temperature=1.0)
    assert p.tolist() == pytest.approx([0.75, 0.75])
    assert win_probability(np.log(3.0), 0.0, temperature=2.0) == pytest.approx(np.sqrt(3) / (1 + np.sqrt(3)))


@given(utility, utility, st.floats(1e-3, 1e3))
def test_the_two_orders_sum_to_one_exactly(first, second, temperature):
    p = win_probability(np.array(first), np.array(second), temperature=temperature)
    q = win_probability(np.array(second), np.array(first), temperature=temperature)
    assert 0.0 <= p <= 1.0 and p + q == 1.0


@given(st.lists(st.tuples(utility, utility), min_size=1, max_size=8), st.floats(0.1, 10))
def test_judgement_is_probability_and_the_specification_rebuilds_it(pairs, temperature):
    simulator = BradleyTerry(temperature)
    duels = _duels(*np.array(pairs).T)
    assert np.array_equal(simulator.judgement(duels), simulator.probability(duels))
    again = simulator_from_specification(simulator.specification())
    assert again == simulator and isinstance(again, PreferenceSimulator)


def test_empirical_rates_within_three_standard_errors_over_twenty_probabilities():
    rng, n = np.random.default_rng(0), 10_000
    for p in np.linspace(0.02, 0.98, 20):
        ids = np.tile([3, 1], (n, 1))
        for shown in (ids, ids[:, ::-1]):
            first = resolve(np.full(n, p), rng.random(n), shown, symmetric=True)
            assert abs(first.mean() - p) < 3 * np.sqrt(p * (1 - p) / n)
        assert abs(resolve(np.full(n, p), rng.random(n), ids, symmetric=False).mean() - p) < 3 * np.sqrt(
            p * (1 - p) / n
        )


@given(st.floats(0, 1), st.floats(0, 1, exclude_max=True))
def test_the_same_uniform_gives_the_same_winner_in_either_order(p, u):
    probability = win_probability(np.array([np.log((p + 1e-9) / (1 - p + 1e-9))]), np.zeros(1), temperature=1.0)
    ids = np.array([[4, 9]])
    first = resolve(probability, np.array([u]), ids, symmetric=True)[0]
    mirrored = resolve(1.0 - probability, np.array([u]), ids[:, ::-1], symmetric=True)[0]
    assert first != mirrored
    assert first == ((u < probability[0]) if probability[0] >= 0.5 else (u >= 1 - probability[0]))


@pytest.mark.parametrize("temperature", [0, -1.0, float("inf"), float("nan"), True, "hot"])
def test_temperatures_that_mean_nothing_are_refused(temperature):
    with pytest.raises(SpecificationError, match="positive finite"):
        BradleyTerry(temperature)


def test_without_utilities_it_says_what_is_missing():
    duels = Duels(np.zeros(1, dtype=int), np.zeros((1, 2), dtype=int), None, np.zeros(1, dtype=int))
    with pytest.raises(SpecificationError, match="needs utilities"):
        BradleyTerry(1.0).probability(duels)


def test_a_temperature_of_next_to_nothing_is_a_sure_rater():
    sure = win_probability(np.array([1.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0]), temperature=1e-308)
    np.testing.assert_array_equal(sure, [1.0, 0.0, 0.5])
