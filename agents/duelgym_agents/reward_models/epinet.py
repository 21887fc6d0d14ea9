"""An epinet: a small network that reads an epistemic index beside a large one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float32, Int8, Int64

from duelgym.agent import Contexts
from duelgym.checks import finite_number, flag, whole_number
from duelgym_agents.reward_models.network import StackedMLP
from duelgym_agents.reward_models.optimiser import AnchoredAdam
from duelgym_agents.reward_models.replay import Minibatch, Replay, double_or_nothing
from duelgym_agents.reward_models.settings import ReplaySettings, layer_sizes
from duelgym_agents.state import entry


@dataclass(frozen=True)
class EpinetSettings(ReplaySettings):
    """Settings of :class:`Epinet`.

    Args:
        index_dim: length of the epistemic index.
        indices_per_step: indices drawn for each optimiser step, over which the loss is averaged.
        epinet_hidden_sizes: width of each hidden layer of the learnt part of the epinet.
        prior_hidden_sizes: likewise of each of the ``index_dim`` frozen networks.
        prior_scale: standard deviation over indices of the frozen part of one utility, in logits; 0 leaves it out.
        bootstrap: whether each index learns from a random half of the duels, each counted twice.
        n_samples: samples that rules get.
        rest: see :class:`ReplaySettings`, ``hidden_sizes`` being the base network's.
    """

    index_dim: int = 8
    indices_per_step: int = 8
    epinet_hidden_sizes: tuple[int, ...] = (16, 16)
    prior_hidden_sizes: tuple[int, ...] = (8, 8)
    prior_scale: float = 1.0
    bootstrap: bool = False
    n_samples: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("index_dim", "indices_per_step", "n_samples"):
            whole_number(name, getattr(self, name))
        for name in ("epinet_hidden_sizes", "prior_hidden_sizes"):
            object.__setattr__(self, name, layer_sizes(name, getattr(self, name)))
        finite_number("prior_scale", self.prior_scale, low=0)
        flag("bootstrap", self.bootstrap)


class Epinet:
    """Utility mu(x) + e(h, z) . z + s prior(x) . z under the index z ~ N(0, I).

    An epinet after Osband et al. (2023, Epistemic Neural Networks). mu is an MLP; e an MLP that reads mu's last hidden
    layer h, through which it passes no gradient, and z; the prior is a frozen MLP for each entry of z. Each step
    descends the mean of cross-entropy + lambda ||weights - anchor||^2 over some indices. The mean is mu: over indices
    the prior's is zero, and e's is taken to be.

    The paper leaves s to each problem; here it is ``prior_scale`` over the root of ``index_dim``, which makes
    ``prior_scale`` a standard deviation. e's last layer begins at zero, so that the spread begins as the prior's.

    Args:
        settings: see :class:`EpinetSettings`.
        prompt_dim: features of a prompt embedding.
        candidate_dim: features of a candidate embedding.
        rng: draws initial weights, priors, minibatches and indices; the model keeps it.

    Raises:
        SpecificationError: if ``features="interaction"`` is asked for and the two dimensions differ.
    """

    def __init__(
        self, settings: EpinetSettings, *, prompt_dim: int, candidate_dim: int, rng: np.random.Generator
    ) -> None:
        self.settings = settings
        index_dim = settings.index_dim
        self._replay = Replay(
            settings,
            prompt_dim=prompt_dim,
            candidate_dim=candidate_dim,
            rng=rng,
            mark_dim=index_dim if settings.bootstrap else 0,
        )
        inputs = self._replay.input_dims
        self._base = StackedMLP(n_particles=1, input_dims=inputs, hidden_sizes=settings.hidden_sizes, rng=rng)
        self._prior = StackedMLP(
            n_particles=index_dim, input_dims=inputs, hidden_sizes=settings.prior_hidden_sizes, rng=rng
        )
        sizes = (settings.hidden_sizes[-1] + index_dim, *settings.epinet_hidden_sizes, index_dim)
        self._shapes: list[tuple[int, ...]] = [shape for pair in pairwise(sizes) for shape in (pair, pair[1:])]
        self._parameters = torch.cat([self._base.parameters, _initial(self._shapes, rng)])
        # A view of the same memory, since one optimiser moves base and learnt part.
        self._base.parameters = self._parameters[: len(self._base.parameters)]
        self._optimiser = AnchoredAdam(self._parameters, settings.anchor)

    def update(
        self, contexts: Contexts, pairs: Int64[np.ndarray, "batch 2"], preferences: Int8[np.ndarray, " batch"]
    ) -> None:
        """Put the batch's informative duels into the buffer and take the optimiser steps that are due (``settings.steps``)."""
        steps = self._replay.add(contexts, pairs, preferences)
        settings = self.settings
        for _ in range(steps):
            duels = self._replay.draw()
            indices = self._indices(settings.indices_per_step, self._replay.rng)
            followed = self._parameters.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self._loss(duels, indices, followed), followed)
            self._optimiser.step(gradient, pull=self._replay.pull, learning_rate=settings.learning_rate)

    def sample_utilities(
        self, contexts: Contexts, n_samples: int, rng: np.random.Generator
    ) -> Float32[np.ndarray, "n_samples batch n_candidates"]:
        """Return the utilities under ``n_samples`` indices, each drawn once for all prompts and candidates."""
        indices = self._indices(n_samples, rng)
        utilities = np.empty((n_samples, *contexts.candidates.shape[:2]), dtype=np.float32)
        width = max(self._base.width, self._prior.width, n_samples * max(self.settings.epinet_hidden_sizes))
        for piece, candidates, prompts in self._replay.pieces(contexts, width):
            utilities[:, piece] = self._utilities(candidates, prompts, indices, self._parameters).numpy()
        return utilities

    def mean(self, contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates"]:
        """Return the base network's utility."""
        return self._replay.utilities(self._base, contexts)[0]

    def features(self, contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates feature"]:
        """Return what the networks read of the candidates: their embeddings, centred and scaled, and any products."""
        return self._replay.features(contexts)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return weights, prior, anchor, optimiser, buffer, scales and random state."""
        prior = {"prior": self._prior.parameters.numpy().copy()}
        return prior | self._optimiser.state_dict() | self._replay.state_dict()

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state_dict` gave.

        Raises:
            SpecificationError: if the state is not that of a model with equal settings and dimensions.
        """
        np.copyto(self._prior.parameters.numpy(), entry(state, "prior", tuple(self._prior.parameters.shape)))
        self._optimiser.load_state_dict(state)
        self._replay.load_state_dict(state)

    def _indices(self, count: int, rng: np.random.Generator) -> Float32[torch.Tensor, "index index_dim"]:
        return torch.from_numpy(rng.standard_normal((count, self.settings.index_dim), dtype=np.float32))

    def _loss(
        self,
        duels: Minibatch,
        indices: Float32[torch.Tensor, "index index_dim"],
        parameters: Float32[torch.Tensor, " weights"],
    ) -> Float32[torch.Tensor, ""]:
        utilities = self._utilities(duels.candidates, duels.prompts, indices, parameters)
        gaps = utilities[..., 0] - utilities[..., 1]
        losses = torch.nn.functional.softplus(gaps) - duels.targets * gaps
        return (double_or_nothing(duels.marks, indices) * losses if self.settings.bootstrap else losses).mean()

    def _utilities(
        self,
        candidates: Float32[torch.Tensor, "batch n features"],
        prompts: Float32[torch.Tensor, "batch prompt_dim"],
        indices: Float32[torch.Tensor, "index index_dim"],
        parameters: Float32[torch.Tensor, " weights"],
    ) -> Float32[torch.Tensor, "index batch n"]:
        base, epinet = parameters.split([len(self._base.parameters), len(parameters) - len(self._base.parameters)])
        hidden = self._base.hidden(candidates, prompts, base)
        point = self._base.output(hidden, base)
        frozen = self._prior.utilities(candidates, prompts) * (self.settings.prior_scale / self.settings.index_dim**0.5)
        return point + torch.einsum("zi,ibn->zbn", indices, frozen) + self._learnt(hidden[0].detach(), indices, epinet)

    def _learnt(
        self,
        hidden: Float32[torch.Tensor, "batch n width"],
        indices: Float32[torch.Tensor, "index index_dim"],
        parameters: Float32[torch.Tensor, " weights"],
    ) -> Float32[torch.Tensor, "index batch n"]:
        sizes = [int(np.prod(shape)) for shape in self._shapes]
        first, bias, *deeper = [
            part.view(shape) for part, shape in zip(parameters.split(sizes), self._shapes, strict=True)
        ]
        # What the first layer makes of a candidate is the same for all indices, and the other way round.
        from_hidden, from_index = first.split([hidden.shape[-1], indices.shape[-1]])
        flow = (hidden @ from_hidden)[None] + (indices @ from_index + bias)[:, None, None]
        for weight, bias in zip(deeper[::2], deeper[1::2], strict=True):
            flow = flow.relu() @ weight + bias
        return torch.einsum("zbni,zi->zbn", flow, indices)


def _initial(shapes: list[tuple[int, ...]], rng: np.random.Generator) -> Float32[torch.Tensor, " weights"]:
    """Return weights of variance 2 / inputs (He et al. 2015) and biases 0; the last layer is 0."""
    parts = []
    for place, shape in enumerate(shapes):
        begins_at_zero = len(shape) == 1 or place == len(shapes) - 2
        scale = 0.0 if begins_at_zero else (2 / shape[0]) ** 0.5
        parts.append(rng.standard_normal(int(np.prod(shape)), dtype=np.float32) * np.float32(scale))
    return torch.from_numpy(np.concatenate(parts))
