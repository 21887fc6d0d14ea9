"""Rules that read samples as confidence bounds."""

from __future__ import annotations

import numpy as np
import pytest

from duelgym.errors import SpecificationError
from duelgym_agents.exploration import RUCB, DeltaQuantile, DeltaUCB, MaxInP, MaxMinLCB
from duelgym_agents.exploration.bounds import difference_mean_and_deviation, mean_and_deviation
from duelgym_agents.exploration.rucb import upper_leads


def three_samples(*candidates):
    """Each candidate's mean and deviation: samples -1, 0, 1 times the deviation, beside the mean."""
    return np.array([[[mean + step * deviation for mean, deviation in candidates]] for step in (-1, 0, 1)], np.float32)


def pick(rule, utilities):
    return rule(utilities, np.random.default_rng(0)).pairs.tolist()


def test_moments_by_hand():
    mean, deviation = mean_and_deviation(three_samples((0.5, 1), (2, 0)))
    assert (mean.tolist(), deviation.tolist()) == ([[0.5, 2]], [[1, 0]])


def test_the_deviation_of_a_difference_is_not_the_sum_of_deviations():
    # Both move together: deviations 3 and 1, of the difference 2.
    mean, deviation = difference_mean_and_deviation(three_samples((0, 3), (1, 1)))
    assert mean.tolist() == [[[0, -1], [1, 0]]]
    assert deviation.tolist() == [[[0, 2], [2, 0]]]


# --- DeltaUCB and DeltaQuantile ---------------------------------------------------------------------------

# Bounds 1 and -1; 0.5; -0.25. Gaps: (1, 0) 1.5; (0, 2) 1.25; (1, 2) 0.75; (2, 0) 0.75; (0, 1) 0.5; (2, 1) -0.75.
GAPS = three_samples((0, 1), (0.5, 0), (-0.25, 0))


def test_delta_ucb_takes_the_widest_optimistic_gap():
    assert pick(DeltaUCB(), GAPS) == [[1, 0]]  # by the mean alone, 2 is the worst
    assert pick(DeltaUCB(width=0.125), GAPS) == [[1, 2]]  # (1, 0): 0.625


@pytest.mark.parametrize(
    ("quantile", "half_window", "pair"),
    [
        (0, 0, [1, 0]),
        (0.2, 0, [0, 2]),  # rank floor(1.2) = 1
        (0.34, 0, [1, 2]),  # rank 2, tied with rank 3: the larger upper bound
        (0.7, 0, [0, 1]),  # rank floor(4.2) = 4
        (1, 0, [2, 1]),  # the last rank
        (0.5, 0.2, [0, 2]),  # ranks floor(1.8) = 1 to floor(4.2) - 1 = 3: the first with U = 1
        (0.5, 0.5, [0, 2]),  # all ranks: U = 1 for (0, 2) and (0, 1), the former wider
    ],
)
def test_delta_quantile_by_hand(quantile, half_window, pair):
    assert pick(DeltaQuantile(quantile=quantile, half_window=half_window), np.repeat(GAPS, 50, axis=1)) == [pair] * 50


def test_delta_quantile_at_zero_is_delta_ucb():
    utilities = np.random.default_rng(0).standard_normal((5, 40, 9)).astype(np.float32)
    assert pick(DeltaQuantile(quantile=0), utilities) == pick(DeltaUCB(), utilities)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"quantile": 1.5}, "quantile is 1.5"),
        ({"quantile": True}, "quantile is True"),
        ({"half_window": -0.1}, "half_window is -0.1"),
        ({"quantile": 0.1, "half_window": 0.2}, "the window leaves"),
    ],
)
def test_delta_quantile_refuses_a_window_outside_all_ranks(settings, message):
    with pytest.raises(SpecificationError, match=message):
        DeltaQuantile(**settings)


# --- MaxMinLCB and MaxInP ---------------------------------------------------------------------------------

# 0 - 1: 0.5 +- 1; 0 - 2: 0.75 +- 0, so that 2 is beaten for certain; 1 - 2: 0.25 +- 1.
BEATEN = ((0, 0), (-0.5, 1), (-0.75, 0))


