"""Win rates, winners, regrets and bits, against values worked by hand."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from duelgym.generators import Questions
from duelgym.metrics import binary_entropy, bits_per_label, judge
from duelgym.simulators import BradleyTerry

LN3 = np.log(3.0)


def _questions(n, batch=1):
    return Questions(np.zeros(batch, dtype=np.int64), np.tile(np.arange(n), (batch, 1)))


def test_win_rates_by_hand():
    """Utilities 0, ln 3, 2 ln 3: P(gap ln 3) = 3/4, P(gap 2 ln 3) = 9/10."""
    judged = judge(BradleyTerry(1.0), _questions(3), np.array([[0.0, LN3, 2 * LN3]]))
    assert judged.win_rates()[0].tolist() == pytest.approx([(0.25 + 0.1) / 2, (0.75 + 0.25) / 2, (0.9 + 0.75) / 2])
    assert judged.winners().tolist() == [2]


def test_regrets_by_hand():
    judged = judge(BradleyTerry(1.0), _questions(3), np.array([[0.0, LN3, 2 * LN3]]))
    assert judged.regrets(np.array([[0, 1]]))[0].tolist() == pytest.approx([0.4, 0.25])
    assert judged.regrets(np.array([[2, 2]]))[0].tolist() == [0.0, 0.0]


def test_reference_win_rates_by_hand():
    judged = judge(BradleyTerry(2.0), _questions(2), np.array([[2 * LN3, -2 * LN3]]))
    assert judged.reference_win_rates(0.0)[0].tolist() == pytest.approx([0.75, 0.25])


@dataclass
class Cycle:
    """Rock, paper, scissors, and a fourth that beats all a little: no utility explains it."""

    symmetric = True
    follows_utility = False
    needs_texts = False

    def probability(self, duels):
        table = np.array([[0.5, 0.9, 0.1, 0.4], [0.1, 0.5, 0.9, 0.4], [0.9, 0.1, 0.5, 0.4], [0.6, 0.6, 0.6, 0.5]])
        return table[duels.candidate_ids[:, 0], duels.candidate_ids[:, 1]]

    judgement = probability

    def specification(self):
        return [{"name": "cycle"}]


def test_the_borda_winner_where_preferences_go_in_a_circle():
    judged = judge(Cycle(), _questions(4), None)
    assert judged.win_rates()[0].tolist() == pytest.approx([1.4 / 3, 1.4 / 3, 1.4 / 3, 0.6])
    assert judged.winners().tolist() == [3]
    assert judged.regrets(np.array([[0, 3]]))[0].tolist() == pytest.approx([0.1, 0.0])


@given(arrays(np.float64, (3, 5), elements=st.floats(-50, 50)), st.floats(0.2, 5))
def test_win_rates_average_to_a_half_and_permute_with_the_candidates(utilities, temperature):
    rates = judge(BradleyTerry(temperature), _questions(5, 3), utilities).win_rates()
    assert rates.mean(axis=1) == pytest.approx(0.5)
    order = np.array([3, 0, 4, 1, 2])
    permuted = judge(BradleyTerry(temperature), _questions(5, 3), utilities[:, order]).win_rates()
    assert permuted == pytest.approx(rates[:, order])


@given(arrays(np.float64, (2, 4), elements=st.floats(-50, 50)))
def test_regrets_lie_between_zero_and_a_half(utilities):
    judged = judge(BradleyTerry(1.0), _questions(4, 2), utilities)
    for i in range(4):
        regrets = judged.regrets(np.array([[i, 3 - i]] * 2))
        assert (regrets >= 0).all() and (regrets <= 0.5).all()


def test_one_candidate_wins_half_by_definition():
    judged = judge(BradleyTerry(1.0), _questions(1), np.array([[3.0]]))
    assert judged.win_rates().tolist() == [[0.5]] and judged.regrets(np.array([[0, 0]])).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(("gap", "bits"), [(0.1, 0.0018), (0.5, 0.044), (1, 0.160), (2, 0.473), (5, 0.942)])
def test_bits_per_label_by_published_table(gap, bits):
    p = 1 / (1 + np.exp(-gap))
    assert bits_per_label(np.array([p])) == pytest.approx(bits, rel=0.03)
    assert bits_per_label(np.array([1 - p])) == pytest.approx(bits_per_label(np.array([p])))


def test_entropy_at_the_ends():
    assert binary_entropy(np.array([0.0, 1.0, 0.25])).tolist() == pytest.approx([0.0, 0.0, 0.8112781], abs=1e-7)
