from __future__ import annotations

import numpy as np
import pytest
import torch
from made_up_duels import assert_same

from duelgym.errors import SpecificationError
from duelgym_agents.reward_models.optimiser import AnchoredAdam


def test_two_steps_by_hand():
    weights = torch.tensor([1.0, -2.0])
    optimiser = AnchoredAdam(weights, "zero")
    # loss gradient (0.5, 1), pulled towards zero by 2 * 0.25 * (1, -2) = (0.5, -1): together (1, 0)
    optimiser.step(torch.tensor([0.5, 1.0]), pull=0.25, learning_rate=0.1)
    assert weights.tolist() == pytest.approx([0.9, -2.0])
    # (0.05, 0) + 0.5 * (0.9, -2) = (0.5, -1). Moments: 0.9 * (0.1, 0) + 0.1 * (0.5, -1) = (0.14, -0.1), over 1 - 0.9^2;
    # 0.999 * (0.001, 0) + 0.001 * (0.25, 1) = (0.001249, 0.001), over 1 - 0.999^2.
    optimiser.step(torch.tensor([0.05, 0.0]), pull=0.25, learning_rate=0.1)
    first, second = np.array([0.14, -0.1]) / 0.19, np.array([0.001249, 0.001]) / 0.001999
    assert weights.numpy() == pytest.approx(np.array([0.9, -2.0]) - 0.1 * first / np.sqrt(second), abs=1e-6)


@pytest.mark.parametrize(("anchor", "optimum"), [("init", (3 + 2 * 0.5 * 5) / 4), ("zero", 3 / 4)])
def test_ends_at_the_minimum_of_loss_and_pull(anchor, optimum):
    # 1.5 (w - 1)^2 + 0.5 (w - anchor)^2, from w = 5: (3 * 1 + 1 * anchor) / (3 + 1)
    weights = torch.tensor([5.0])
    optimiser = AnchoredAdam(weights, anchor)
    for step in range(2000):
        optimiser.step(3 * (weights - 1), pull=0.5, learning_rate=0.05 * 0.998**step)
    assert float(weights) == pytest.approx(optimum, abs=1e-3)


def test_a_restored_optimiser_goes_on_as_the_first_one_would():
    gradients = torch.from_numpy(np.random.default_rng(0).standard_normal((20, 6), dtype=np.float32))
    ours, theirs = torch.ones(6), torch.zeros(6)
    first, second = AnchoredAdam(ours, "init"), AnchoredAdam(theirs, "init")
    for gradient in gradients[:10]:
        first.step(gradient.clone(), pull=0.1, learning_rate=0.01)
    second.load_state_dict(first.state_dict())
    for gradient in gradients[10:]:
        for optimiser in (first, second):
            optimiser.step(gradient.clone(), pull=0.1, learning_rate=0.01)
    assert torch.equal(ours, theirs)
    assert_same(first.state_dict(), second.state_dict())
    with pytest.raises(SpecificationError, match="'weights' has shape"):
        AnchoredAdam(torch.zeros(5), "init").load_state_dict(first.state_dict())