def test_max_min_lcb_by_hand():
    # Of 0 and 1, lower bounds are 0.5 - 1 = -0.5 and -0.5 - 1 = -1.5: 0 leads, 1 follows.
    selection = MaxMinLCB()(three_samples(*BEATEN), np.random.default_rng(0))
    assert selection.pairs.tolist() == [[0, 1]]
    assert selection.fallbacks == 0
    # At width 0.25 (0.5 -+ 0.25) nobody but 0 may win: its rival is the one of lowest bound, 0.25 against 0.75.
    selection = MaxMinLCB(width=0.25)(three_samples(*BEATEN), np.random.default_rng(0))
    assert selection.pairs.tolist() == [[0, 1]]
    assert selection.fallbacks == 1


def test_max_min_lcb_leaves_out_rivals_that_are_beaten():
    # 3 is beaten by 0 for sure (-9 +- 8), but against 1, which moves the other way, its bound is the lowest of all:
    # 1 - 3: 8.75 +- 9.5; 0 - 3: 9 +- 8; 0 - 1: 0.25 +- 1.5. Without 3, 0 leads (-1.25) before 1 (-1.75).
    utilities = three_samples((0, 0), (-0.25, 1.5), (-9, -8))
    assert pick(MaxMinLCB(), utilities) == [[0, 1]]


def test_max_min_lcb_as_active_ultra_feedback_has_it_by_hand():
    # All three move together: nothing is in doubt about differences, and 0 beats the others for certain.
    utilities = three_samples((0, 1), (-0.5, 1), (-1.25, 1))
    assert MaxMinLCB()(utilities, np.random.default_rng(0)).fallbacks == 1
    # Deviations added: 0 - 1: 0.5 - 2 = -1.5, 0 - 2: 1.25 - 2. Of 1 the lowest is -0.5 - 2, of 2 it is -1.25 - 2.
    selection = MaxMinLCB(joint=False)(utilities, np.random.default_rng(0))
    assert (selection.pairs.tolist(), selection.fallbacks) == ([[0, 1]], 0)
    # 2 is beaten (-9 + 1 + 0.5), but least certain: 0 - 2: 9 - 1.5, 0 - 1: 0.25 - 0.5. 0 is last of all against 1.
    beaten = three_samples((0, 0.5), (-0.25, 0), (-9, 1))
    for plausible_only in (True, False):
        assert pick(MaxMinLCB(joint=False, plausible_only=plausible_only), beaten) == [[0, 1]]
    # At deviation 20 candidate 2 may win all: 0 - 2: 9 - 20.5 = -11.5; 1 - 2: 8.75 - 20. So 1 leads, with or without.
    wide = three_samples((0, 0.5), (-0.25, 0), (-9, 20))
    assert pick(MaxMinLCB(joint=False), wide) == [[1, 2]]
    # 2 trails 0 by 9 -+ 8.5, surely; 1 - 2: 8.75 -+ 9.5 is not sure. Among all, 0's worst is 0 - 1 = 0.25 - 1.5 and
    # 1's is 1 - 0 = -1.75; with 2 left in, 0 - 2 = 0.5 and 1 - 2 = -0.75 change neither.
    assert pick(MaxMinLCB(joint=False, plausible_only=False), three_samples((0, 0), (-0.25, 1.5), (-9, 8))) == [[0, 1]]


@pytest.mark.parametrize("plausible_only", [True, False])
def test_added_deviations_equal_their_definition(plausible_only):
    utilities = np.random.default_rng(4).standard_normal((5, 30, 6)).astype(np.float32)
    found = MaxMinLCB(width=0.3, joint=False, plausible_only=plausible_only)(utilities, np.random.default_rng(1))
    differ = 0
    for b, pair in enumerate(found.pairs.tolist()):
        u = utilities[:, b].astype(np.float64)
        mean, deviation = u.mean(axis=0), 0.3 * u.std(axis=0, ddof=1)
        low = mean[:, None] - mean - deviation[:, None] - deviation
        high = mean[:, None] - mean + deviation[:, None] + deviation
        kept = [i for i in range(6) if not plausible_only or (high[i] >= -1e-12).all()]
        rivals = kept if len(kept) > 1 else range(6)
        worst = {i: min((low[i, j], j) for j in rivals if j != i) for i in kept}
        leader = max(worst, key=worst.get)
        assert pair == [leader, worst[leader][1]]
        differ += len(kept) < 6
    assert differ > 0 if plausible_only else (differ, found.fallbacks) == (0, 0)


