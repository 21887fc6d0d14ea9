"""What each wrapper does to an answer: worked by hand, and properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duelgym.errors import SpecificationError
from duelgym.generators import Questions
from duelgym.metrics import judge
from duelgym.simulators import (
    BradleyTerry,
    Deterministic,
    Drifting,
    Duels,
    Flip,
    Intransitive,
    Irrational,
    LengthBias,
    Mixture,
    PositionBias,
    PreferenceSimulator,
    simulator_from_specification,
)
from duelgym.simulators.intransitive import _mixed, hidden_angles
from duelgym.simulators.logistic import shifted

LN3 = np.log(3.0)
utilities = st.floats(-20, 20)


def _duel(first, second, *, ids=(0, 1), lengths=None, query=0, raters=None):
    return Duels(
        np.array([5]),
        np.array([ids]),
        np.array([[first, second]], dtype=np.float64),
        np.array([query]),
        lengths=None if lengths is None else np.array([lengths], dtype=np.float64),
        all_utilities=None if raters is None else np.array([raters], dtype=np.float64),
    )


def test_deterministic_by_hand():
    answers = [float(Deterministic().probability(_duel(*pair))[0]) for pair in [(1, 0), (0, 1), (2, 2)]]
    assert answers == [1.0, 0.0, 0.5]


def test_flip_by_hand():
    """3/4 with a tenth flipped: 0.9 * 0.75 + 0.1 * 0.25."""
    simulator = Flip(BradleyTerry(1.0), 0.1)
    assert simulator.probability(_duel(LN3, 0))[0] == pytest.approx(0.7)
    assert simulator.judgement(_duel(LN3, 0))[0] == pytest.approx(0.75)


def test_position_bias_by_hand():
    """Odds of 3 : 1, tripled for the first shown: 9 : 1 or, shown second, 1 : 1."""
    simulator = PositionBias(BradleyTerry(1.0), LN3)
    assert simulator.probability(_duel(LN3, 0))[0] == pytest.approx(0.9)
    assert simulator.probability(_duel(0, LN3))[0] == pytest.approx(0.5)
    assert simulator.probability(_duel(2, 2, ids=(4, 4)))[0] == 0.5
    assert simulator.judgement(_duel(LN3, 0))[0] == pytest.approx((0.9 + 0.5) / 2)
    assert PositionBias(Deterministic(), LN3).probability(_duel(0, 1))[0] == 0.0


def test_length_bias_by_hand():
    """Twice the length gains half of 2 ln 3: even odds become 3 : 1."""
    simulator = LengthBias(BradleyTerry(1.0), 2 * LN3)
    assert simulator.probability(_duel(0, 0, lengths=(80, 40)))[0] == pytest.approx(0.75)
    assert simulator.probability(_duel(0, 0, lengths=(0, 9)))[0] == pytest.approx(0.1)
    assert simulator.probability(_duel(0, 0, lengths=(0, 0)))[0] == 0.5
    assert simulator.judgement(_duel(LN3, 0, lengths=(0, 9)))[0] == pytest.approx(0.75)
    with pytest.raises(SpecificationError, match="needs the lengths"):
        simulator.probability(_duel(0, 0))


def test_irrational_by_hand():
    simulator = Irrational(BradleyTerry(1.0), skip_below=-1.0, tie_within=0.5)
    assert simulator.undecided(_duel(-2, -1.1)).tolist() == [[1, 0]]
    assert simulator.undecided(_duel(-1, -1.1)).tolist() == [[0, 1]]
    assert simulator.undecided(_duel(0, -3)).tolist() == [[0, 0]]
    assert simulator.probability(_duel(LN3, 0))[0] == pytest.approx(0.75)
    assert Irrational(simulator, tie_within=3.0).undecided(_duel(-2, -1.1)).tolist() == [[0, 1]]
    assert Irrational(simulator, skip_below=-5.0).undecided(_duel(-2, -1.1)).tolist() == [[1, 0]]


def test_drifting_by_hand():
    """A factor of 4 over two queries: at s = 1/4 the temperature has grown by sqrt 2, at the end by 4."""
    simulator = Drifting(BradleyTerry(1.0), 4.0, 2)
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    expected = {0: LN3 / np.sqrt(2), 1: LN3 / np.sqrt(8), 99: LN3 / 4}
    for query, gap in expected.items():
        assert simulator.probability(_duel(LN3, 0, query=query))[0] == pytest.approx(sigmoid(gap))


@given(st.floats(-40, 40), st.floats(0.01, 100))
def test_drifting_is_judged_by_its_mean_over_the_run(gap, factor):
    n = 4000
    simulator = Drifting(BradleyTerry(1.0), factor, n)
    run = Duels(np.zeros(n, dtype=int), np.tile([0, 1], (n, 1)), np.tile([gap, 0.0], (n, 1)), np.arange(n))
    assert simulator.judgement(_duel(gap, 0, query=-1))[0] == pytest.approx(simulator.probability(run).mean(), abs=1e-4)


def test_mixture_by_hand():
    """One rater at 3/4, one at 1/10: judged by the mean; who is asked answers for himself."""
    simulator = Mixture(BradleyTerry(1.0), 2)
    duel = _duel(LN3, 0, raters=[[LN3, 0], [0, 2 * LN3]])
    assert simulator.judgement(duel)[0] == pytest.approx((0.75 + 0.1) / 2)
    assert simulator.probability(duel)[0] == pytest.approx(0.75)


def test_three_responses_each_beaten():
    """Of responses alike in utility, some three go in a circle; so no Condorcet winner need exist."""
    simulator = Intransitive(BradleyTerry(1.0), 2.0)
    ids = np.arange(12)
    judged = judge(simulator, Questions(np.full(12 * 12, 3), np.tile(ids, (144, 1))), np.zeros((144, 12)))
    first, second = (index.ravel() for index in np.indices((12, 12)))
    beats = (judged.probability(first, second) > 0.5).reshape(12, 12)
    circles = [(a, b, c) for a in ids for b in ids for c in ids if beats[a, b] and beats[b, c] and beats[c, a]]
    assert circles
    a, b, c = circles[0]
    three = judge(simulator, Questions(np.array([3]), np.array([[a, b, c]])), np.zeros((1, 3)))
    matrix = np.array([[three.probability(np.array([i]), np.array([j]))[0] for j in range(3)] for i in range(3)])
    assert matrix[0, 1] > 0.5 and matrix[1, 2] > 0.5 and matrix[2, 0] > 0.5
    assert three.winners()[0] == np.argmax((matrix.sum(axis=1) - 0.5) / 2)
    assert not simulator.follows_utility


def test_the_strength_bounds_what_the_circle_does():
    ids, queries = np.array([[0, 1]] * 500), np.full(500, -1)
    duels = Duels(np.arange(500), ids, np.tile([LN3, 0.0], (500, 1)), queries)
    odds = 1 / Intransitive(BradleyTerry(1.0), LN3).judgement(duels) - 1
    assert odds.min() >= 1 / 9 - 1e-12 and odds.max() <= 1 + 1e-12 and odds.min() < 0.15 and odds.max() > 0.9


def test_hidden_angles_are_uniform_and_fixed_for_ever():
    angles = hidden_angles(np.arange(300), np.tile(np.arange(-1, 99), (300, 1)))
    counts, _ = np.histogram(angles, bins=20, range=(0, 2 * np.pi))
    assert angles.min() >= 0 and angles.max() < 2 * np.pi and counts.sum() == 30_000
    assert abs(counts - 1500).max() < 4 * np.sqrt(1500)


def test_angles_stay_what_they_are():
    """Logs replay only while they do. The hash of 0 is SplitMix64's published first output for seed 0."""
    assert _mixed(np.zeros(1, dtype=np.uint64)).tolist() == [0xE220A8397B1DCDAF]
    angles = hidden_angles(np.array([0, 7]), np.array([[0, 1], [99, -1]]))
    assert angles.ravel().tolist() == [4.09945474327688, 1.0454996636302039, 4.677997551451437, 1.5034686840930411]


