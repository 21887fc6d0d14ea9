from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_up_duels import contexts_of, random_pairs

from duelgym import Contexts
from duelgym_agents.reward_models import ReplaySettings
from duelgym_agents.reward_models.replay import Replay, double_or_nothing, informative


def replay_of(prompt_dim=3, mark_dim=0, **changes):
    rng = np.random.default_rng(0)
    return Replay(ReplaySettings(**changes), prompt_dim=prompt_dim, candidate_dim=4, rng=rng, mark_dim=mark_dim)


def fill(replay, rng, duels, batch=4, **shape):
    for _ in range(duels // batch):
        contexts = contexts_of(rng, batch=batch, **shape)
        replay.add(contexts, random_pairs(rng, contexts), rng.choice([0, 1, 3], batch).astype(np.int8))


def test_what_teaches_something_and_its_targets():
    pairs = np.array([[0, 1], [2, 1], [3, 3], [1, 0], [0, 2]])
    asked, targets = informative(pairs, np.array([0, 1, 0, 2, 3], np.int8))
    assert asked.tolist() == [0, 1, 4]
    assert targets.tolist() == [1.0, 0.0, 0.5]
    assert targets.dtype == np.float32


def test_a_replay_of_skips_and_self_duels_has_nothing_in_it_but_knows_the_scales():
    replay, rng = replay_of(), np.random.default_rng(1)
    contexts = contexts_of(rng, batch=3)
    assert replay.add(contexts, np.array([[0, 1], [2, 2], [1, 0]]), np.array([2, 1, 2], np.int8)) == 0
    assert len(replay) == 0
    assert float(replay.state_dict()["candidate_scaler/sums"][0]) == 15


# --- steps ------------------------------------------------------------------------------------------------


def test_steps_are_due_in_proportion_to_labels_and_parts_are_carried_over_and_restored():
    replay, rng = replay_of(steps=5), np.random.default_rng(8)

    def due(batch, answer=0):
        contexts = contexts_of(rng, batch=batch)
        return replay.add(contexts, random_pairs(rng, contexts), np.full(batch, answer, np.int8))

    assert due(32) == 5  # as published
    # Then 10, 20, 30, 32 of 32 labels, each 5 / 32 of a step: 1.5625, 3.125, 4.6875 and 5 steps.
    assert [due(batch) for batch in (10, 10, 10, 2)] == [1, 2, 1, 1]
    assert due(256) == 40
    assert due(10) == 1
    again = replay_of(steps=5)
    again.load_state_dict(replay.state_dict())
    replay = again
    assert due(10, answer=2) == 0  # nothing to learn, and nothing owed for it
    assert due(10) == 2


def test_skips_and_self_duels_owe_no_steps_however_many_are_asked_at_once():
    whole, one_by_one, contexts = replay_of(steps=16), replay_of(steps=16), contexts_of(np.random.default_rng(9))
    pairs = np.array([[0, 1], [1, 0], [2, 2], [3, 3], [0, 4], [4, 0]])
    answers = np.array([0, 2, 0, 1, 3, 2], np.int8)
    # Half a step for the first and for the fifth.
    assert [whole.add(contexts, pairs, answers) for _ in range(3)] == [1, 1, 1]
    rows = [Contexts(contexts.prompts[[k]], contexts.candidates[[k]]) for k in range(6)]
    alone = [one_by_one.add(row, pairs[[k]], answers[[k]]) for k, row in enumerate(rows)]
    assert alone == [0, 0, 0, 0, 1, 0]


@given(sizes=st.lists(st.integers(1, 200), max_size=20), steps=st.integers(0, 50))
def test_however_labels_are_batched_as_many_steps_are_taken(sizes, steps):
    settings, before, taken = ReplaySettings(steps=steps), 0, 0
    for size in sizes:
        taken += settings.steps_after(before, size)
        before += size
    assert taken == settings.steps_after(0, sum(sizes)) == sum(sizes) * steps // 32


# --- the regulariser --------------------------------------------------------------------------------------


def test_the_pull_is_lambda_over_the_duels_in_the_buffer():
    replay, rng = replay_of(regularizer=6.0, buffer_capacity=10), np.random.default_rng(2)
    for duels, pull in [(4, 6 / 4), (4, 6 / 8), (4, 6 / 10), (4, 6 / 10)]:
        fill(replay, rng, duels)
        assert replay.pull == pytest.approx(pull)


def test_with_a_half_life_lambda_goes_on_halving_when_the_buffer_is_full():
    replay = replay_of(regularizer=6.0, regularizer_half_life=8.0, buffer_capacity=10)
    rng = np.random.default_rng(3)
    for pull in [6 * 2**-0.5 / 4, 3 / 8, 6 * 2**-1.5 / 10, 1.5 / 10]:  # after 4, 8, 12 and 16 duels
        fill(replay, rng, 4)
        assert replay.pull == pytest.approx(pull)
    contexts = contexts_of(rng)
    replay.add(contexts, random_pairs(rng, contexts), np.full(6, 2, np.int8))
    assert replay.pull == pytest.approx(1.5 / 10)  # skips are no duels learnt from


def test_a_tiny_half_life_leaves_no_regulariser_and_no_error():
    replay = replay_of(regularizer=6.0, regularizer_half_life=1e-300)
    fill(replay, np.random.default_rng(4), 4)
    assert replay.pull == 0.0


# --- the bootstrap ----------------------------------------------------------------------------------------


def test_double_or_nothing_by_hand():
    marks = torch.tensor([[0.3, -1.0], [-0.2, 2.0], [1.0, 0.5]])
    particles = double_or_nothing(marks, torch.eye(2))
    assert particles.tolist() == [[2, 0, 2], [0, 2, 2]]
    # Along (1, 1): -0.7, 1.8, 1.5; along (-2, 0): -0.6, 0.4, -2.
    assert double_or_nothing(marks, torch.tensor([[1.0, 1.0], [-2.0, 0.0]])).tolist() == [[0, 2, 2], [0, 2, 0]]


def test_each_index_counts_half_of_the_duels_and_near_indices_the_same_ones():
    replay = replay_of(mark_dim=3)
    fill(replay, np.random.default_rng(5), 3200)
    (marks,) = (duels.marks for duels in replay.everything(1))
    assert marks.shape == (3200, 3)
    counts = double_or_nothing(marks, torch.eye(3))
    assert counts.mean(1).tolist() == pytest.approx([1, 1, 1], abs=0.07)  # four standard errors: 4 / sqrt(3200)
    for one, other in [(0, 1), (0, 2), (1, 2)]:
        assert float((counts[one] == counts[other]).float().mean()) == pytest.approx(0.5, abs=0.036)
    # Two indices at an angle a agree on 1 - a / pi of all duels: at 60 degrees two thirds.
    near = double_or_nothing(marks, torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.75**0.5, 0.0]]))
    assert float((near[0] == near[1]).float().mean()) == pytest.approx(2 / 3, abs=0.034)