def test_max_min_lcb_equals_its_definition():
    utilities = np.random.default_rng(0).standard_normal((4, 30, 6)).astype(np.float32)
    found = MaxMinLCB(width=0.7)(utilities, np.random.default_rng(1))
    alone = 0
    for b, pair in enumerate(found.pairs.tolist()):
        u = utilities[:, b].astype(np.float64)
        difference = u[:, :, None] - u[:, None, :]
        mean, radius = difference.mean(axis=0), 0.7 * difference.std(axis=0, ddof=1)
        kept = [i for i in range(6) if (mean[i] + radius[i] >= -1e-12).all()]
        rivals = kept if len(kept) > 1 else range(6)
        alone += len(kept) == 1
        worst = {i: min((mean[i, j] - radius[i, j], j) for j in rivals if j != i) for i in kept}
        leader = max(worst, key=worst.get)
        assert pair == [leader, worst[leader][1]]
    assert found.fallbacks == alone
    assert 0 < alone < 30


def test_max_in_p_by_hand():
    # 3 may win (-5 +- 10), 4 may not (-50 +- 20) though its duels are the most uncertain.
    # Of 0, 1, 3: deviations (0, 1) 1, (0, 3) 10, (1, 3) 9.
    selection = MaxInP()(three_samples(*BEATEN, (-5, 10), (-50, 20)), np.random.default_rng(0))
    assert selection.pairs.tolist() == [[0, 3]]
    assert selection.fallbacks == 0
    # At width 0.25 only 0 may win: the most uncertain against it is 4.
    selection = MaxInP(width=0.25)(three_samples(*BEATEN, (-5, 10), (-50, 20)), np.random.default_rng(0))
    assert selection.pairs.tolist() == [[0, 4]]
    assert selection.fallbacks == 1


# --- RUCB -------------------------------------------------------------------------------------------------


def test_rucb_by_hand():
    # P(1 beats 0): 1/4, 3/4; P(2 beats 0): 1/4 twice; P(2 beats 1): 1/2, 1/10. Of two values the deviation is their
    # difference / sqrt(2). Upper bounds: 10: 0.5 + 0.3536, 01 the same; 20: 0.25, 02: 0.75; 21: 0.3 + 0.2828,
    # 12: 0.7 + 0.2828. So 0 and 1 may win; each is challenged by the other (0.8536 against 0.25 and 0.5828).
    log3 = np.log(3)
    utilities = np.array([[[0, -log3, -log3]], [[0, log3, -log3]]], np.float32)
    upper = (1 + upper_leads(utilities, 1.0)[0]) / 2
    assert upper == pytest.approx(np.array([[0.5, 0.8536, 0.75], [0.8536, 0.5, 0.9828], [0.25, 0.5828, 0.5]]), abs=1e-4)
    selection = RUCB()(np.repeat(utilities, 4000, axis=1), np.random.default_rng(0))
    assert selection.fallbacks == 0
    shown = selection.pairs.tolist()
    assert shown.count([0, 1]) + shown.count([1, 0]) == 4000
    assert shown.count([0, 1]) == pytest.approx(2000, abs=4 * np.sqrt(1000))


def test_rucb_falls_back_where_nobody_may_win():
    # Three samples that rank 0 1 2, 1 2 0, 2 0 1, steps wide: each beats the next in two of three, in a circle.
    utilities = np.array([[[2, 1, 0]], [[0, 2, 1]], [[1, 0, 2]]], np.float32) * 100
    selection = RUCB(width=0.01)(np.repeat(utilities, 3000, axis=1), np.random.default_rng(0))
    assert selection.fallbacks == 3000
    # The champion is uniform; its challenger is the one that beats it: 0 beats 1, 1 beats 2, 2 beats 0.
    pairs, counts = np.unique(selection.pairs, axis=0, return_counts=True)
    assert pairs.tolist() == [[0, 2], [1, 0], [2, 1]]
    assert counts == pytest.approx(1000, abs=4 * np.sqrt(3000 * 2 / 9))
