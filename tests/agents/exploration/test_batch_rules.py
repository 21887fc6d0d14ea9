"""Rules that pick the pairs of a batch jointly: BatchBALD, k-centre, determinant-greedy."""

from __future__ import annotations

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duelgym.errors import SpecificationError
from duelgym_agents.exploration import BatchBALD, DeterminantGreedy, KCentre
from duelgym_agents.exploration.batchbald import information
from duelgym_agents.exploration.posterior import LinearPosterior


def sampled(n_samples, batch, n_candidates, seed=0, scale=1.0):
    draws = np.random.default_rng(seed).standard_normal((n_samples, batch, n_candidates))
    return (scale * draws).astype(np.float32)


def entropy(p):
    return -sum(x * math.log(x) for x in (p, 1 - p))


# --- BatchBALD ------------------------------------------------------------------------------------------------------


def test_information_by_hand():
    # Two samples: 3/4 and 1/4. No label yet: h(1/2) - h(1/4).
    wins = np.array([[0.75], [0.25]], np.float32)
    assert information(np.array([[0.5, 0.5]], np.float32), wins) == pytest.approx(
        [entropy(0.5) - entropy(0.25)], abs=1e-6
    )
    # One such label seen, in half the strings a win: beliefs 3/4, 1/4 or the other way round, so the next label wins
    # with probability 9/16 + 1/16 = 5/8 or 3/8.
    beliefs = np.array([[0.75, 0.25], [0.25, 0.75]], np.float32)
    assert information(beliefs, wins) == pytest.approx([entropy(5 / 8) - entropy(0.25)], abs=1e-6)
    # Who knows the sample learns nothing.
    assert information(np.eye(2, dtype=np.float32), wins) == pytest.approx([0], abs=1e-6)


def test_batchbald_does_not_ask_the_same_twice():
    # Four samples: two bits a and b, each +1 or -1. In both prompts the label that tells most is about a: 4 a.
    a, b = np.array([1, 1, -1, -1]), np.array([1, -1, 1, -1])
    zero = 0 * a
    utilities = np.stack([np.stack([4 * a, zero, zero], 1), np.stack([4 * a, zero, 3.5 * b], 1)], 1).astype(np.float32)
    # Alone, the second prompt asks (0, 1): its label is right about a with sigmoid(4) = 0.98, that of (1, 2) about b
    # with sigmoid(3.5) = 0.97. After the first prompt a is nearly known, and b tells more.
    alone = BatchBALD()(utilities[:, 1:], np.random.default_rng(0)).pairs
    assert alone.tolist() == [[0, 1]]
    pairs = BatchBALD()(utilities, np.random.default_rng(0)).pairs
    assert pairs[0].tolist() in ([0, 1], [0, 2])
    assert pairs[1].tolist() == [1, 2]


def test_batchbald_expects_the_labels_that_the_samples_expect():
    # One sample of ten contradicts the rest about the first prompt, whose label is thus one of the rest's 9 times in
    # 10. Then that one is nearly ruled out, and asking about it again, by (0, 1) of the second prompt, tells nearly
    # nothing: 0.06 nats on average. What splits the others, (1, 2), tells about 0.88 * 0.19 = 0.17. Were both labels
    # of the first prompt as likely, the two would come to 0.22 and 0.10.
    odd = np.array([-1] + 9 * [1])
    split = np.array([0] + 4 * [-1] + 5 * [1])
    first, second = np.stack([4 * odd, 0 * odd, 0 * odd], 1), np.stack([6 * odd, 0 * odd, 1.4 * split], 1)
    utilities = np.stack([first, second], 1).astype(np.float32)
    pairs = BatchBALD()(utilities, np.random.default_rng(0)).pairs
    assert pairs[0].tolist() in ([0, 1], [0, 2])
    assert pairs[1].tolist() == [1, 2]


