"""Win rates, winners, regrets and bits, against values worked by hand."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from duelgym.generators import Questions
from duelgym.metrics import binary_entropy, bits_per_label, judge
from duelgym.metrics import judged as judged_module
from duelgym.simulators import BradleyTerry, Intransitive, Mixture

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
    has_judgement = True
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


@pytest.mark.parametrize("simulator", [Intransitive(BradleyTerry(1.0), 1.0), Mixture(BradleyTerry(0.5), 3)])
@pytest.mark.parametrize("at_once", [1, 60, 10_000])
def test_blocks_do_not_change_what_comes_out(monkeypatch, simulator, at_once):
    """Against the mean over each candidate's rivals, one question and one pair at a time."""
    monkeypatch.setattr(judged_module, "DUELS_AT_ONCE", at_once)
    everybody = np.random.default_rng(0).normal(size=(7, 5, 3))
    questions = Questions(np.arange(7), np.tile(np.arange(5), (7, 1)))
    judged = judge(simulator, questions, everybody.mean(axis=2), everybody)
    expected = np.empty((7, 5))
    for i in range(5):
        rivals = [j for j in range(5) if j != i]
        expected[:, i] = np.mean([judged.probability(np.full(7, i), np.full(7, j)) for j in rivals], axis=0)
    rates = judged.win_rates()
    assert rates == pytest.approx(expected)
    assert np.array_equal(judged.winners(), np.argmax(rates, axis=1))
    rates[:] = 0
    assert judged.win_rates() == pytest.approx(expected)


def test_the_mixtures_winner_need_not_be_the_one_of_highest_mean_utility():
    """Two raters like 0 a little better than 1, the third likes 1 far better: by majority 0, by mean utility 1."""
    everybody = np.array([[[1.0, 1.0, 0.0], [0.0, 0.0, 9.0]]])
    judged = judge(Mixture(BradleyTerry(0.1), 3), _questions(2), everybody.mean(axis=2), everybody)
    assert judged.winners().tolist() == [0] and np.argmax(judged.utilities, axis=1).tolist() == [1]
    assert judged.win_rates()[0] == pytest.approx([2 / 3, 1 / 3], abs=1e-4)


def test_borda_regret_where_the_winner_is_beaten():
    """0 > 1 > 2 > 0, and 3 loses to all: 0 wins most, and 2 beats it."""

    class Circle(Cycle):
        def probability(self, duels):
            table = np.array([[0.5, 0.9, 0.4, 1.0], [0.1, 0.5, 0.9, 1.0], [0.6, 0.1, 0.5, 1.0], [0.0, 0.0, 0.0, 0.5]])
            return table[duels.candidate_ids[:, 0], duels.candidate_ids[:, 1]]

        judgement = probability

    judged = judge(Circle(), _questions(4, 2), None)
    assert judged.win_rates()[0].tolist() == pytest.approx([2.3 / 3, 2.0 / 3, 1.7 / 3, 0.0])
    assert judged.winners().tolist() == [0, 0]
    assert judged.regrets(np.array([[0, 1], [2, 3]])) == pytest.approx(np.array([[0, 0.1], [0.2, 2.3 / 3]]))


@given(arrays(np.float64, (2, 4), elements=st.floats(-3, 3)), st.floats(0, 5))
def test_regrets_are_never_negative_whatever_the_circle(utilities, strength):
    judged = judge(Intransitive(BradleyTerry(1.0), strength), _questions(4, 2), utilities)
    regrets = np.stack([judged.regrets(np.full((2, 2), i))[:, 0] for i in range(4)], axis=1)
    assert regrets.min() >= -1e-12 and regrets.max() <= 1
    assert (regrets[np.arange(2), judged.winners()] == 0).all()
