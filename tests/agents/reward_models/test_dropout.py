from __future__ import annotations

import numpy as np
import pytest
import torch
from made_up_duels import contexts_of, model_of, plain_utility, scaled, teach

from duelgym.agent import Contexts
from duelgym_agents.reward_models.dropout import MCDropout


def dropout(**changes):
    return model_of("mc_dropout", **changes)


def parts_of(model):
    return [part[0].numpy() for part in model._network.views(model._network.parameters)]


def test_a_unit_is_left_out_at_the_rate_and_is_itself_in_expectation():
    model = dropout(dropout_rate=0.3, hidden_sizes=(40, 20))
    first, second = model._masks((1000, 1), np.random.default_rng(0))
    assert first.shape == (1000, 1, 40)
    assert second.shape == (1000, 1, 20)
    assert set(first.unique().tolist()) == {0.0, float(np.float32(1) / np.float32(0.7))}
    assert float((first == 0).float().mean()) == pytest.approx(0.3, abs=0.01)  # four standard errors of 40 000 draws
    assert float(first.mean()) == pytest.approx(1.0, abs=0.014)


@pytest.mark.parametrize("hidden_sizes", [(6,), (6, 5), (4, 6, 5)])
def test_samples_leave_units_out_and_the_mean_none(hidden_sizes):
    model, rng = dropout(hidden_sizes=hidden_sizes, dropout_rate=0.4), np.random.default_rng(1)
    teach(model, rng)
    contexts = contexts_of(rng)
    prompts, candidates = scaled(model, contexts)
    samples, mean = model.sample_utilities(contexts, 3, np.random.default_rng(2)), model.mean(contexts)
    again = np.random.default_rng(2)
    masks = [(again.random((3, width), dtype=np.float32) >= 0.4) / 0.6 for width in hidden_sizes]
    weights = parts_of(model)
    for row, place in [(0, 0), (5, 3)]:
        candidate, prompt = candidates[row, place], prompts[row]
        assert mean[row, place] == pytest.approx(plain_utility(weights, candidate, prompt), rel=1e-4, abs=1e-5)
        for sample in range(3):
            flow = np.maximum(candidate @ weights[0] + prompt @ weights[1] + weights[2][0], 0) * masks[0][sample]
            for weight, bias, mask in zip(weights[3:-1:2], weights[4:-1:2], masks[1:], strict=True):
                flow = np.maximum(flow @ weight + bias[0], 0) * mask[sample]
            assert samples[sample, row, place] == pytest.approx(flow @ weights[-1][0], rel=1e-4, abs=1e-5)


def test_with_one_hidden_layer_samples_average_to_the_mean():
    model, rng = dropout(hidden_sizes=(30,)), np.random.default_rng(3)
    contexts = contexts_of(rng)
    samples = model.sample_utilities(contexts, 8000, rng).astype(np.float64)
    error = samples.mean(axis=0) - model.mean(contexts)
    assert np.abs(error).max() < 5 * samples.std(axis=0).max() / 8000**0.5
    assert samples.std(axis=0).min() > 0.05


def test_a_sample_is_one_function_of_all_prompts_and_candidates(monkeypatch):
    model, rng = dropout(), np.random.default_rng(4)
    teach(model, rng)
    contexts = contexts_of(rng, batch=8)
    alike = Contexts(
        np.repeat(contexts.prompts[:1], 8, axis=0), np.broadcast_to(contexts.candidates[0, 0], (8, 5, 4)).copy()
    )
    monkeypatch.setattr("duelgym_agents.reward_models.replay._PIECE", 200)  # more pieces than one
    samples = model.sample_utilities(alike, 20, rng)
    assert np.abs(samples - samples[:, :1, :1]).max() < 1e-5
    assert len(np.unique(samples[:, 0, 0].round(4))) > 5


@pytest.mark.parametrize(("alike", "least", "most"), [(True, 0.0, 1e-6), (False, 1e-2, np.inf)])
def test_in_training_the_two_candidates_of_a_duel_leave_the_same_units_out(monkeypatch, alike, least, most):
    # Two candidates alike: with the same units left out their difference is 0, but for rounding, whatever the weights; with
    # others it would be noise, and the weights would follow it.
    gaps, masked = [], MCDropout._masked

    def watched(self, *given):
        utilities = masked(self, *given)
        gaps.append(float((utilities[..., 0] - utilities[..., 1]).detach().abs().max()))
        return utilities

    monkeypatch.setattr(MCDropout, "_masked", watched)
    contexts = contexts_of(np.random.default_rng(5), n_candidates=2)
    if alike:
        contexts.candidates[:, 1] = contexts.candidates[:, 0]
    dropout(regularizer=0.0, steps=54).update(contexts, np.tile([0, 1], (6, 1)), np.zeros(6, np.int8))
    assert len(gaps) == 10 and all(least <= gap <= most for gap in gaps)


def test_duels_of_a_minibatch_leave_different_units_out():
    model = dropout()
    (mask, _) = model._masks((50, 1), np.random.default_rng(6))
    assert len({tuple(row) for row in mask[:, 0].tolist()}) > 10


def test_the_step_follows_the_gradient_of_the_network_with_units_left_out():
    # The first step of Adam moves each weight against its gradient's sign; one duel, so the minibatch is known. A
    # second model of one seed tells which units the first one leaves out.
    settings = {"regularizer": 0.0, "learning_rate": 1e-2, "minibatch_size": 1}
    model, twin = dropout(steps=32, **settings), dropout(steps=0, **settings)
    weights = model._network.parameters.clone().requires_grad_()
    contexts = contexts_of(np.random.default_rng(7), batch=1)
    for each in (model, twin):
        each.update(contexts, np.array([[3, 1]]), np.array([0], np.int8))
    twin._replay.draw()
    masks = [mask[0] for mask in twin._masks((1, 1), twin._replay.rng)]

    prompts, candidates = (torch.from_numpy(array) for array in scaled(model, contexts))
    first, second, bias, matrix, shift, out = (part[0] for part in model._network.views(weights))
    hidden = torch.relu(candidates[0, [3, 1]] @ first + prompts @ second + bias) * masks[0]
    utilities = (torch.relu(hidden @ matrix + shift) * masks[1]) @ out[0]
    (torch.logsumexp(utilities, 0) - utilities[0]).backward()
    moved = model._network.parameters - weights.detach()
    clear = weights.grad.abs() > 1e-5
    assert clear.any()
    assert torch.allclose(moved[clear], -1e-2 * weights.grad[clear].sign(), rtol=2e-2)
    assert (moved[weights.grad == 0] == 0).all()  # what was left out does not move