def test_batchbald_is_greedy_for_the_joint_information():
    # Worked out in full: every string of labels of the pairs picked so far, under every sample.
    utilities = sampled(5, 3, 4, seed=4, scale=2)
    pairs = BatchBALD(n_strings=20_000)(utilities, np.random.default_rng(0)).pairs

    def wins(prompt, pair):
        return 1 / (1 + np.exp(-(utilities[:, prompt, pair[0]] - utilities[:, prompt, pair[1]]).astype(float)))

    def joint(chosen):
        ps = [wins(prompt, pair) for prompt, pair in enumerate(chosen)]
        strings = np.array(
            [
                np.prod([p if y else 1 - p for p, y in zip(ps, ys, strict=True)], axis=0)
                for ys in itertools.product([0, 1], repeat=len(ps))
            ]
        )
        marginal = strings.mean(axis=1)
        return -(marginal * np.log(marginal)).sum() + (strings * np.log(strings)).sum() / 5

    for prompt in range(3):
        before = pairs[:prompt].tolist()
        values = {pair: joint([*before, pair]) for pair in itertools.combinations(range(4), 2)}
        assert joint(pairs[: prompt + 1].tolist()) > max(values.values()) - 0.003  # Monte Carlo error


@settings(max_examples=30)
@given(
    n_samples=st.integers(2, 5),
    batch=st.integers(1, 4),
    n_candidates=st.integers(2, 6),
    scale=st.sampled_from([0.0, 1e-6, 1.0, 1e6]),
    seed=st.integers(0, 10**6),
)
def test_batchbald_pairs_are_legal_and_equal_for_equal_generators(n_samples, batch, n_candidates, scale, seed):
    utilities = sampled(n_samples, batch, n_candidates, seed, scale)
    before = utilities.copy()
    selection, again = (BatchBALD()(utilities, np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(selection.pairs, again.pairs)
    assert np.array_equal(utilities, before)
    assert selection.pairs.shape == (batch, 2)
    assert selection.pairs.dtype == np.int64
    assert (selection.pairs[:, 0] < selection.pairs[:, 1]).all()
    assert ((selection.pairs >= 0) & (selection.pairs < n_candidates)).all()
    # In single precision samples 1e-6 apart agree; far apart they are soon used up.
    assert selection.fallbacks == batch if scale <= 1e-6 else selection.fallbacks <= batch


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), order=st.permutations(range(5)))
def test_permuting_candidates_permutes_batchbald(seed, order):
    utilities = sampled(6, 1, 5, seed)
    plain = BatchBALD()(utilities, np.random.default_rng(0)).pairs
    permuted = BatchBALD()(utilities[:, :, order], np.random.default_rng(0)).pairs
    assert np.array_equal(np.sort(np.array(order)[permuted], axis=1), plain)


def test_agreement_falls_back_to_uniform_pairs_and_is_counted():
    # Samples that differ by a constant agree about every pair.
    base = np.array([0.0, 9.0, 1.0, 2.0], np.float32)
    utilities = np.stack([base, base + 8])[:, None].repeat(1200, axis=1)
    selection = BatchBALD(n_strings=2)(utilities, np.random.default_rng(1))
    assert selection.fallbacks == 1200
    counts = np.bincount(selection.pairs @ [4, 1], minlength=16).reshape(4, 4)[np.triu_indices(4, k=1)]
    assert ((counts - 200) ** 2).sum() / 200 < 20.5  # 0.1 %, 5 degrees of freedom


def test_what_earlier_labels_tell_is_not_asked_again_and_rounding_decides_nothing():
    # Two samples that are each other's reverse: a label or two tell them apart, and all other pairs are alike.
    base = np.array([0.0, 36.0, 4.0, 10.0], np.float32)
    utilities = np.stack([base, -base])[:, None].repeat(1202, axis=1)
    selection = BatchBALD()(utilities, np.random.default_rng(3))
    assert 1200 <= selection.fallbacks <= 1201
    counts = np.bincount(selection.pairs[2:] @ [4, 1], minlength=16).reshape(4, 4)[np.triu_indices(4, k=1)]
    assert ((counts - 200) ** 2).sum() / 200 < 20.5  # 0.1 %, 5 degrees of freedom


def test_batchbald_needs_two_samples_and_a_string():
    with pytest.raises(SpecificationError, match="at least 2"):
        BatchBALD()(sampled(1, 2, 3), np.random.default_rng(0))
    with pytest.raises(SpecificationError, match="n_strings is 0"):
        BatchBALD(n_strings=0)