# --- what a network is shown ------------------------------------------------------------------------------


@pytest.mark.parametrize("features", ["concat", "interaction"])
def test_a_network_is_shown_each_duel_once_scaled_by_what_is_known_now(features, monkeypatch):
    replay, rng = replay_of(prompt_dim=4, features=features), np.random.default_rng(6)
    contexts = contexts_of(rng, batch=9, prompt_dim=4)
    pairs = random_pairs(rng, contexts)
    replay.add(contexts, pairs, np.zeros(9, np.int8))
    fill(replay, rng, 4, prompt_dim=4)
    shown = replay._candidate_scaler(contexts.candidates[np.arange(9)[:, None], pairs])
    prompts = replay._prompt_scaler(contexts.prompts)
    if features == "interaction":
        shown = np.concatenate([shown, shown * prompts[:, None]], axis=2)
    (whole,) = replay.everything(16)
    assert np.array_equal(whole.candidates[:9], shown)
    assert np.array_equal(whole.prompts[:9], prompts)
    monkeypatch.setattr("duelgym_agents.reward_models.replay._PIECE", 200)
    pieces = list(replay.everything(16))
    assert len(pieces) > 2
    for name in ("candidates", "prompts", "targets"):
        assert torch.equal(torch.cat([getattr(piece, name) for piece in pieces]), getattr(whole, name))


def test_minibatches_are_drawn_with_replacement_from_the_generator_given():
    replay = replay_of(minibatch_size=200)
    fill(replay, np.random.default_rng(7), 4)
    (whole,) = replay.everything(1)
    drawn = replay.draw()
    places = {tuple(prompt): place for place, prompt in enumerate(whole.prompts.tolist())}
    found = [places[tuple(prompt)] for prompt in drawn.prompts.tolist()]
    assert found == np.random.default_rng(0).integers(4, size=200).tolist()
