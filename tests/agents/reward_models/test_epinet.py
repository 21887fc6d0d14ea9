from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from made_up_duels import contexts_of, model_of, plain_hidden, plain_utility, random_pairs, scaled, teach

from duelgym_agents.reward_models.replay import Minibatch


def epinet(**changes):
    return model_of("epinet", **changes)


def stirred(rng, **changes):
    """Return an epinet whose weights have all moved, its last layer too."""
    model = epinet(**changes)
    model._parameters.add_(torch.from_numpy(0.3 * rng.standard_normal(len(model._parameters), dtype=np.float32)))
    return model


def duels_of(model, rng, count=7):
    tensors = rng.standard_normal((count, 2, 4)), rng.standard_normal((count, 3)), rng.choice([0.0, 0.5, 1.0], count)
    marks = rng.standard_normal((count, model.settings.index_dim))
    return Minibatch(*(torch.from_numpy(array.astype(np.float32)) for array in (*tensors, marks)))


def learnt_parts(model):
    """Return the weights and biases of the learnt part, in order."""
    sizes = [int(np.prod(shape)) for shape in model._shapes]
    parts = model._parameters[len(model._base.parameters) :].split(sizes)
    return [part.view(shape).numpy() for part, shape in zip(parts, model._shapes, strict=True)]


@pytest.mark.parametrize("hidden_sizes", [(5,), (5, 4)])
def test_a_sample_is_base_plus_learnt_plus_prior_by_hand(hidden_sizes):
    rng = np.random.default_rng(0)
    model = stirred(rng, epinet_hidden_sizes=hidden_sizes, prior_scale=1.4)
    teach(model, rng)
    contexts = contexts_of(rng)
    prompts, candidates = scaled(model, contexts)
    samples = model.sample_utilities(contexts, 3, np.random.default_rng(1))
    indices = np.random.default_rng(1).standard_normal((3, 4), dtype=np.float32)
    base = [part[0].numpy() for part in model._base.views(model._base.parameters)]
    priors = [[part[entry].numpy() for part in model._prior.views(model._prior.parameters)] for entry in range(4)]
    for row, place in [(0, 0), (3, 4)]:
        inputs = candidates[row, place], prompts[row]
        hidden, point = plain_hidden(base, *inputs), plain_utility(base, *inputs)
        assert model.mean(contexts)[row, place] == pytest.approx(point, rel=1e-4, abs=1e-5)
        for sample, index in enumerate(indices):
            flow = np.concatenate([hidden, index])
            *before, last, bias = learnt_parts(model)
            for weight, shift in zip(before[::2], before[1::2], strict=True):
                flow = np.maximum(flow @ weight + shift, 0)
            learnt = (flow @ last + bias) @ index
            prior = 1.4 / 4**0.5 * sum(z * plain_utility(p, *inputs) for z, p in zip(index, priors, strict=True))
            assert samples[sample, row, place] == pytest.approx(point + learnt + prior, rel=1e-3, abs=1e-4)


# --- the beginning ----------------------------------------------------------------------------------------


def test_at_the_beginning_the_spread_over_indices_is_the_prior_scale_and_the_mean_the_base():
    contexts = contexts_of(np.random.default_rng(2), batch=20)
    model = epinet(index_dim=64, prior_hidden_sizes=(16, 16), prior_scale=1.8)
    samples = model.sample_utilities(contexts, 3000, np.random.default_rng(3)).astype(np.float64)
    assert samples.std(axis=0).mean() == pytest.approx(1.8, rel=0.1)
    error = samples.mean(axis=0) - model.mean(contexts)
    assert np.abs(error).max() < 5 * samples.std(axis=0).max() / 3000**0.5


def test_the_learnt_part_begins_as_stated():
    shape = {"hidden_sizes": (150,), "epinet_hidden_sizes": (300, 100)}
    first, bias, second, shift, last, end = learnt_parts(epinet(index_dim=50, **shape))
    assert first.shape == (200, 300) and second.shape == (300, 100) and last.shape == (100, 50)
    assert first.var() == pytest.approx(2 / 200, rel=0.05)  # eight standard errors of 60 000 draws
    assert second.var() == pytest.approx(2 / 300, rel=0.05)  # six of 30 000
    assert not any(part.any() for part in (bias, shift, last, end))


def test_priors_have_the_widths_asked_for():
    model = epinet(hidden_sizes=(6, 5), epinet_hidden_sizes=(9,), prior_hidden_sizes=(4, 7))
    # Of each of four: inputs 4 + 3 times 4, and 4 biases; 4 times 7, and 7 biases; 7 without a bias.
    assert len(model.state_dict()["prior"]) == 4 * (28 + 4 + 28 + 7 + 7)


def test_without_prior_all_indices_begin_as_the_base():
    contexts = contexts_of(np.random.default_rng(4))
    model = epinet(prior_scale=0.0)
    samples = model.sample_utilities(contexts, 3, np.random.default_rng(5))
    assert samples == pytest.approx(np.broadcast_to(model.mean(contexts), samples.shape), abs=1e-6)


# --- the gradient -----------------------------------------------------------------------------------------


