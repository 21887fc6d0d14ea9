"""Ranks: Holm's correction worked by hand, Student's interval over environments, and how often equals are told apart."""

import math
from itertools import permutations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from duelgym_bench.leaderboard.ranking import Part, better, holm, over_environments, ranks


def test_the_mean_over_environments_by_hand():
    both = over_environments([Part(0.4, 0.03, 10), Part(0.2, 0.04, 10)])  # error sqrt(.0009 + .0016) / 2 = .025
    assert math.isclose(both.value, 0.3) and math.isclose(both.high - both.value, 2.262157 * 0.025, rel_tol=1e-6)
    assert math.isclose(both.value - both.low, both.high - both.value)
    fewer = over_environments([Part(0.4, 0.03, 10), Part(0.2, 0.04, 4)])  # 3 degrees of freedom
    assert math.isclose(fewer.high - fewer.value, 3.182446 * 0.025, rel_tol=1e-6)


def test_p_values_by_hand():
    assert math.isclose(better([Part(0.1, 0.1, 2)]), 0.25)  # t = 1, one degree of freedom: Cauchy
    assert math.isclose(better([Part(-0.1, 0.1, 2)]), 0.75)
    assert better([Part(0.1, 0.0, 5)]) == 0.0 and better([Part(0.0, 0.0, 5)]) == 1.0
    assert better([Part(9.0, 0.1, 1)]) == 1.0  # a single seed says nothing


def test_holm_by_hand():
    p_values = {("a", "b"): 0.01, ("a", "c"): 0.04, ("b", "c"): 0.02, ("c", "d"): 0.5}
    # .01 <= .05 / 4; .02 > .05 / 3 stops, though .04 <= .05 / 1 would have passed further on
    assert holm(p_values) == {("a", "b")}
    assert holm({**p_values, ("b", "c"): 0.0166}) == {("a", "b"), ("b", "c")}
    assert holm({}) == frozenset()


def test_ranks_count_those_significantly_better():
    p_values = dict.fromkeys(permutations("abc", 2), 1.0) | {("a", "c"): 0.001, ("b", "c"): 0.001}
    assert ranks("abc", p_values) == {"a": 1, "b": 1, "c": 3}
    assert ranks("a", {}) == {"a": 1}


@given(st.dictionaries(st.tuples(st.sampled_from("abcd"), st.sampled_from("efgh")), st.floats(0, 1)))
def test_holm_is_between_bonferroni_and_no_correction(p_values):
    found = holm(p_values)
    assert found >= {pair for pair, p in p_values.items() if p <= 0.05 / len(p_values)}
    assert found <= {pair for pair, p in p_values.items() if p <= 0.05}


def test_equals_are_told_apart_at_most_once_in_twenty():
    rng, wrong = np.random.default_rng(0), 0
    for _ in range(400):
        values = rng.standard_normal((4, 10))
        parts = {
            (a, b): [Part(float(d.mean()), float(d.std(ddof=1) / np.sqrt(10)), 10)]
            for a, b in permutations(range(4), 2)
            for d in [values[a] - values[b]]
        }
        places = ranks([*"0123"], {(str(a), str(b)): better(of) for (a, b), of in parts.items()})
        wrong += max(places.values()) > 1
    assert wrong <= 0.05 * 400 + 10  # binomial: 20 at the most on average, 2.3 standard deviations above it
