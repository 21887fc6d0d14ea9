"""Ensembles with frozen randomised prior functions, and a point head beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int8, Int64

from duelgym.agent import Contexts
from duelgym.checks import finite_number, flag
from duelgym_agents.reward_models.ensemble import choose_particles
from duelgym_agents.reward_models.network import StackedMLP
from duelgym_agents.reward_models.optimiser import AnchoredAdam
from duelgym_agents.reward_models.replay import Replay, double_or_nothing
from duelgym_agents.reward_models.settings import NetworkSettings, layer_sizes
from duelgym_agents.state import entry, with_prefix, without_prefix


@dataclass(frozen=True)
class PriorSettings(NetworkSettings):
    """Settings of :class:`RandomisedPriorEnsemble`.

    Args:
        prior_hidden_sizes: width of each hidden layer of the frozen networks.
        prior_scale: standard deviation over particles of the frozen part of one utility, in logits; 0 leaves it out.
        particles_add_point: whether a particle's utility is the sum of three, the point head's too. Public notes on
            2603.17378 disagree about this.
        rest: see :class:`NetworkSettings`.
    """

    prior_hidden_sizes: tuple[int, ...] = (64, 64)
    prior_scale: float = 1.0
    particles_add_point: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "prior_hidden_sizes", layer_sizes("prior_hidden_sizes", self.prior_hidden_sizes))
        finite_number("prior_scale", self.prior_scale, low=0)
        flag("particles_add_point", self.particles_add_point)


class RandomisedPriorEnsemble:
    """Particles that are a frozen random network plus a trained one (Osband, Aslanides and Cassirer 2018).

    A particle's utility is f(x) + ``prior_scale`` p(x); f alone is trained, so that the sum explains the labels, and
    held near its own beginning. Far from data the frozen parts keep disagreeing, whatever training does. As in the
    exploration at scale of 2603.17378, a point head without prior learns the same labels and gives the mean. The
    particles' loss does not reach it, even where their utilities have it in them.

    Args:
        settings: see :class:`PriorSettings`.
        prompt_dim: features of a prompt embedding.
        candidate_dim: features of a candidate embedding.
        rng: draws initial weights, priors and minibatches; the model keeps it.

    Raises:
        SpecificationError: if ``features="interaction"`` is asked for and the two dimensions differ.
    """

    def __init__(
        self, settings: PriorSettings, *, prompt_dim: int, candidate_dim: int, rng: np.random.Generator
    ) -> None:
        self.settings = settings
        n_particles = settings.n_particles
        self._replay = Replay(
            settings,
            prompt_dim=prompt_dim,
            candidate_dim=candidate_dim,
            rng=rng,
            mark_dim=n_particles if settings.bootstrap else 0,
        )
        inputs = self._replay.input_dims
        self._point = StackedMLP(n_particles=1, input_dims=inputs, hidden_sizes=settings.hidden_sizes, rng=rng)
        self._trained = StackedMLP(
            n_particles=n_particles, input_dims=inputs, hidden_sizes=settings.hidden_sizes, rng=rng
        )
        self._prior = StackedMLP(
            n_particles=n_particles, input_dims=inputs, hidden_sizes=settings.prior_hidden_sizes, rng=rng
        )
        self._optimisers = {
            "point": AnchoredAdam(self._point.parameters, settings.anchor),
            "particles": AnchoredAdam(self._trained.parameters, settings.anchor),
        }

    def update(
        self, contexts: Contexts, pairs: Int64[np.ndarray, "batch 2"], preferences: Int8[np.ndarray, " batch"]
    ) -> None:
        """Put the batch's informative duels into the buffer and take the optimiser steps that are due (``settings.steps``)."""
        steps = self._replay.add(contexts, pairs, preferences)
        settings, rate = self.settings, self.settings.learning_rate
        indices = torch.eye(settings.n_particles)
        for _ in range(steps):
            duels, pull = self._replay.draw(), self._replay.pull
            inputs = duels.candidates, duels.prompts
            weights = double_or_nothing(duels.marks, indices) if settings.bootstrap else None
            self._trained.backward(*inputs, duels.targets, weights, self._offsets(*inputs))
            self._point.backward(*inputs, duels.targets)
            self._optimisers["particles"].step(self._trained.gradient, pull=pull, learning_rate=rate)
            self._optimisers["point"].step(self._point.gradient, pull=pull, learning_rate=rate)

    def sample_utilities(
        self, contexts: Contexts, n_samples: int, rng: np.random.Generator
    ) -> Float32[np.ndarray, "n_samples batch n_candidates"]:
        """Return the utilities under ``n_samples`` particles, chosen as by :class:`MLPEnsemble`."""
        utilities = np.empty((self.settings.n_particles, *contexts.candidates.shape[:2]), dtype=np.float32)
        for piece, *inputs in self._replay.pieces(contexts, max(self._trained.width, self._prior.width)):
            utilities[:, piece] = (self._trained.utilities(*inputs) + self._offsets(*inputs)).numpy()
        return choose_particles(utilities, n_samples, rng)

    def mean(self, contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates"]:
        """Return the point head's utility."""
        return self._replay.utilities(self._point, contexts)[0]

    def features(self, contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates feature"]:
        """Return what the networks read of the candidates: their embeddings, centred and scaled, and any products."""
        return self._replay.features(contexts)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return weights, priors, anchors, optimisers, buffer, scales and random state."""
        state = {"prior": self._prior.parameters.numpy().copy()} | self._replay.state_dict()
        for name, optimiser in self._optimisers.items():
            state |= with_prefix(name, optimiser.state_dict())
        return state

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state_dict` gave.

        Raises:
            SpecificationError: if the state is not that of a model with equal settings and dimensions.
        """
        np.copyto(self._prior.parameters.numpy(), entry(state, "prior", tuple(self._prior.parameters.shape)))
        for name, optimiser in self._optimisers.items():
            optimiser.load_state_dict(without_prefix(name, state))
        self._replay.load_state_dict(state)

    def _offsets(
        self, candidates: Float32[torch.Tensor, "batch n features"], prompts: Float32[torch.Tensor, "batch prompt_dim"]
    ) -> Float32[torch.Tensor, "n_particles batch n"]:
        """Return what is added to the trained networks' utilities and not learnt with them."""
        offsets = self.settings.prior_scale * self._prior.utilities(candidates, prompts)
        if self.settings.particles_add_point:
            offsets += self._point.utilities(candidates, prompts)
        return offsets
