"""Laplace's approximation on the last layer of a trained network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int8, Int64

from duelgym.agent import Contexts
from duelgym.checks import positive_number, whole_number
from duelgym.errors import SpecificationError
from duelgym_agents.exploration import LinearPosterior
from duelgym_agents.reward_models.gaussian import sigmoid
from duelgym_agents.reward_models.network import StackedMLP
from duelgym_agents.reward_models.optimiser import AnchoredAdam
from duelgym_agents.reward_models.replay import Replay
from duelgym_agents.reward_models.settings import ReplaySettings


@dataclass(frozen=True)
class LaplaceSettings(ReplaySettings):
    """Settings of :class:`LastLayerLaplace`.

    Args:
        posterior_scale: multiplies standard deviations; 1 is Laplace's approximation.
        n_samples: samples that rules get.
        rest: see :class:`ReplaySettings`. ``regularizer`` is half the prior's precision, so it must be positive and
            have no half-life.
    """

    posterior_scale: float = 1.0
    n_samples: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        positive_number("regularizer", self.regularizer)
        if self.regularizer_half_life is not None:
            raise SpecificationError(
                f"regularizer_half_life is {self.regularizer_half_life!r}; a Laplace approximation takes only None, "
                "since its regularizer is a prior, which labels do not change"
            )
        positive_number("posterior_scale", self.posterior_scale)
        whole_number("n_samples", self.n_samples)


class LastLayerLaplace:
    """A point MLP whose last layer's weights are Gaussian (Kristiadi et al. 2020; Daxberger et al. 2021).

    Mean: the trained weights. Precision: that of the prior, 2 lambda I, plus p (1 - p) h h' summed over the buffer,
    where h is the difference of the two candidates' last hidden activations and p the probability of a win under the
    trained weights: the Hessian, in these weights, of the loss that training follows. It is made anew after every
    batch, since training moves h.

    Args:
        settings: see :class:`LaplaceSettings`.
        prompt_dim: features of a prompt embedding.
        candidate_dim: features of a candidate embedding.
        rng: draws initial weights and minibatches; the model keeps it.

    Raises:
        SpecificationError: if ``features="interaction"`` is asked for and the two dimensions differ.
    """

    def __init__(
        self, settings: LaplaceSettings, *, prompt_dim: int, candidate_dim: int, rng: np.random.Generator
    ) -> None:
        self.settings = settings
        self._replay = Replay(settings, prompt_dim=prompt_dim, candidate_dim=candidate_dim, rng=rng)
        self._network = StackedMLP(
            n_particles=1, input_dims=self._replay.input_dims, hidden_sizes=settings.hidden_sizes, rng=rng
        )
        self._optimiser = AnchoredAdam(self._network.parameters, settings.anchor)
        self._factor: Float64[np.ndarray, "width width"] | None = None

    def update(
        self, contexts: Contexts, pairs: Int64[np.ndarray, "batch 2"], preferences: Int8[np.ndarray, " batch"]
    ) -> None:
        """Put the batch's informative duels into the buffer and take the optimiser steps that are due (``settings.steps``)."""
        self._factor = None  # the scales move even where nothing is learnt
        for _ in range(self._replay.add(contexts, pairs, preferences)):
            duels = self._replay.draw()
            self._network.backward(duels.candidates, duels.prompts, duels.targets)
            self._optimiser.step(
                self._network.gradient, pull=self._replay.pull, learning_rate=self.settings.learning_rate
            )

    def sample_utilities(
        self, contexts: Contexts, n_samples: int, rng: np.random.Generator
    ) -> Float32[np.ndarray, "n_samples batch n_candidates"]:
        """Return the utilities under ``n_samples`` independent draws of the last layer's weights."""
        noise = rng.standard_normal((n_samples, self.settings.hidden_sizes[-1]))
        weights = self._last_weights() + (noise @ self._scaled_root().T).astype(np.float32)
        return np.moveaxis(self._hidden(contexts) @ weights.T, 2, 0)

    def mean(self, contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates"]:
        """Return the utilities under the trained weights."""
        return self._hidden(contexts) @ self._last_weights()

    def features(self, contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates feature"]:
        """Return what the network reads of the candidates: their embeddings, centred and scaled, and any products."""
        return self._replay.features(contexts)

    def posterior(self, contexts: Contexts) -> LinearPosterior:
        """Return the beliefs about the last layer's weights, and its inputs as the candidates' features."""
        root = self._scaled_root()
        return LinearPosterior(self._hidden(contexts), self._last_weights(), (root @ root.T).astype(np.float32))

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
        self._factor = None

    def _hidden(self, contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates width"]:
        hidden = np.empty((*contexts.candidates.shape[:2], self.settings.hidden_sizes[-1]), dtype=np.float32)
        for piece, candidates, prompts in self._replay.pieces(contexts, self._network.width):
            hidden[piece] = self._network.hidden(candidates, prompts)[0].numpy()
        return hidden

    def _last_weights(self) -> Float32[np.ndarray, " width"]:
        return self._network.views(self._network.parameters)[-1][0, 0].numpy().copy()

    def _scaled_root(self) -> Float64[np.ndarray, "width width"]:
        """Return R, where R R' is the covariance."""
        if self._factor is None:
            width = self.settings.hidden_sizes[-1]
            precision = 2 * self.settings.regularizer * np.eye(width)
            weights = self._last_weights().astype(np.float64)
            for duels in self._replay.everything(self._network.width):
                hidden = self._network.hidden(duels.candidates, duels.prompts)[0].numpy().astype(np.float64)
                differences = hidden[:, 0] - hidden[:, 1]
                p = sigmoid(differences @ weights)
                rooted = differences * np.sqrt(p * (1 - p))[:, None]
                precision += rooted.T @ rooted
            self._factor = self.settings.posterior_scale * np.linalg.inv(np.linalg.cholesky(precision)).T
        return self._factor
