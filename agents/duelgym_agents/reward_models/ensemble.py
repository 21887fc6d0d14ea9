"""An ensemble of MLPs on embeddings: each particle is one guess at what the rater likes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float32, Int8, Int64

from duelgym.agent import Contexts
from duelgym_agents.reward_models.network import StackedMLP
from duelgym_agents.reward_models.optimiser import AnchoredAdam
from duelgym_agents.reward_models.replay import Replay, double_or_nothing
from duelgym_agents.reward_models.settings import NetworkSettings


class MLPEnsemble:
    """The reward models of Dwaracherla et al. (2024): the ensemble ENN and, with one particle, the point MLP.

    Each particle minimises its own sum over the buffered duels of cross-entropy + lambda ||weights - anchor||^2.
    It is followed as a mean over a minibatch, so lambda is divided by the number of duels in the buffer.
    Particles start apart and share minibatches; with ``bootstrap`` each counts half of their duels twice and the others
    not at all, the same ones for as long as they are in the buffer.

    Args:
        settings: see :class:`NetworkSettings`.
        prompt_dim: features of a prompt embedding.
        candidate_dim: features of a candidate embedding.
        rng: draws initial weights and minibatches; the model keeps it.

    Raises:
        SpecificationError: if ``features="interaction"`` is asked for and the two dimensions differ.
    """

    def __init__(
        self, settings: NetworkSettings, *, prompt_dim: int, candidate_dim: int, rng: np.random.Generator
    ) -> None:
        self.settings = settings
        mark_dim = settings.n_particles if settings.bootstrap else 0
        self._replay = Replay(settings, prompt_dim=prompt_dim, candidate_dim=candidate_dim, rng=rng, mark_dim=mark_dim)
        self._network = StackedMLP(
            n_particles=settings.n_particles,
            input_dims=self._replay.input_dims,
            hidden_sizes=settings.hidden_sizes,
            rng=rng,
        )
        self._optimiser = AnchoredAdam(self._network.parameters, settings.anchor)

    def update(
        self, contexts: Contexts, pairs: Int64[np.ndarray, "batch 2"], preferences: Int8[np.ndarray, " batch"]
    ) -> None:
        """Put the batch's informative duels into the buffer and take the optimiser steps that are due (``settings.steps``)."""
        steps = self._replay.add(contexts, pairs, preferences)
        particles = torch.eye(self.settings.n_particles)
        for _ in range(steps):
            duels = self._replay.draw()
            weights = double_or_nothing(duels.marks, particles) if self.settings.bootstrap else None
            self._network.backward(duels.candidates, duels.prompts, duels.targets, weights)
            self._optimiser.step(
                self._network.gradient, pull=self._replay.pull, learning_rate=self.settings.learning_rate
            )

    def sample_utilities(
        self, contexts: Contexts, n_samples: int, rng: np.random.Generator
    ) -> Float32[np.ndarray, "n_samples batch n_candidates"]:
        """Return the utilities under ``n_samples`` particles, drawn by :func:`choose_particles`."""
        return choose_particles(self._replay.utilities(self._network, contexts), n_samples, rng)

    def mean(self, contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates"]:
        """Return the mean utility over particles."""
        return self._replay.utilities(self._network, contexts).mean(axis=0)

    def features(self, contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates feature"]:
        """Return what the network reads of the candidates: their embeddings, centred and scaled, and any products."""
        return self._replay.features(contexts)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return weights, anchors, optimiser, buffer, scales and random state."""
        return self._optimiser.state_dict() | self._replay.state_dict()

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state_dict` gave.

        Raises:
            SpecificationError: if the state is not that of a model with equal settings and dimensions.
        """
        self._optimiser.load_state_dict(state)
        self._replay.load_state_dict(state)


def choose_particles(
    utilities: Float32[np.ndarray, "n_particles batch n_candidates"], n_samples: int, rng: np.random.Generator
) -> Float32[np.ndarray, "n_samples batch n_candidates"]:
    """Return the utilities under ``n_samples`` particles.

    As many samples as particles give each particle once, in order, which takes no draw; a multiple gives each equally
    often. What is left over, or fewer, are drawn without replacement.
    """
    n_particles = len(utilities)
    rounds, rest = divmod(n_samples, n_particles)
    whole = np.tile(np.arange(n_particles), rounds)
    drawn = rng.choice(n_particles, size=rest, replace=False) if rest else whole[:0]
    return utilities[np.concatenate([whole, drawn])]
