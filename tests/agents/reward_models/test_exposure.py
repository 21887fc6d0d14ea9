from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_duels import contexts_of, random_pairs

from duelgym.agent import Contexts
from duelgym_agents.reward_models.exposure import Exposure

ROW = np.array([0])


def test_exponents_by_hand():
    # With r = 1/2 and n earlier labels about either response: 1 / ((1 + n / 2) (1 + (n + 1) / 2)).
    contexts, exposure = contexts_of(np.random.default_rng(0), batch=1), Exposure(0.5)
    assert exposure.take(contexts, ROW, np.array([[0, 1]])) == pytest.approx([1 / 1.5])  # n = 0
    assert exposure.take(contexts, ROW, np.array([[2, 3]])) == pytest.approx([1 / 1.5])  # others
    assert exposure.take(contexts, ROW, np.array([[0, 4]])) == pytest.approx([1 / (1.5 * 2)])  # 0 once before
    assert exposure.take(contexts, ROW, np.array([[1, 0]])) == pytest.approx([1 / (2.5 * 3)])  # 1 once, 0 twice


def test_a_response_is_known_wherever_it_is_shown_and_by_its_prompt():
    contexts, exposure = contexts_of(np.random.default_rng(1), batch=1), Exposure(0.5)
    exposure.take(contexts, ROW, np.array([[0, 1]]))
    turned = Contexts(contexts.prompts, contexts.candidates[:, ::-1])
    assert exposure.take(turned, ROW, np.array([[4, 2]])) == pytest.approx([1 / (1.5 * 2)])
    elsewhere = Contexts(contexts.prompts + np.float32(1), contexts.candidates)
    assert exposure.take(elsewhere, ROW, np.array([[0, 1]])) == pytest.approx([1 / 1.5])


def test_labels_of_one_batch_count_one_after_the_other():
    one = contexts_of(np.random.default_rng(2), batch=1)
    twice = Contexts(one.prompts.repeat(2, axis=0), one.candidates.repeat(2, axis=0))
    exposure = Exposure(0.5)
    assert exposure.take(twice, np.arange(2), np.array([[0, 1], [0, 2]])) == pytest.approx([1 / 1.5, 1 / (1.5 * 2)])
    assert exposure.take(one, ROW, np.array([[0, 3]])) == pytest.approx([1 / (2 * 2.5)])  # which were two about 0


@given(st.floats(0.01, 5.0), st.integers(1, 60))
def test_all_labels_about_a_response_tell_no_more_than_their_limit(residual, labels):
    # A rival that was never asked about each time, so that n is 0, 1, 2, …: the sum telescopes to n / (1 + n r).
    rng = np.random.default_rng(0)
    contexts, exposure = contexts_of(rng, batch=1, n_candidates=labels + 1), Exposure(residual)
    told = sum(exposure.take(contexts, ROW, np.array([[0, 1 + rival]]))[0] for rival in range(labels))
    assert told == pytest.approx(labels / (1 + labels * residual))
    assert told < 1 / residual


def test_without_a_residual_every_label_counts_fully():
    contexts, exposure = contexts_of(np.random.default_rng(3), batch=1), Exposure(0.0)
    for _ in range(5):
        assert exposure.take(contexts, ROW, np.array([[0, 1]])) == pytest.approx([1.0])


def test_a_state_goes_round():
    rng = np.random.default_rng(4)
    contexts, first, other = contexts_of(rng), Exposure(0.5), Exposure(0.5)
    asked = np.arange(6)
    other.take(contexts, asked, random_pairs(rng, contexts))  # forgotten by what is loaded
    for _ in range(3):
        first.take(contexts, asked, random_pairs(rng, contexts))
    other.load_state_dict(first.state_dict())
    pairs = random_pairs(rng, contexts)
    assert np.array_equal(first.take(contexts, asked, pairs), other.take(contexts, asked, pairs))
