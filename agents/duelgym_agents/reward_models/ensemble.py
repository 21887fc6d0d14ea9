"""An ensemble of MLPs on embeddings: each particle is one guess at what the rater likes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float32, Int8, Int64
from torch.optim.adam import adam

from duelgym.agent import PREFERENCE_NONE, Contexts
from duelgym.errors import SpecificationError
from duelgym_agents.reward_models.buffer import DuelBuffer, LabelledDuels
from duelgym_agents.reward_models.network import StackedMLP
from duelgym_agents.reward_models.scaling import FeatureScaler
from duelgym_agents.reward_models.settings import NetworkSettings
from duelgym_agents.state import entry, generator_from_array, generator_to_array, with_prefix, without_prefix

# P(first preferred) that each preference stands for: 0 first, 1 second, 2 none (never learnt from), 3 tie.
_TARGETS = np.array([1.0, 0.0, np.nan, 0.5], dtype=np.float32)
# Activations are made in pieces of about this many numbers, so that they stay in cache: 4 MiB.
_PIECE = 2**20


class MLPEnsemble:
    """The reward models of Dwaracherla et al. (2024): the ensemble ENN and, with one particle, the point MLP.

    Each particle minimises its own sum over the buffered duels of cross-entropy + lambda ||weights - anchor||^2.
    It is followed as a mean over a minibatch, so lambda is divided by the number of duels in the buffer.
    Particles start apart and share minibatches. Skipped duels and self-duels carry no information and are left out.

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
        interaction = settings.features == "interaction"
        if interaction and prompt_dim != candidate_dim:
            raise SpecificationError(
                f"features is 'interaction', which multiplies prompt and candidate, but prompts have {prompt_dim} "
                f"features and candidates {candidate_dim}; use features 'concat'"
            )
        self.settings = settings
        self._rng = rng
        self._network = StackedMLP(
            n_particles=settings.n_particles,
            candidate_dim=candidate_dim * (2 if interaction else 1),
            prompt_dim=prompt_dim,
            hidden_sizes=settings.hidden_sizes,
            rng=rng,
        )
        weights = self._network.parameters
        self._anchor = weights.clone() if settings.anchor == "init" else torch.zeros_like(weights)
        self._first_moment = torch.zeros_like(weights)
        self._second_moment = torch.zeros_like(weights)
        self._steps_done = torch.zeros(())
        self._prompt_scaler = FeatureScaler(prompt_dim)
        self._candidate_scaler = FeatureScaler(candidate_dim)
        self._buffer = DuelBuffer(capacity=settings.buffer_capacity, prompt_dim=prompt_dim, candidate_dim=candidate_dim)

    def update(
        self, contexts: Contexts, pairs: Int64[np.ndarray, "batch 2"], preferences: Int8[np.ndarray, " batch"]
    ) -> None:
        """Put the batch's informative duels into the buffer and take ``settings.steps`` optimiser steps."""
        self._prompt_scaler.update(contexts.prompts)
        self._candidate_scaler.update(_rows(contexts.candidates))
        (informative,) = np.nonzero((preferences != PREFERENCE_NONE) & (pairs[:, 0] != pairs[:, 1]))
        if not len(informative):
            return
        shown = contexts.candidates[informative[:, None], pairs[informative]]
        self._buffer.add(LabelledDuels(contexts.prompts[informative], shown, _TARGETS[preferences[informative]]))
        for _ in range(self.settings.steps):
            self._step(self._buffer.draw(self.settings.minibatch_size, self._rng))

    def sample_utilities(
        self, contexts: Contexts, n_samples: int, rng: np.random.Generator
    ) -> Float32[np.ndarray, "n_samples batch n_candidates"]:
        """Return the utilities under ``n_samples`` particles.

        As many samples as particles give each particle once, in order, which takes no draw; fewer are drawn
        without replacement, more with.
        """
        utilities = self._utilities(contexts)
        n_particles = self.settings.n_particles
        if n_samples == n_particles:
            return utilities
        return utilities[rng.choice(n_particles, size=n_samples, replace=n_samples > n_particles)]

    def mean(self, contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates"]:
        """Return the mean utility over particles."""
        return self._utilities(contexts).mean(axis=0)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return weights, anchors, optimiser, buffer, scales and random state."""
        state = {name: tensor.numpy().copy() for name, tensor in self._tensors().items()}
        for name, part in self._parts().items():
            state |= with_prefix(name, part.state_dict())
        return state | {"rng": generator_to_array(self._rng)}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state_dict` gave.

        Raises:
            SpecificationError: if the state is not that of a model with equal settings and dimensions.
        """
        for name, tensor in self._tensors().items():
            np.copyto(tensor.numpy(), entry(state, name, tuple(tensor.shape)))
        for name, part in self._parts().items():
            part.load_state_dict(without_prefix(name, state))
        generator_from_array(self._rng, entry(state, "rng"))

    def _tensors(self) -> dict[str, torch.Tensor]:
        return {
            "weights": self._network.parameters,
            "anchor": self._anchor,
            "first_moment": self._first_moment,
            "second_moment": self._second_moment,
            "steps_done": self._steps_done,
        }

    def _parts(self) -> dict[str, FeatureScaler | DuelBuffer]:
        return {
            "prompt_scaler": self._prompt_scaler,
            "candidate_scaler": self._candidate_scaler,
            "buffer": self._buffer,
        }

    def _step(self, duels: LabelledDuels) -> None:
        """Take one step of Adam (Kingma and Ba 2015) on the regularised loss of a minibatch."""
        network = self._network
        inputs = self._inputs(self._prompt_scaler(duels.prompts), self._candidate_scaler(duels.candidates))
        network.backward(*inputs, torch.from_numpy(duels.targets))
        pull = 2 * self.settings.regularizer / len(self._buffer)
        network.gradient.add_(network.parameters, alpha=pull)
        if self.settings.anchor == "init":
            network.gradient.sub_(self._anchor, alpha=pull)
        adam(
            [network.parameters],
            [network.gradient],
            [self._first_moment],
            [self._second_moment],
            [],
            [self._steps_done],
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self.settings.learning_rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )

    def _utilities(self, contexts: Contexts) -> Float32[np.ndarray, "n_particles batch n_candidates"]:
        """Return every particle's utilities, evaluated a few prompts at a time."""
        batch, n_candidates, _ = contexts.candidates.shape
        utilities = np.empty((self.settings.n_particles, batch, n_candidates), dtype=np.float32)
        per_prompt = n_candidates * self.settings.n_particles * max(self.settings.hidden_sizes)
        count = max(1, _PIECE // per_prompt)
        prompt_scaler = self._prompt_scaler.or_fitted_to(contexts.prompts)
        candidate_scaler = self._candidate_scaler.or_fitted_to(_rows(contexts.candidates))
        for start in range(0, batch, count):
            piece = slice(start, start + count)
            inputs = self._inputs(prompt_scaler(contexts.prompts[piece]), candidate_scaler(contexts.candidates[piece]))
            utilities[:, piece] = self._network.utilities(*inputs).numpy()
        return utilities

    def _inputs(
        self, prompts: Float32[np.ndarray, "batch prompt_dim"], candidates: Float32[np.ndarray, "batch n candidate_dim"]
    ) -> tuple[Float32[torch.Tensor, "batch n features"], Float32[torch.Tensor, "batch prompt_dim"]]:
        """Return what the network reads of candidates and of prompts, from scaled features."""
        if self.settings.features == "interaction":
            candidates = np.concatenate([candidates, candidates * prompts[:, None]], axis=2)
        return torch.from_numpy(candidates), torch.from_numpy(prompts)


def _rows(candidates: Float32[np.ndarray, "batch n candidate_dim"]) -> Float32[np.ndarray, "rows candidate_dim"]:
    return candidates.reshape(-1, candidates.shape[2])
