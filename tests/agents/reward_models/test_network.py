from __future__ import annotations

import numpy as np
import pytest
import torch
from made_up_duels import plain_utility

from duelgym_agents.reward_models.network import StackedMLP


def network_of(rng, hidden_sizes, n_particles=3):
    network = StackedMLP(n_particles=n_particles, input_dims=(4, 3), hidden_sizes=hidden_sizes, rng=rng)
    # Biases start at zero: move everything, so that a forgotten one shows.
    network.parameters.add_(torch.from_numpy(0.3 * rng.standard_normal(len(network.parameters), dtype=np.float32)))
    return network


def duels_of(rng, count=7):
    tensors = rng.standard_normal((count, 2, 4)), rng.standard_normal((count, 3)), rng.choice([0.0, 0.5, 1.0], count)
    return [torch.from_numpy(array.astype(np.float32)) for array in tensors]


@pytest.mark.parametrize("hidden_sizes", [(5,), (6, 5), (4, 6, 5)])
def test_loss_and_utilities_equal_plain_numpy(hidden_sizes):
    rng = np.random.default_rng(1)
    network = network_of(rng, hidden_sizes)
    candidates, prompts, targets = duels_of(rng)
    utilities = network.utilities(candidates, prompts).numpy()
    losses = network.backward(candidates, prompts, targets).numpy()
    parts = [part.double().numpy() for part in network.views(network.parameters)]
    for particle in range(3):
        weights = [part[particle] for part in parts]
        total = 0.0
        for duel in range(len(targets)):
            pair = [plain_utility(weights, c, prompts[duel].numpy()) for c in candidates[duel].numpy()]
            assert utilities[particle, duel] == pytest.approx(pair, rel=1e-4, abs=1e-5)
            # ce = -(1 - c) R - c R' + ln(e^R + e^R'), with c = 1 - target
            target = float(targets[duel])
            total += -target * pair[0] - (1 - target) * pair[1] + np.log(np.exp(pair[0]) + np.exp(pair[1]))
        assert losses[particle] == pytest.approx(total / len(targets), rel=1e-5)


@pytest.mark.parametrize("hidden_sizes", [(5,), (6, 5), (4, 6, 5)])
def test_gradient_equals_autograd(hidden_sizes):
    rng = np.random.default_rng(2)
    network = network_of(rng, hidden_sizes)
    candidates, prompts, targets = duels_of(rng)
    network.backward(candidates, prompts, targets)

    weights = network.parameters.double().requires_grad_()
    first, second, bias, *deeper = network.views(weights)
    rows, shared = candidates.double().flatten(0, 1), prompts.double().repeat_interleave(2, dim=0)
    hidden = torch.relu(rows @ first + shared @ second + bias)
    for matrix, shift in zip(deeper[:-1:2], deeper[1:-1:2], strict=True):
        hidden = torch.relu(hidden @ matrix + shift)
    utilities = (hidden * deeper[-1]).sum(2).view(3, -1, 2)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        utilities[..., 0] - utilities[..., 1], targets.double().expand(3, -1), reduction="none"
    )
    loss.mean(1).sum().backward()
    assert torch.allclose(network.gradient.double(), weights.grad, rtol=1e-4, atol=1e-6)


def test_initial_utilities_have_unit_variance_whatever_the_shape():
    for prompt_dim, candidate_dim, hidden_sizes in [(16, 16, (64,)), (100, 20, (128, 128))]:
        rng = np.random.default_rng(0)
        network = StackedMLP(
            n_particles=200, input_dims=(candidate_dim, prompt_dim), hidden_sizes=hidden_sizes, rng=rng
        )
        inputs = [rng.standard_normal(shape, dtype=np.float32) for shape in [(20, 2, candidate_dim), (20, prompt_dim)]]
        utilities = network.utilities(*(torch.from_numpy(array) for array in inputs))
        assert float(utilities.square().mean()) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("hidden_sizes", [(5,), (4, 6, 5)])
def test_gradient_with_weights_and_offsets_equals_autograd(hidden_sizes):
    rng = np.random.default_rng(3)
    network = network_of(rng, hidden_sizes)
    candidates, prompts, targets = duels_of(rng)
    weights = torch.from_numpy(rng.choice([0.0, 1.0, 2.0], (3, 7)).astype(np.float32))
    offsets = torch.from_numpy(rng.standard_normal((3, 7, 2)).astype(np.float32))
    losses = network.backward(candidates, prompts, targets, weights, offsets)

    followed = network.parameters.clone().requires_grad_()
    utilities = network.output(network.hidden(candidates, prompts, followed), followed) + offsets
    by_duel = torch.nn.functional.binary_cross_entropy_with_logits(
        utilities[..., 0] - utilities[..., 1], targets.expand(3, -1), reduction="none"
    )
    loss = (weights * by_duel).sum(1) / 7
    loss.sum().backward()
    assert torch.allclose(losses, loss, rtol=1e-5)
    assert torch.allclose(network.gradient, followed.grad, rtol=1e-4, atol=1e-6)
