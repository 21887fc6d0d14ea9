from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duelgym.errors import SpecificationError
from duelgym_agents.exploration import Boltzmann, DoubleThompson, Infomax, Passive
from duelgym_agents.exploration.infomax import win_probability_variances

RULES = [Passive(), Boltzmann(), Infomax(), DoubleThompson()]


class Scripted:
    """Stands in for a generator: ``integers`` returns the arrays it was given, in turn."""

    def __init__(self, *arrays):
        self._arrays = list(arrays)

    def integers(self, high, size=None):
        array = np.asarray(self._arrays.pop(0), dtype=np.int64)
        assert size in (None, len(array), array.shape)
        assert (array < high).all()
        return array

    def used_up(self):
        return not self._arrays


def utilities_for(rule, n_samples, batch, n_candidates, seed=0, scale=1.0):
    n_samples = 1 if rule.reads == "mean" else n_samples
    draws = np.random.default_rng(seed).standard_normal((n_samples, batch, n_candidates))
    return (scale * draws).astype(np.float32)


def pair_counts(rule, utilities, seed, repeats):
    """Count ordered pairs over many draws for one prompt."""
    n_candidates = utilities.shape[2]
    tiled = np.repeat(utilities, repeats, axis=1)
    pairs = rule(tiled, np.random.default_rng(seed)).pairs
    return np.bincount(pairs[:, 0] * n_candidates + pairs[:, 1], minlength=n_candidates**2)


def chi_square(counts, probabilities):
    possible = probabilities > 0
    assert counts[~possible].sum() == 0
    expected = counts.sum() * probabilities[possible]
    return float(((counts[possible] - expected) ** 2 / expected).sum())


