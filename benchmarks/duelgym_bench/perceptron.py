"""A perceptron that is told everything: the network of the agents, fitted to all true utilities."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Float64

from duelgym.agent import Contexts

HIDDEN = (128, 128)
PAIRS = 512
MOST_STEPS = 1000
PASSES = 20
LEARNING_RATE = 3e-3
SHARPNESS = 1.5


def perceptron_scores(
    learning: Contexts,
    utilities: Float64[np.ndarray, "batch n_candidates"],
    wanted: Sequence[Contexts],
    *,
    rng: np.random.Generator,
) -> list[Float32[np.ndarray, "_ n_candidates"]]:
    """Fit a point MLP (2 x 128) to the utilities of all learning candidates and return its scores of others.

    Every step draws pairs of candidates of one prompt each and descends the cross-entropy to
    sigmoid(1.5 (u_first - u_second) / s), where s is the standard deviation of utility within prompts: Adam, its learning
    rate falling to nothing along a cosine, for at most 20 passes over the candidates and at most 1 000 steps.

    Args:
        learning: prompts with at least two candidates.
        utilities: of these.
        wanted: contexts of which scores are returned.
        rng: of weights and pairs.
    """
    import torch

    from duelgym_agents.reward_models.network import StackedMLP
    from duelgym_agents.reward_models.scaling import FeatureScaler

    n_prompts, n_candidates = utilities.shape
    gaps = utilities - utilities.mean(axis=1, keepdims=True)
    scaled = SHARPNESS * gaps / (gaps.std() or 1.0)
    prompt_scaler, candidate_scaler = (
        FeatureScaler(values.shape[-1]).or_fitted_to(values.reshape(-1, values.shape[-1]))
        for values in (learning.prompts, learning.candidates)
    )

    def inputs(
        contexts: Contexts,
    ) -> tuple[Float32[torch.Tensor, "batch n_candidates d"], Float32[torch.Tensor, "batch d"]]:
        return torch.from_numpy(candidate_scaler(contexts.candidates)), torch.from_numpy(
            prompt_scaler(contexts.prompts)
        )

    candidates, prompts = inputs(learning)
    network = StackedMLP(
        n_particles=1,
        input_dims=(candidates.shape[2], prompts.shape[1]),
        hidden_sizes=HIDDEN,
        rng=rng,
    )
    optimizer = torch.optim.Adam([network.parameters], lr=LEARNING_RATE)
    steps = min(MOST_STEPS, math.ceil(PASSES * utilities.size / (2 * PAIRS)))
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
        rows = rng.integers(n_prompts, size=PAIRS)
        first = rng.integers(n_candidates, size=PAIRS)
        second = (first + rng.integers(1, n_candidates, size=PAIRS)) % n_candidates
        shown = np.stack([first, second], axis=1)
        targets = 1 / (1 + np.exp(scaled[rows, second] - scaled[rows, first]))
        at = torch.from_numpy(rows)
        network.backward(
            candidates[at[:, None], torch.from_numpy(shown)], prompts[at], torch.from_numpy(targets.astype(np.float32))
        )
        network.parameters.grad = network.gradient
        optimizer.step()
    return [network.utilities(*inputs(contexts))[0].numpy() for contexts in wanted]
