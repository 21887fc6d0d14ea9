"""Monte Carlo dropout: a network of which every sample leaves other units out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int8, Int64

from duelgym.agent import Contexts
from duelgym.checks import whole_number
from duelgym.errors import SpecificationError
from duelgym_agents.reward_models.network import StackedMLP
from duelgym_agents.reward_models.optimiser import AnchoredAdam
from duelgym_agents.reward_models.replay import Replay
from duelgym_agents.reward_models.settings import ReplaySettings


@dataclass(frozen=True)
class DropoutSettings(ReplaySettings):
    """Settings of :class:`MCDropout`.

    Args:
        dropout_rate: probability with which a hidden unit is left out, above 0 and below 1.
        n_samples: samples that rules get.
        rest: see :class:`ReplaySettings`.
    """

    dropout_rate: float = 0.2
    n_samples: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        rate = self.dropout_rate
        if not isinstance(rate, float) or not 0 < rate < 1:
            raise SpecificationError(f"dropout_rate is {rate!r}; it must be a number above 0 and below 1")
        whole_number("n_samples", self.n_samples)


class MCDropout:
    """A point MLP with dropout that stays on when it is asked for samples (Gal and Ghahramani 2016).

    Hidden units are left out with probability ``dropout_rate``, and those kept count 1 / (1 - rate), so that each is
    what it was in expectation. A sample leaves the same units out for all prompts and candidates, so it is one
    function: drawn anew for each candidate, differences would be noise. In training the two candidates of a duel share
    theirs, for the same reason. The mean leaves nothing out. Inputs are never left out.

    The spread is the network's more than the labels': it is hardly smaller about pairs seen often (Osband 2016, Risk
    versus Uncertainty in Deep Learning).

    Args:
        settings: see :class:`DropoutSettings`.
        prompt_dim: features of a prompt embedding.
        candidate_dim: features of a candidate embedding.
        rng: draws initial weights, minibatches and units; the model keeps it.

    Raises:
        SpecificationError: if ``features="interaction"`` is asked for and the two dimensions differ.
    """

    def __init__(
        self, settings: DropoutSettings, *, prompt_dim: int, candidate_dim: int, rng: np.random.Generator
    ) -> None:
        self.settings = settings
        self._replay = Replay(settings, prompt_dim=prompt_dim, candidate_dim=candidate_dim, rng=rng)
        self._network = StackedMLP(
            n_particles=1, input_dims=self._replay.input_dims, hidden_sizes=settings.hidden_sizes, rng=rng
        )
        self._optimiser = AnchoredAdam(self._network.parameters, settings.anchor)

    def update(
        self, contexts: Contexts, pairs: Int64[np.ndarray, "batch 2"], preferences: Int8[np.ndarray, " batch"]
    ) -> None:
        """Put the batch's informative duels into the buffer and take the optimiser steps that are due (``settings.steps``)."""
        steps = self._replay.add(contexts, pairs, preferences)
        for _ in range(steps):
            duels = self._replay.draw()
            masks = self._masks((len(duels.targets), 1), self._replay.rng)
            followed = self._network.parameters.detach().requires_grad_()
            utilities = self._masked(duels.candidates, duels.prompts, masks, followed)
            gaps = utilities[..., 0] - utilities[..., 1]
            loss = (torch.nn.functional.softplus(gaps) - duels.targets * gaps).mean()
            (gradient,) = torch.autograd.grad(loss, followed)
            self._optimiser.step(gradient, pull=self._replay.pull, learning_rate=self.settings.learning_rate)

    def sample_utilities(
        self, contexts: Contexts, n_samples: int, rng: np.random.Generator
    ) -> Float32[np.ndarray, "n_samples batch n_candidates"]:
        """Return the utilities of ``n_samples`` networks with units left out."""
        masks = self._masks((n_samples, 1, 1), rng)
        utilities = np.empty((n_samples, *contexts.candidates.shape[:2]), dtype=np.float32)
        for piece, candidates, prompts in self._replay.pieces(contexts, n_samples * self._network.width):
            utilities[:, piece] = self._masked(candidates, prompts, masks, self._network.parameters).numpy()
        return utilities

    def mean(self, contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates"]:
        """Return the utility of the whole network."""
        return self._replay.utilities(self._network, contexts)[0]

    def features(self, contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates feature"]:
        """Return what the network reads of the candidates: their embeddings, centred and scaled, and any products."""
        return self._replay.features(contexts)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return weights, anchor, optimiser, buffer, scales and random state."""
        return self._optimiser.state_dict() | self._replay.state_dict()

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state_dict` gave.

        Raises:
            SpecificationError: if the state is not that of a model with equal settings and dimensions.
        """
        self._optimiser.load_state_dict(state)
        self._replay.load_state_dict(state)

    def _masks(self, shape: tuple[int, ...], rng: np.random.Generator) -> list[Float32[torch.Tensor, "*shape width"]]:
        """Return for each hidden layer 0 for a unit left out and 1 / (1 - rate) for one kept."""
        rate = self.settings.dropout_rate
        kept = [rng.random((*shape, width), dtype=np.float32) >= rate for width in self.settings.hidden_sizes]
        return [torch.from_numpy(each.astype(np.float32) / np.float32(1 - rate)) for each in kept]

    def _masked(
        self,
        candidates: Float32[torch.Tensor, "batch n features"],
        prompts: Float32[torch.Tensor, "batch prompt_dim"],
        masks: list[Float32[torch.Tensor, ...]],
        parameters: Float32[torch.Tensor, " weights"],
    ) -> Float32[torch.Tensor, "*samples batch n"]:
        """Return utilities with units left out; masks that begin with a samples axis give the result one."""
        from_candidate, from_prompt, bias, *deeper = (part[0] for part in self._network.views(parameters))
        flow = (candidates @ from_candidate + (prompts @ from_prompt + bias)[:, None]).relu() * masks[0]
        for weight, bias, mask in zip(deeper[:-1:2], deeper[1:-1:2], masks[1:], strict=True):
            flow = (flow @ weight + bias).relu() * mask
        return flow @ deeper[-1][0]