SYMMETRIC = {
    "deterministic": [{"name": "deterministic"}],
    "flip": [{"name": "bradley_terry", "temperature": 1.0}, {"name": "flip", "rate": 0.2}],
    "length_bias": [{"name": "bradley_terry", "temperature": 1.0}, {"name": "length_bias", "strength": 3.0}],
    "intransitive": [{"name": "bradley_terry", "temperature": 1.0}, {"name": "intransitive", "strength": 3.0}],
    "drifting": [{"name": "bradley_terry", "temperature": 1.0}, {"name": "drifting", "factor": 9.0, "queries": 10}],
    "irrational": [
        {"name": "bradley_terry", "temperature": 1.0},
        {"name": "irrational", "skip_below": 0, "tie_within": 1},
    ],
    "mixture": [{"name": "bradley_terry", "temperature": 1.0}, {"name": "mixture", "raters": 3}],
    "position_bias": [{"name": "bradley_terry", "temperature": 1.0}, {"name": "position_bias", "shift": 1.0}],
}
SYMMETRIC["stack"] = [layer for name in SYMMETRIC if name != "position_bias" for layer in SYMMETRIC[name][1:]]
SYMMETRIC["stack"].insert(0, {"name": "bradley_terry", "temperature": 1.0})


@pytest.mark.parametrize("name", SYMMETRIC)
@given(utilities, utilities, st.tuples(st.integers(0, 99), st.integers(0, 500)), st.integers(0, 30))
def test_the_two_orders_sum_to_one(name, first, second, shown, query):
    simulator = simulator_from_specification(SYMMETRIC[name])
    raters = [[first, second, 0.5], [second, 0.1, first]]
    there = _duel(first, second, ids=(3, 8), lengths=shown, query=query, raters=raters)
    back = _duel(second, first, ids=(8, 3), lengths=shown[::-1], query=query, raters=raters[::-1])
    assert simulator.symmetric == (name != "position_bias")
    assert simulator.judgement(there)[0] + simulator.judgement(back)[0] == pytest.approx(1.0, abs=1e-12)
    if simulator.symmetric:
        assert simulator.probability(there)[0] + simulator.probability(back)[0] == pytest.approx(1.0, abs=1e-12)
    if hasattr(simulator, "undecided"):
        assert np.array_equal(simulator.undecided(there), simulator.undecided(back))