# --- every rule -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@settings(max_examples=40)
@given(
    n_samples=st.integers(2, 5),
    batch=st.integers(1, 5),
    n_candidates=st.integers(2, 6),
    scale=st.sampled_from([0.0, 1e-6, 1.0, 1e6]),
    seed=st.integers(0, 10**6),
)
def test_pairs_are_legal_and_of_two_candidates(rule, n_samples, batch, n_candidates, scale, seed):
    utilities = utilities_for(rule, n_samples, batch, n_candidates, seed, scale)
    selection = rule(utilities, np.random.default_rng(seed))
    pairs = selection.pairs
    assert pairs.shape == (batch, 2)
    assert pairs.dtype == np.int64
    assert ((pairs >= 0) & (pairs < n_candidates)).all()
    assert (pairs[:, 0] != pairs[:, 1]).all()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_equal_generators_give_equal_pairs_and_utilities_stay_as_they_are(rule):
    utilities = utilities_for(rule, 4, 8, 10)
    before = utilities.copy()
    first, second = (rule(utilities, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first.pairs, second.pairs)
    assert (first.retries, first.fallbacks) == (second.retries, second.fallbacks)
    assert np.array_equal(utilities, before)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_permuting_candidates_permutes_the_distribution_of_pairs(rule):
    utilities = utilities_for(rule, 3, 1, 4, seed=5)
    order = np.array([2, 0, 3, 1])
    repeats = 20_000
    plain = pair_counts(rule, utilities, 0, repeats).reshape(4, 4)
    permuted = pair_counts(rule, utilities[:, :, order], 1, repeats).reshape(4, 4)
    expected = plain[np.ix_(order, order)]
    if rule.name == "infomax":  # it shows the lower position first: compare unordered pairs
        permuted, expected = permuted + permuted.T, expected + expected.T
    # Two counts of one distribution: their difference has variance below 2 * 20 000 * p (1 - p) <= 10 000.
    assert np.abs(permuted - expected).max() < 4 * math.sqrt(10_000)


# --- passive ----------------------------------------------------------------------------------------------


def test_passive_skips_the_first_when_it_draws_the_second():
    rng = Scripted([1, 0, 2], [1, 0, 1])  # the second is a position among the other two
    assert Passive()(np.empty((0, 3, 3), np.float32), rng).pairs.tolist() == [[1, 2], [0, 1], [2, 1]]


def test_passive_is_uniform_over_ordered_pairs():
    counts = pair_counts(Passive(), np.empty((0, 1, 4), np.float32), 0, 24_000)
    uniform = (1 - np.eye(4)).ravel() / 12
    assert chi_square(counts, uniform) < 31.3  # the 0.1 % point with 11 degrees of freedom


# --- Boltzmann --------------------------------------------------------------------------------------------


def test_boltzmann_draws_without_replacement_with_the_stated_odds():
    # Utilities ln 1, ln 2, ln 3 at temperature 1: weights 1, 2, 3. P(0 then 1) = 1/6 * 2/5 = 1/15, and so on.
    utilities = np.log([[[1.0, 2.0, 3.0]]]).astype(np.float32)
    by_hand = np.array([[0, 1 / 15, 1 / 10], [1 / 12, 0, 1 / 4], [1 / 6, 1 / 3, 0]])
    assert by_hand.sum() == pytest.approx(1)
    counts = pair_counts(Boltzmann(), utilities, 1, 30_000)
    assert chi_square(counts, by_hand.ravel()) < 20.5  # 0.1 %, 5 degrees of freedom
    # Twice the utilities at twice the temperature are the same draw.
    assert np.array_equal(counts, pair_counts(Boltzmann(temperature=2.0), 2 * utilities, 1, 30_000))


def test_boltzmann_at_infinite_temperature_is_passive():
    utilities = np.array([[[-50.0, 0.0, 1.0, 80.0]]], np.float32)
    uniform = (1 - np.eye(4)).ravel() / 12
    assert chi_square(pair_counts(Boltzmann(temperature=1e30), utilities, 2, 24_000), uniform) < 31.3
    assert chi_square(pair_counts(Boltzmann(), utilities, 2, 24_000), uniform) > 1000


def test_boltzmann_at_tiny_temperature_takes_the_two_best_in_order():
    utilities = np.array([[[0.0, 3.0, 1.0, 2.0]]], np.float32)
    assert Boltzmann(temperature=1e-6)(utilities, np.random.default_rng(0)).pairs.tolist() == [[1, 3]]


@pytest.mark.parametrize("temperature", [0, -1.0, math.inf, math.nan, "1", True])
def test_boltzmann_refuses_a_temperature_that_is_no_positive_number(temperature):
    with pytest.raises(SpecificationError, match="temperature is"):
        Boltzmann(temperature=temperature)


def test_boltzmann_refuses_several_samples():
    with pytest.raises(SpecificationError, match="given 2 utility samples"):
        Boltzmann()(np.zeros((2, 1, 3), np.float32), np.random.default_rng(0))


# --- infomax ----------------------------------------------------------------------------------------------


def test_infomax_variances_by_hand():
    # Two samples of three candidates. Logit differences: (0,1): 0 and ln 3; (0,2): 0 and 0; (1,2): 0 and -ln 3.
    # sigmoid(ln 3) = 3/4, so the first and last pair have values 1/2 and 3/4 or 1/4: variance (1/4)^2 / 2 = 1/32.
    utilities = np.array([[[0.0, 0.0, 0.0]], [[math.log(3), 0.0, math.log(3)]]], np.float32)
    assert win_probability_variances(utilities)[0] == pytest.approx([1 / 32, 0, 1 / 32], abs=1e-7)


def test_infomax_picks_the_largest_variance_of_the_probability_not_of_the_logit():
    # Pair (0, 1) moves from logit 0 to 2; candidate 2 is far below both, where logits move more but no bit is in doubt.
    utilities = np.array([[[0.0, 0.0, -30.0]], [[2.0, 0.0, -20.0]]], np.float32)
    assert Infomax()(utilities, np.random.default_rng(0)).pairs.tolist() == [[0, 1]]


def test_infomax_equals_its_definition():
    utilities = utilities_for(Infomax(), 6, 4, 7, seed=9)
    u = utilities.astype(np.float64)
    probability = 1 / (1 + np.exp(-(u[:, :, :, None] - u[:, :, None, :])))
    variance = probability.var(axis=0, ddof=1)
    rows, columns = np.triu_indices(7, k=1)
    assert win_probability_variances(utilities) == pytest.approx(variance[:, rows, columns], abs=1e-6)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.permutations(range(6)))
def test_permuting_candidates_permutes_infomax_exactly(seed, order):
    utilities = utilities_for(Infomax(), 4, 3, 6, seed)
    plain = Infomax()(utilities, np.random.default_rng(0)).pairs
    permuted = Infomax()(utilities[:, :, order], np.random.default_rng(0)).pairs
    assert np.array_equal(np.sort(np.array(order)[permuted], axis=1), np.sort(plain, axis=1))


