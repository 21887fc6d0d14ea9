"""Feel-good Thompson sampling."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duelgym.errors import SpecificationError
from duelgym_agents.exploration import FeelGoodThompson


def counts_of(rule, utilities, repeats, seed=0):
    n = utilities.shape[2]
    pairs = rule(np.repeat(utilities, repeats, axis=1), np.random.default_rng(seed)).pairs
    return np.bincount(pairs[:, 0] * n + pairs[:, 1], minlength=n * n).reshape(n, n)


def test_odds_by_hand():
    # Means 1/2 and 3/2: the second candidate is the known best. The first sample promises 1 more than it, the second
    # nothing: odds e to 1, and at 2 per log-odds e^2 to 1.
    utilities = np.array([[[1, 0]], [[0, 3]]], np.float32)
    assert FeelGoodThompson().sample_probabilities(utilities) == pytest.approx(
        [math.e / (1 + math.e), 1 / (1 + math.e)]
    )
    assert FeelGoodThompson(feel_good=2).sample_probabilities(utilities)[0] == pytest.approx(1 / (1 + math.exp(-2)))
    # A second prompt, of means 2 and 0, where the samples promise 0 and 3 more than the first: means 1/2 and 3/2.
    both = np.concatenate([utilities, np.array([[[4, 0]], [[0, 3]]], np.float32)], axis=1)
    assert both.mean(axis=0).tolist() == [[0.5, 1.5], [2, 1.5]]
    assert FeelGoodThompson().sample_probabilities(both)[0] == pytest.approx(1 / (1 + math.e))


def test_frequencies_follow_the_odds():
    # Favourites 0, 1 and 2. Means 4/3, 5/3, 2: candidate 2 is known; promised 4, 5 and 0, but weighed by 0.2.
    utilities = np.array([[[4, 0, 0]], [[0, 5, 0]], [[0, 0, 6]]], np.float32)
    odds = np.exp([0.8, 1.0, 0.0])
    odds /= odds.sum()
    # The second is drawn until it differs: odds without the first.
    by_hand = odds[:, None] * odds[None] / (1 - odds[:, None])
    np.fill_diagonal(by_hand, 0)
    expected = 30_000 * by_hand[~np.eye(3, dtype=bool)]
    counts = counts_of(FeelGoodThompson(feel_good=0.2, max_retries=200), utilities, 30_000)
    assert counts.trace() == 0
    assert (((counts[~np.eye(3, dtype=bool)] - expected) ** 2) / expected).sum() < 20.5  # 0.1 %, 5 degrees of freedom


def test_without_feeling_good_it_is_double_thompson():
    utilities = np.array([[[4, 0, 0]], [[0, 5, 0]], [[0, 0, 6]]], np.float32)
    assert FeelGoodThompson(feel_good=0).sample_probabilities(utilities).tolist() == pytest.approx([1 / 3] * 3)
    counts = counts_of(FeelGoodThompson(feel_good=0, max_retries=200), utilities, 12_000)[~np.eye(3, dtype=bool)]
    assert ((counts - 2000) ** 2).sum() / 2000 < 20.5  # uniform over the six ordered pairs


def test_identical_samples_use_every_retry_and_then_draw_uniformly():
    utilities = np.repeat(np.array([[[0, 9, 1, 2]]], np.float32), 5, axis=0).repeat(6000, axis=1)
    selection = FeelGoodThompson(max_retries=3)(utilities, np.random.default_rng(0))
    assert (selection.retries, selection.fallbacks) == (18_000, 6000)
    assert (selection.pairs[:, 0] == 1).all()
    counts = np.bincount(selection.pairs[:, 1], minlength=4)
    assert counts[1] == 0
    assert ((counts[[0, 2, 3]] - 2000) ** 2).sum() / 2000 < 13.8  # 0.1 %, 2 degrees of freedom


def test_permuting_candidates_permutes_the_distribution():
    utilities = np.random.default_rng(5).standard_normal((4, 1, 4)).astype(np.float32)
    order = np.array([2, 0, 3, 1])
    plain = counts_of(FeelGoodThompson(), utilities, 20_000, seed=0)
    permuted = counts_of(FeelGoodThompson(), utilities[:, :, order], 20_000, seed=1)
    # Two counts of one distribution: their difference has variance below 2 * 20 000 * p (1 - p) <= 10 000.
    assert np.abs(permuted - plain[np.ix_(order, order)]).max() < 400


@settings(max_examples=40)
@given(
    n_samples=st.integers(1, 5),
    batch=st.integers(1, 5),
    n_candidates=st.integers(2, 6),
    scale=st.sampled_from([0.0, 1e-6, 1.0, 1e6]),
    seed=st.integers(0, 10**6),
)
def test_pairs_are_legal_and_equal_for_equal_generators(n_samples, batch, n_candidates, scale, seed):
    utilities = np.random.default_rng(seed).standard_normal((n_samples, batch, n_candidates))
    utilities = (scale * utilities).astype(np.float32)
    before = utilities.copy()
    selection, again = (FeelGoodThompson()(utilities, np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(selection.pairs, again.pairs)
    assert np.array_equal(utilities, before)
    pairs = selection.pairs
    assert pairs.shape == (batch, 2)
    assert pairs.dtype == np.int64
    assert ((pairs >= 0) & (pairs < n_candidates)).all()
    assert (pairs[:, 0] != pairs[:, 1]).all()


@pytest.mark.parametrize(
    "setting", [{"feel_good": -0.1}, {"feel_good": math.inf}, {"max_retries": -1}, {"max_retries": True}]
)
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(SpecificationError, match=f"{next(iter(setting))} is"):
        FeelGoodThompson(**setting)


def test_it_needs_a_sample():
    with pytest.raises(SpecificationError, match="at least 1"):
        FeelGoodThompson()(np.zeros((0, 2, 3), np.float32), np.random.default_rng(0))