@pytest.mark.parametrize("name", [n for n in SYMMETRIC if n not in ("intransitive", "mixture", "stack")])
@given(st.lists(utilities, min_size=3, max_size=3))
def test_where_the_judgement_follows_utility_more_is_never_worse(name, three):
    simulator = simulator_from_specification(SYMMETRIC[name])
    low, middle, high = sorted(three)
    assert simulator.follows_utility
    wins = [simulator.judgement(_duel(value, middle))[0] for value in (low, middle, high)]
    assert wins[0] <= wins[1] + 1e-12 and wins[1] <= wins[2] + 1e-12 and wins[1] == pytest.approx(0.5)


@given(st.floats(0, 1), st.floats(-5, 5))
def test_shifting_there_and_back(p, shift):
    again = shifted(shifted(np.array([p]), shift), -shift)[0]
    assert again == pytest.approx(p, abs=1e-12)


BT = BradleyTerry(1.0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Flip(BT, 0.6), "rate is 0.6; it must be a finite number from 0 to 0.5"),
        (lambda: Flip(BT, True), "rate is True"),
        (lambda: Flip("me", 0.1), "'me' is none"),
        (lambda: PositionBias(BT, float("inf")), "shift is inf"),
        (lambda: LengthBias(BT, "much"), "strength is 'much'"),
        (lambda: Intransitive(BT, -1), "from 0"),
        (lambda: Irrational(BT, tie_within=-0.1), "tie_within is -0.1"),
        (lambda: Irrational(BT, skip_below=float("nan")), "skip_below is nan"),
        (lambda: Drifting(BT, 0.0, 5), "from 0.01 to 100"),
        (lambda: Drifting(BT, 2.0, 0), "queries is 0; it must be a whole number of at least 1"),
        (lambda: Mixture(BT, 1), "raters is 1"),
        (lambda: Mixture(BT, 10**400), "raters is 1000"),
        (lambda: PositionBias(BT, 10**400), "shift is 1000"),
        (lambda: BradleyTerry(10**400), "temperature is 1000"),
        (lambda: Drifting(BT, 2.0, 10**400), "queries is 1000"),
        (lambda: Mixture(Flip(Mixture(BT, 2), 0.1), 2), "a mixture already"),
        (
            lambda: Deterministic().probability(Duels(np.zeros(1), np.zeros((1, 2)), None, np.zeros(1))),
            "needs utilities",
        ),
        (lambda: Mixture(BT, 2).judgement(_duel(0, 1)), "needs the utilities of all its raters"),
    ],
)
def test_settings_that_mean_nothing_are_refused(make, words):
    with pytest.raises(SpecificationError) as caught:
        make()
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_person_cannot_be_mistaken_about_utilities():
    class Person:
        symmetric, follows_utility, has_judgement, needs_texts = False, False, False, True
        probability = judgement = lambda self, duels: None
        specification = lambda self: [{"name": "person"}]  # noqa: E731

    assert isinstance(Person(), PreferenceSimulator) and not Flip(Person(), 0.1).has_judgement
    for make in (lambda: Drifting(Person(), 2, 5), lambda: Irrational(Person()), lambda: Mixture(Person(), 2)):
        with pytest.raises(SpecificationError, match="needs utilities, and person answers without any"):
            make()