def test_infomax_breaks_ties_uniformly():
    counts = pair_counts(Infomax(), np.zeros((3, 1, 4), np.float32), 3, 12_000)
    assert chi_square(counts, np.triu(np.ones((4, 4)), k=1).ravel() / 6) < 20.5
    # Copies whose mean single precision cannot represent: rounding must not decide, and they agree.
    for row in ([0.1, 0.7, 0.3, 0.45], [0, 9, 1, 2.5]):
        copies = np.array([[row]] * 10, np.float32)
        counts = pair_counts(Infomax(), copies, 3, 12_000)
        assert chi_square(counts, np.triu(np.ones((4, 4)), k=1).ravel() / 6) < 20.5
        assert Infomax()(copies, np.random.default_rng(0)).fallbacks == 1
    assert Infomax()(utilities_for(Infomax(), 10, 8, 4), np.random.default_rng(0)).fallbacks == 0
    # Of two tied pairs, the script picks the second.
    utilities = np.array([[[0.0, 0.0, 0.0]], [[math.log(3), 0.0, math.log(3)]]], np.float32)
    assert Infomax()(utilities, Scripted([1])).pairs.tolist() == [[1, 2]]


def test_infomax_needs_two_samples():
    with pytest.raises(SpecificationError, match="needs at least 2"):
        Infomax()(np.zeros((1, 2, 3), np.float32), np.random.default_rng(0))


def test_infomax_memory_stays_below_64_mb():
    utilities = utilities_for(Infomax(), 10, 32, 100)
    tracemalloc.start()
    Infomax()(utilities, np.random.default_rng(0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64e6


# --- double Thompson --------------------------------------------------------------------------------------

# Particle 0 prefers candidate 2, particle 1 candidate 0, particle 2 candidate 2; the same for both prompts.
PARTICLES = np.repeat(np.array([[[0, 1, 2]], [[2, 1, 0]], [[1, 0, 5]]], np.float32), 2, axis=1)


def test_double_thompson_draws_again_until_the_favourites_differ():
    # First indices 0 and 1: favourites 2 and 0. Second indices 2 and 0: favourites 2 (equal) and 2 (done).
    # The first prompt draws particle 0 (equal again), then particle 1 (favourite 0): two retries.
    rng = Scripted([0, 1], [2, 0], [0], [1], [])
    selection = DoubleThompson()(PARTICLES, rng)
    assert selection.pairs.tolist() == [[2, 0], [0, 2]]
    assert (selection.retries, selection.fallbacks) == (2, 0)
    assert rng.used_up()


def test_double_thompson_falls_back_to_the_others_after_the_last_retry():
    # Favourites 2 and 0, both met again at once and in the one retry: the others, counted without the first.
    rng = Scripted([0, 1], [2, 1], [0, 1], [1, 1])
    selection = DoubleThompson(max_retries=1)(PARTICLES, rng)
    assert selection.pairs.tolist() == [[2, 1], [0, 2]]
    assert (selection.retries, selection.fallbacks) == (2, 2)
    assert rng.used_up()


def test_identical_particles_use_every_retry_and_then_draw_uniformly():
    utilities = np.repeat(np.array([[[0.0, 9.0, 1.0, 2.0]]], np.float32), 10, axis=0)
    repeats = 9_000
    selection = DoubleThompson(max_retries=7)(np.repeat(utilities, repeats, axis=1), np.random.default_rng(4))
    assert (selection.retries, selection.fallbacks) == (7 * repeats, repeats)
    assert (selection.pairs[:, 0] == 1).all()
    second = np.bincount(selection.pairs[:, 1], minlength=4)
    assert chi_square(second, np.array([1, 0, 1, 1]) / 3) < 13.8  # 0.1 %, 2 degrees of freedom


def test_one_index_scores_all_candidates():
    # Each particle's favourite is 0 or 3. Indices drawn per candidate would also make 1 and 2 win now and then.
    utilities = np.array([[[4.0, 3.0, 2.0, 0.0]], [[0.0, 2.0, 3.0, 4.0]]], np.float32)
    pairs = DoubleThompson()(np.repeat(utilities, 200, axis=1), np.random.default_rng(0)).pairs
    assert {tuple(pair) for pair in pairs.tolist()} == {(0, 3), (3, 0)}


@pytest.mark.parametrize("max_retries", [-1, 1.5, "3", True])
def test_double_thompson_refuses_a_wrong_number_of_retries(max_retries):
    with pytest.raises(SpecificationError, match="max_retries is"):
        DoubleThompson(max_retries=max_retries)


def test_double_thompson_needs_a_sample():
    with pytest.raises(SpecificationError, match="at least 1"):
        DoubleThompson()(np.zeros((0, 2, 3), np.float32), np.random.default_rng(0))
