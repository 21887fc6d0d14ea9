"""Studentised intervals of means: by hand, their laws, and their coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duelgym_bench.statistics import Draws, Interval, Resamples, draw_resamples
from duelgym_bench.studentised import Mean


def resamples_of(seeds, prompts=None):
    """Resamples with these weights of seeds after a row of equal ones; prompts alike, or with these weights."""
    seeds = np.array([np.full(len(seeds[0]), 1 / len(seeds[0])), *seeds])
    alike = np.broadcast_to(seeds[:1], seeds.shape)
    prompts = np.ones((len(seeds), 1)) if prompts is None else np.array(prompts)
    full, shared = (Draws(weights, {"a": prompts}, ("a",) * seeds.shape[1]) for weights in (seeds, alike))
    return Resamples(light=full, full=full, shared=shared, seeds=full, prompts=shared)


def test_interval_by_hand():
    """Seeds 0, 3, 6: mean 3, standard error sqrt(9 / 3). One resample of 0, 0, 3; another of 3, 6, 6.

    The first has mean 1, squares (9 + 9 + 0) / 3 away from 3, less 4, over 2: standard error 1, distance -2; the second,
    its mirror image, has +2. So the ends, 2.5 and 97.5 % of the way from -2 to 2, are 1.9 standard errors away.
    """
    resamples = resamples_of([[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])
    mean = Mean.over_seeds([np.array([0.0]), np.array([3.0]), np.array([6.0])], resamples)
    interval = mean.interval(resamples)
    assert interval.value == pytest.approx([3])
    assert interval.low == pytest.approx([3 - 1.9 * np.sqrt(3)])
    assert interval.high == pytest.approx([3 + 1.9 * np.sqrt(3)])


def test_the_long_tail_has_the_longer_arm():
    resamples = draw_resamples(["a"] * 8, {"a": 1}, 2000, np.random.default_rng(0))
    values = [np.array([x]) for x in (0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 1.2, 4.0)]
    arms = Mean.over_seeds(values, resamples).interval(resamples)
    assert arms.high - arms.value > 1.5 * (arms.value - arms.low)


def test_what_seeds_share_counts_once():
    """Equal seeds on common prompts: the spread is that of the prompts' mean, and distances are Gaussian."""
    rng = np.random.default_rng(1)
    prompts = rng.normal(size=400)
    resamples = draw_resamples(["a"] * 500, {"a": 400}, 1000, rng)
    interval = Mean.over_prompts([prompts[None]] * 500, resamples).interval(resamples)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * prompts.std() / 20, rel=0.1)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=8), st.floats(0.1, 10), st.floats(-5, 5), st.integers(0, 10**6))
def test_intervals_move_with_their_data(scores, scale, shift, seed):
    resamples = draw_resamples(["a"] * len(scores), {"a": 1}, 30, np.random.default_rng(seed))
    mean = Mean.over_seeds([np.array([x]) for x in scores], resamples)
    interval, moved = mean.interval(resamples), mean.formula(lambda rows: scale * rows + shift).interval(resamples)
    assert np.isfinite([interval.low, interval.value, interval.high]).all()
    for end in ("low", "value", "high"):
        assert getattr(moved, end) == pytest.approx(scale * getattr(interval, end) + shift, abs=1e-6)
    mirrored = mean.formula(np.negative).interval(resamples)
    assert mirrored.low == pytest.approx(-interval.high, abs=1e-6)


def test_equal_seeds_have_no_spread():
    resamples = draw_resamples(["a"] * 6, {"a": 1}, 30, np.random.default_rng(0))
    interval = Mean.over_seeds([np.array([0.25])] * 6, resamples).interval(resamples)
    assert (interval.low, interval.value, interval.high) == (0.25, 0.25, 0.25)


def test_a_single_seed_has_the_spread_of_its_prompts():
    prompts = np.random.default_rng(2).normal(size=400)
    resamples = draw_resamples(["a"], {"a": 400}, 1000, np.random.default_rng(3))
    mean = Mean.over_prompts([prompts[None]], resamples)
    interval, expected = mean.interval(resamples), Interval.of(mean.light)
    assert (interval.low, interval.high) == (expected.low, expected.high)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * prompts.std() / 20, rel=0.1)


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("draw", ["standard_normal", "standard_exponential"])
@pytest.mark.parametrize("n", [10, 20])
def test_intervals_of_means_and_paired_differences_cover_them(draw, n, paired):
    """Of many experiments 93 to 97 %; of these 4 000, with room for three standard errors (.0035).

    Percentile intervals cover the mean of ten exponential seeds 90 times of 100, which this would notice.
    """
    rng = np.random.default_rng(n)
    truth = 0.0 if draw == "standard_normal" else 1.0
    covered = 0
    for _ in range(100):  # 40 experiments at once, which share their resamples as checkpoints do
        resamples = draw_resamples(["a"] * n, {"a": 1}, 400, rng)
        scores = getattr(rng, draw)((n, 40))
        common = rng.normal(size=(n, 40)) if paired else np.zeros((n, 40))
        mean = Mean.over_seeds(list(scores + common), resamples) - Mean.over_seeds(list(common), resamples)
        interval = mean.interval(resamples)
        covered += np.count_nonzero((interval.low <= truth) & (truth <= interval.high))
    assert 0.93 - 0.01 < covered / 4000 < 0.97 + 0.01


@pytest.mark.parametrize(("n_groups", "least", "most"), [(1, 0.90, 0.98), (5, 0.93, 0.995), (10, 0.90, 0.98)])
def test_coverage_over_seeds_and_prompts(n_groups: int, least: float, most: float):
    """Ten seeds; the difference of two agents varies by seed, by prompt, and by both.

    One group is fully crossed, ten give every seed prompts of its own. Five (a fold for every two seeds) is the case
    in which what seed and prompt have in common still counts more than once: the interval errs on the wide side.
    """
    rng = np.random.default_rng(n_groups)
    groups = [f"fold {seed % n_groups}" for seed in range(10)]
    covered = 0
    for _ in range(40):  # 10 experiments at once, which share their resamples as checkpoints do
        prompts = {group: rng.normal(0, 0.1, (10, 40)) for group in groups}
        difference = [rng.normal(0, 0.02, (10, 1)) + prompts[g] + rng.normal(0, 0.1, (10, 40)) for g in groups]
        resamples = draw_resamples(groups, dict.fromkeys(groups, 40), 300, rng)
        interval = Mean.over_prompts(difference, resamples).interval(resamples)
        covered += np.count_nonzero((interval.low <= 0) & (interval.high >= 0))
    assert least <= covered / 400 <= most