def test_no_gradient_passes_from_the_learnt_part_into_the_base():
    rng = np.random.default_rng(6)
    model = stirred(rng)
    duels, split = duels_of(model, rng), len(model._base.parameters)
    indices = torch.from_numpy(rng.standard_normal((3, 4), dtype=np.float32))
    followed = model._parameters.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model._loss(duels, indices, followed), followed)

    # The base alone, what the indices add to it being given numbers: the mean over indices of its own gradient.
    with torch.no_grad():
        added = model._utilities(duels.candidates, duels.prompts, indices, model._parameters)
        added = added - model._base.utilities(duels.candidates, duels.prompts)
    by_index = []
    for offsets in added:
        model._base.backward(duels.candidates, duels.prompts, duels.targets, offsets=offsets[None])
        by_index.append(model._base.gradient.clone())
    base_alone = torch.stack(by_index).mean(0)
    assert torch.allclose(gradient[:split], base_alone, rtol=1e-4, atol=1e-6)

    # The learnt part alone, the base being given numbers.
    learnt = model._parameters[split:].clone().requires_grad_()
    hidden = model._base.hidden(duels.candidates, duels.prompts)[0]
    frozen = model._base.utilities(duels.candidates, duels.prompts) + torch.einsum(
        "zi,ibn->zbn", indices, model._prior.utilities(duels.candidates, duels.prompts) / 2
    )
    utilities = frozen + model._learnt(hidden, indices, learnt)
    gaps = utilities[..., 0] - utilities[..., 1]
    targets = duels.targets.expand(gaps.shape)
    torch.nn.functional.binary_cross_entropy_with_logits(gaps, targets).backward()
    assert torch.allclose(gradient[split:], learnt.grad, rtol=1e-4, atol=1e-6)

    # Were it to pass through h, the base's gradient would be another one.
    through = model._base.parameters.clone().requires_grad_()
    learnt_through = model._learnt(model._base.hidden(duels.candidates, duels.prompts, through)[0], indices, learnt)
    gaps_through = gaps.detach() + (learnt_through - learnt_through.detach()) @ torch.tensor([1.0, -1.0])
    torch.nn.functional.binary_cross_entropy_with_logits(gaps_through, targets).backward()
    assert through.grad.norm() > 0.05 * base_alone.norm()


def test_with_the_bootstrap_an_index_counts_its_half_of_the_duels_twice():
    rng = np.random.default_rng(7)
    model = stirred(rng, bootstrap=True)
    duels = duels_of(model, rng)
    indices = torch.from_numpy(rng.standard_normal((5, 4), dtype=np.float32))
    utilities = model._utilities(duels.candidates, duels.prompts, indices, model._parameters).numpy()
    total = 0.0
    for sample, index in enumerate(indices.numpy()):
        for duel, mark in enumerate(duels.marks.numpy()):
            first, second = utilities[sample, duel]
            target = float(duels.targets[duel])
            entropy = np.log(np.exp(first) + np.exp(second)) - target * first - (1 - target) * second
            total += 2 * entropy * (mark @ index > 0)
    assert float(model._loss(duels, indices, model._parameters)) == pytest.approx(total / 35, rel=1e-4)


def test_a_step_is_over_indices_of_its_own():
    # A second model of one seed that takes no steps tells what the first one draws; a step makes Adam's first moment nine
    # tenths of the one before and a tenth of the gradient.
    settings = {"regularizer": 0.0, "minibatch_size": 2, "indices_per_step": 3}
    model, twin, rng = epinet(steps=32, **settings), epinet(steps=0, **settings), np.random.default_rng(12)
    for _ in range(2):
        weights, earlier = model._parameters.clone().requires_grad_(), model.state_dict()["first_moment"]
        contexts = contexts_of(rng, batch=1)
        for each in (model, twin):
            each.update(contexts, np.array([[3, 1]]), np.array([0], np.int8))
        duels = twin._replay.draw()
        indices = torch.from_numpy(twin._replay.rng.standard_normal((3, 4), dtype=np.float32))
        model._loss(duels, indices, weights).backward()
        followed = 10 * (model.state_dict()["first_moment"] - 0.9 * earlier)
        assert followed == pytest.approx(weights.grad.numpy(), rel=1e-3, abs=1e-5)


def test_the_prior_is_frozen_and_everything_else_learns():
    model = epinet(steps=107, learning_rate=1e-2)
    before = copy.deepcopy(model.state_dict())
    teach(model, np.random.default_rng(8))
    after = model.state_dict()
    assert np.array_equal(after["prior"], before["prior"])
    moved = np.abs(after["weights"] - before["weights"]) > 0
    split = len(model._base.parameters)
    assert moved[:split].mean() > 0.8
    assert moved[split:].mean() > 0.8


def test_one_optimiser_moves_base_and_learnt_part_in_the_original_in_a_copy_and_in_what_was_restored():
    model, rng = epinet(), np.random.default_rng(9)
    restored, contexts = epinet(seed=1), contexts_of(rng)
    restored.load_state_dict(model.state_dict())
    duplicate = copy.deepcopy(model)
    for each in (model, duplicate, restored):
        teach(each, np.random.default_rng(10))
        split = len(each._base.parameters)
        assert torch.equal(each._base.parameters, each._parameters[:split])
    assert np.array_equal(model.mean(contexts), duplicate.mean(contexts))
    assert np.array_equal(model.mean(contexts), restored.mean(contexts))


def test_one_index_scores_every_candidate_of_every_prompt(monkeypatch):
    rng = np.random.default_rng(11)
    model = stirred(rng)
    contexts = contexts_of(rng, batch=8)
    contexts.prompts[:] = contexts.prompts[0]
    contexts.candidates[:] = contexts.candidates[0, 0]
    model.update(contexts_of(rng), random_pairs(rng, contexts_of(rng)), np.zeros(6, np.int8))
    monkeypatch.setattr("duelgym_agents.reward_models.replay._PIECE", 200)  # more pieces than one
    samples = model.sample_utilities(contexts, 6, rng)
    assert np.abs(samples - samples[:, :1, :1]).max() < 1e-5
    assert samples[:, 0, 0].std() > 0.1
