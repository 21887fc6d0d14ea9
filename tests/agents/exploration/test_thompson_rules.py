"""Rules that show sampled favourites."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duelgym.errors import SpecificationError
from duelgym_agents.exploration import (
    DoubleThompson,
    MarginalThompson,
    ParticlesWithoutReplacement,
    ReverseDoubleThompson,
    ThompsonMaxVariance,
    ThompsonMaxWidth,
)

REPEATS = 24_000


def counts_of(rule, utilities):
    utilities = np.array(utilities, np.float32)
    selection = rule(np.repeat(utilities, REPEATS, axis=1), np.random.default_rng(0))
    n_candidates = utilities.shape[2]
    counts = np.bincount(selection.pairs @ [n_candidates, 1], minlength=n_candidates**2)
    return counts.reshape(n_candidates, n_candidates), selection


def assert_distributed(counts, probabilities):
    """Chi-square at the 0.1 % point; 16.3 for three degrees of freedom, the most there are here."""
    probabilities = np.array(probabilities)
    assert probabilities.sum() == pytest.approx(1)
    possible = probabilities > 0
    assert counts[~possible].sum() == 0
    expected = REPEATS * probabilities[possible]
    assert ((counts[possible] - expected) ** 2 / expected).sum() < 16.3


# --- particles without replacement ------------------------------------------------------------------------

# Favourites 2, 2 and 0.
PARTICLES = [[[0, 1, 2]], [[1, 0, 5]], [[2, 1, 0]]]


def test_every_particle_is_asked_before_giving_up():
    # Shuffled: 2 2 0, 2 0 2, 0 2 2, one third each. The first needs one retry.
    counts, selection = counts_of(ParticlesWithoutReplacement(), PARTICLES)
    assert_distributed(counts, [[0, 0, 1 / 3], [0, 0, 0], [2 / 3, 0, 0]])
    assert selection.fallbacks == 0
    assert selection.retries == pytest.approx(REPEATS / 3, abs=4 * np.sqrt(REPEATS * 2 / 9))


def test_without_retries_the_second_particle_decides():
    # 2 2 0 (one third) falls back to 0 or 1 evenly: (2, 0) has 1/3 + 1/6.
    counts, selection = counts_of(ParticlesWithoutReplacement(max_retries=0), PARTICLES)
    assert_distributed(counts, [[0, 0, 1 / 3], [0, 0, 0], [1 / 2, 1 / 6, 0]])
    assert selection.retries == 0
    assert selection.fallbacks == pytest.approx(REPEATS / 3, abs=4 * np.sqrt(REPEATS * 2 / 9))


def test_more_retries_than_particles_are_as_many_as_particles():
    plain, capped = (ParticlesWithoutReplacement(max_retries=retries) for retries in (None, 50))
    utilities = np.random.default_rng(0).standard_normal((4, 30, 5)).astype(np.float32)
    first, second = (rule(utilities, np.random.default_rng(1)) for rule in (plain, capped))
    assert np.array_equal(first.pairs, second.pairs)
    assert first.retries == second.retries


def test_one_particle_meets_a_uniform_rival():
    counts, selection = counts_of(ParticlesWithoutReplacement(), [[[0, 1, 2]]])
    assert_distributed(counts, [[0, 0, 0], [0, 0, 0], [1 / 2, 1 / 2, 0]])
    assert (selection.retries, selection.fallbacks) == (0, REPEATS)


def test_agreeing_particles_are_all_asked():
    _, selection = counts_of(ParticlesWithoutReplacement(), [[[0, 1, 2]]] * 5)
    assert (selection.retries, selection.fallbacks) == (3 * REPEATS, REPEATS)  # after the second, three more


# --- Thompson and variance --------------------------------------------------------------------------------


def test_the_rival_is_the_most_uncertain_against_the_favourite():
    # Both samples like 0. Against 1 it leads by 0.5 or 1.5: probabilities 0.622, 0.818, variance 0.019; logit 0.5.
    # Against 2 by 8 or 6: 0.9997, 0.9975, variance 2e-6; logit 2.
    utilities = np.array([[[0, -0.5, -8]], [[0, -1.5, -6]]], np.float32)
    rng = np.random.default_rng(0)
    assert ThompsonMaxVariance()(utilities, rng).pairs.tolist() == [[0, 1]]
    assert ThompsonMaxVariance(variance_of="logit")(utilities, rng).pairs.tolist() == [[0, 2]]


def test_each_sample_is_as_likely_to_name_the_favourite():
    # Favourite 0 in two samples of three, 1 in one. Rivals: (0, 1) is the only doubtful duel of either.
    counts, selection = counts_of(ThompsonMaxVariance(), [[[1, 0, -50]], [[1, 0, -50]], [[0, 1, -50]]])
    assert_distributed(counts, [[0, 2 / 3, 0], [1 / 3, 0, 0], [0, 0, 0]])
    assert selection.fallbacks == 0


def test_variance_of_something_else_is_refused():
    with pytest.raises(SpecificationError, match="variance_of is 'width'"):
        ThompsonMaxVariance(variance_of="width")


# --- marginal and reverse ---------------------------------------------------------------------------------

# Candidate 0 has mean 0 and deviation 1: its noise exceeds 1/2, candidate 1's certain utility, one time in four.
ONE_IN_FOUR = [[[-1, 0.5, -5]], [[0, 0.5, -5]], [[1, 0.5, -5]]]


def test_marginal_thompson_draws_until_the_favourites_differ():
    counts, selection = counts_of(MarginalThompson(max_retries=300), ONE_IN_FOUR)
    assert_distributed(counts, [[0, 1 / 4, 0], [3 / 4, 0, 0], [0, 0, 0]])
    assert selection.fallbacks == 0
    # Retries after the first draw are geometric: 1/4 * 1/3 + 3/4 * 3 = 7/3 a prompt, variance below 12.
    assert selection.retries == pytest.approx(REPEATS * 7 / 3, abs=4 * np.sqrt(REPEATS * 12))


def test_marginal_thompson_without_retries():
    # (1, 1) comes up 9/16 and (0, 0) 1/16 of the time; each falls back to either other evenly.
    counts, selection = counts_of(MarginalThompson(max_retries=0), ONE_IN_FOUR)
    assert_distributed(counts, [[0, 7 / 32, 1 / 32], [15 / 32, 0, 9 / 32], [0, 0, 0]])
    assert selection.retries == 0
    assert selection.fallbacks == pytest.approx(REPEATS * 10 / 16, abs=4 * np.sqrt(REPEATS * 60 / 256))


def test_the_width_scales_the_noise():
    # At width 2 the noise of candidate 0 exceeds 1/2 three times in eight.
    counts, _ = counts_of(MarginalThompson(width=2, max_retries=300), ONE_IN_FOUR)
    assert_distributed(counts, [[0, 3 / 8, 0], [5 / 8, 0, 0], [0, 0, 0]])


def test_marginal_thompson_reorders_by_a_doubt_that_all_share():
    shared = [[[-10, -9, -8]], [[0, 1, 2]], [[10, 11, 12]]]
    joint, _ = counts_of(DoubleThompson(), shared)
    marginal, _ = counts_of(MarginalThompson(), shared)
    assert joint[:2].sum() == 0  # every sample likes 2
    assert (marginal.sum(axis=1) > REPEATS / 10).all()


def test_thompson_max_width_by_hand():
    # As before 0 is the favourite one time in four; 2, of mean -1 and deviation 1/2, never is. Against 0 the widest is
    # 2: sigmoid(2.5) - sigmoid(-0.5) = 0.546, of 1 sigmoid(0.5) - sigmoid(-1.5) = 0.440. Against 1, which is certain, it
    # is 0: 0.440 again, of 2 sigmoid(2) - sigmoid(1) = 0.150.
    counts, selection = counts_of(ThompsonMaxWidth(), [[[-1, 0.5, -1.5]], [[0, 0.5, -1]], [[1, 0.5, -0.5]]])
    assert_distributed(counts, [[0, 0, 1 / 4], [3 / 4, 0, 0], [0, 0, 0]])
    assert (selection.retries, selection.fallbacks) == (0, 0)


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), width=st.sampled_from([0.5, 1.0, 3.0]))
def test_rivals_of_thompson_max_width_equal_their_definition(seed, width):
    utilities = np.random.default_rng(seed).standard_normal((4, 8, 6)).astype(np.float32)
    mean, radius = utilities.mean(axis=0), width * utilities.std(axis=0, ddof=1)
    for b, (i, j) in enumerate(ThompsonMaxWidth(width=width)(utilities, np.random.default_rng(seed)).pairs):
        gap, both = mean[b, i] - mean[b], radius[b, i] + radius[b]
        widths = 1 / (1 + np.exp(-gap - both)) - 1 / (1 + np.exp(-gap + both))
        assert widths[j] == pytest.approx(np.delete(widths, i).max(), abs=1e-6)


def test_reverse_double_thompson_shows_a_best_and_a_worst():
    counts, selection = counts_of(ReverseDoubleThompson(), ONE_IN_FOUR)
    assert_distributed(counts, [[0, 0, 1 / 4], [0, 0, 3 / 4], [0, 0, 0]])
    assert (selection.retries, selection.fallbacks) == (0, 0)


def test_reverse_double_thompson_draws_the_worst_afresh_where_it_is_the_best():
    # Without candidate 2: best 0 one time in four; worst 0 where -0 + noise exceeds -1/2, three times in four.
    # Both are 0 in 3/16, both 1 in 3/16; a retry ends it with 1/4 and 3/4: 3/16 * 4 + 3/16 * 4/3 = 1 retry a prompt.
    two = np.array(ONE_IN_FOUR)[:, :, :2]
    counts, selection = counts_of(ReverseDoubleThompson(max_retries=300), two)
    assert_distributed(counts, [[0, 1 / 4], [3 / 4, 0]])
    assert selection.fallbacks == 0
    assert selection.retries == pytest.approx(REPEATS, abs=4 * np.sqrt(REPEATS * 6))


def test_the_width_scales_the_noise_of_best_and_worst():
    # At width 2 the best is 0 three times in eight, the worst is 0 five times in eight: alike in 15/64 + 15/64.
    counts, _ = counts_of(ReverseDoubleThompson(width=2), ONE_IN_FOUR)
    assert_distributed(counts, [[0, 0, 3 / 8], [0, 0, 5 / 8], [0, 0, 0]])
    _, selection = counts_of(ReverseDoubleThompson(width=2, max_retries=0), np.array(ONE_IN_FOUR)[:, :, :2])
    assert selection.fallbacks == pytest.approx(REPEATS * 30 / 64, abs=4 * np.sqrt(REPEATS / 4))