def test_batchbald_memory_stays_below_64_mb():
    utilities = sampled(10, 32, 100)
    tracemalloc.start()
    BatchBALD()(utilities, np.random.default_rng(0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64e6


# --- k-centre -------------------------------------------------------------------------------------------------------


def test_k_centre_by_hand():
    features = np.array([[[0, 0], [3, 0], [0, 1]], [[0, 0], [-3.3, 1], [0, 1.5]]], np.float32)
    # Squared lengths: 9, 1, 10 in the first prompt, 11.89, 2.25, 11.14 in the second, which is served first by (0, 1):
    # (3.3, -1). Seen from there, (0, 1) of the first prompt, (-3, 0), is reversed (0.3, -1) away: 1.09; (0, 2) is
    # nearest to the origin: 1; (1, 2), (3, -1), though longest, is nearly the same question: 0.09.
    assert KCentre()(features, np.random.default_rng(0)).pairs.tolist() == [[0, 1], [0, 1]]
    # Alone, the first prompt asks its longest difference.
    assert KCentre()(features[:1], np.random.default_rng(0)).pairs.tolist() == [[1, 2]]


def test_k_centre_equals_its_definition():
    features = np.random.default_rng(3).standard_normal((4, 5, 3)).astype(np.float32)
    z = {
        (b, i, j): (features[b, i] - features[b, j]).astype(float)
        for b in range(4)
        for i, j in itertools.combinations(range(5), 2)
    }
    centres, expected = [np.zeros(3)], {}
    while len(expected) < 4:
        left = {
            key: min(min(np.linalg.norm(v - c), np.linalg.norm(v + c)) for c in centres)
            for key, v in z.items()
            if key[0] not in expected
        }
        b, i, j = max(left, key=left.get)
        expected[b] = [i, j]
        centres.append(z[b, i, j])
    assert KCentre()(features, np.random.default_rng(0)).pairs.tolist() == [expected[b] for b in range(4)]


# --- determinant-greedy ---------------------------------------------------------------------------------------------


def test_determinant_greedy_by_hand():
    # Two equal prompts with differences (3, -1), (3, 0), (0, 1) and covariance 1: variances 10, 9, 1. The first pair
    # is (0, 1). With precision 1/4 it takes (z . (3, -1))^2 / (4 + 10) off each: 10 - 100/14 = 2.86, 9 - 81/14 = 3.21,
    # 1 - 1/14 = 0.93, so that the other prompt asks (0, 2).
    features = np.array([[[3, 0], [0, 1], [0, 0]]] * 2, np.float32)
    eye = np.eye(2, dtype=np.float32)
    posterior = LinearPosterior(features, np.zeros(2, np.float32), eye)
    pairs = DeterminantGreedy()(posterior, np.random.default_rng(0)).pairs
    assert sorted(pairs.tolist()) == [[0, 1], [0, 2]]
    # Utilities 9, 0, 0: only (1, 2) is undecided, and asked in both prompts.
    decided = LinearPosterior(features, np.array([3, 0], np.float32), eye)
    assert DeterminantGreedy(fisher=True)(decided, np.random.default_rng(0)).pairs.tolist() == [[1, 2], [1, 2]]


@pytest.mark.parametrize("fisher", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_determinant_greedy_equals_its_definition(fisher, seed):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((3, 3))
    posterior = LinearPosterior(
        rng.standard_normal((5, 4, 3)).astype(np.float32),
        rng.standard_normal(3).astype(np.float32),
        (root @ root.T).astype(np.float32),
    )
    features, utilities = posterior.features.astype(float), posterior.utilities().astype(float)
    information = np.linalg.inv(posterior.covariance.astype(float))
    expected = {}
    while len(expected) < 5:
        gains = {}
        for b, (i, j) in itertools.product(set(range(5)) - set(expected), itertools.combinations(range(4), 2)):
            p = 1 / (1 + np.exp(utilities[b, j] - utilities[b, i]))
            z = features[b, i] - features[b, j]
            after = information + (p * (1 - p) if fisher else 0.25) * np.outer(z, z)
            gains[b, i, j] = (np.linalg.slogdet(after)[1], after)
        b, i, j = max(gains, key=lambda key: gains[key][0])
        expected[b] = [i, j]
        information = gains[b, i, j][1]
    pairs = DeterminantGreedy(fisher=fisher)(posterior, np.random.default_rng(0)).pairs
    assert pairs.tolist() == [expected[b] for b in range(5)]
