"""Stable-Baselines3's side: a permutation-equivariant policy class, and saving what was trained. Needs the extra ``sb3``."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import Any

import torch
from gymnasium import spaces
from jaxtyping import Float32
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.type_aliases import Schedule
from torch import nn

from duelgym.errors import SpecificationError
from duelgym_agents.policies.files import PairPolicy, write_policy
from duelgym_agents.policies.networks import ACTIVATIONS, AmongOthers, EquivariantPairs, FlatPairs, PairNetwork


class _ActorAndCritic(nn.Module):
    """Pair scores for the actor and, for the critic, features averaged over candidates, from networks of their own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.actor, self.critic = EquivariantPairs(width), AmongOthers(width)

    def forward(self, flat: Float32[torch.Tensor, "batch twice_n"]) -> tuple[torch.Tensor, torch.Tensor]:
        return self.forward_actor(flat), self.forward_critic(flat)

    def forward_actor(self, flat: Float32[torch.Tensor, "batch twice_n"]) -> Float32[torch.Tensor, "batch n_pairs"]:
        return self.actor(flat.unflatten(1, (-1, 2)))

    def forward_critic(self, flat: Float32[torch.Tensor, "batch twice_n"]) -> Float32[torch.Tensor, "batch width"]:
        return self.critic(flat.unflatten(1, (-1, 2))).mean(dim=1)


class EquivariantPolicy(ActorCriticPolicy):
    """A policy for PPO or A2C on :func:`~duelgym_agents.policies.belief_env` that takes any number of candidates.

    The actor is :class:`~duelgym_agents.policies.networks.EquivariantPairs`. At first every pair is almost equally likely.

    Args:
        width: features of each layer.
        arguments: those of SB3's ``ActorCriticPolicy``; network architecture and initialisation are not among them.
    """

    def __init__(self, *arguments: Any, width: int = 16, **named: Any) -> None:
        self._width = width
        super().__init__(*arguments, **named)

    def _build(self, lr_schedule: Schedule) -> None:
        self.mlp_extractor: Any = _ActorAndCritic(self._width)
        with torch.no_grad():
            self.mlp_extractor.actor.single.weight.mul_(0.01)
        self.action_net = nn.Identity()
        self.value_net = nn.Linear(self._width, 1)
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[call-arg]


def save_policy(
    path: str | os.PathLike[str], model: OnPolicyAlgorithm, training: Mapping[str, Any] | None = None
) -> None:
    """Write the actor of a trained PPO or A2C model, to become the agent ``sb3:PATH``.

    Args:
        path: the file to write; conventionally ends in ``.safetensors``.
        model: with ``EquivariantPolicy`` or ``"MlpPolicy"`` (hidden layers with tanh or ReLU), trained on
            :func:`~duelgym_agents.policies.belief_env`.
        training: how it was trained, plain JSON, written beside gamma and the algorithm's name.

    Raises:
        SpecificationError: if observation, action or policy are of another kind.
    """
    _check_spaces(model)
    record = {"algorithm": type(model).__name__, "gamma": float(model.gamma), "timesteps": int(model.num_timesteps)}
    write_policy(path, PairPolicy(_actor(model), record | dict(training or {})))


def _check_spaces(model: OnPolicyAlgorithm) -> None:
    seen, asked = model.observation_space, model.action_space
    n = seen.shape[0] if isinstance(seen, spaces.Box) and len(seen.shape) == 2 else 0
    fits = n >= 2 and seen.shape == (n, 2) and isinstance(asked, spaces.Discrete) and asked.n == n * (n - 1) // 2
    if not fits:
        raise SpecificationError(
            f"the model maps {type(seen).__name__} of shape {seen.shape} to {asked}; an agent's policy maps Box (N, 2) to "
            "Discrete (N(N-1)/2): train it on duelgym_agents.policies.belief_env(env)"
        )
    if model.get_vec_normalize_env() is not None:
        raise SpecificationError(
            "the model has learnt from VecNormalize's observations, which no agent has; train it without"
        )


def _actor(model: OnPolicyAlgorithm) -> PairNetwork:
    policy = model.policy
    if isinstance(policy, EquivariantPolicy):
        return copy.deepcopy(policy.mlp_extractor.actor).cpu()
    kinds = {kind: name for name, kind in ACTIVATIONS.items()}
    activation = kinds.get(policy.activation_fn) if type(policy) is ActorCriticPolicy else None
    if activation is None or not isinstance(policy.features_extractor, FlattenExtractor):
        raise SpecificationError(
            f"the policy is a {type(policy).__name__} that no file can hold; use EquivariantPolicy, or 'MlpPolicy' with "
            f"{' or '.join(kinds.values())}"
        )
    layers = [*policy.mlp_extractor.policy_net, policy.action_net]
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    assert model.observation_space.shape is not None
    with torch.device("meta"):
        flat = FlatPairs(model.observation_space.shape[0], [layer.out_features for layer in linear[:-1]], activation)
    weights = [
        tensor
        for layer in linear
        for tensor in (layer.weight.detach().cpu().clone(), layer.bias.detach().cpu().clone())
    ]
    flat.load_state_dict(dict(zip(flat.state_dict(), weights, strict=True)), assign=True)
    return flat
