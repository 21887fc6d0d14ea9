"""What every reward model that learns by replay has: the latest duels, the scales of its inputs, and its random stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int8, Int64

from duelgym.agent import PREFERENCE_NONE, Contexts
from duelgym.errors import SpecificationError
from duelgym_agents.reward_models.buffer import DuelBuffer, LabelledDuels
from duelgym_agents.reward_models.network import StackedMLP
from duelgym_agents.reward_models.scaling import FeatureScaler
from duelgym_agents.reward_models.settings import ReplaySettings
from duelgym_agents.state import entry, generator_from_array, generator_to_array, with_prefix, without_prefix

# P(first preferred) that each preference stands for: 0 first, 1 second, 2 none (never learnt from), 3 tie.
_TARGETS = np.array([1.0, 0.0, np.nan, 0.5], dtype=np.float32)
# Activations are made in pieces of about this many numbers, so that they stay in cache: 4 MiB.
_PIECE = 2**20


@dataclass(frozen=True)
class Minibatch:
    """Duels as a network reads them: inputs scaled, targets probabilities that the first is preferred."""

    candidates: Float32[torch.Tensor, "duels 2 features"]
    prompts: Float32[torch.Tensor, "duels prompt_dim"]
    targets: Float32[torch.Tensor, " duels"]
    marks: Float32[torch.Tensor, "duels mark"]


class Replay:
    """Informative duels in a first-in-first-out buffer, and how they and new contexts are shown to a network.

    Inputs are scaled by running moments of all contexts seen
    (:class:`~duelgym_agents.reward_models.scaling.FeatureScaler`). Duels are kept as they came and scaled when shown.

    Args:
        settings: capacity, minibatch, regulariser, features.
        prompt_dim: features of a prompt embedding.
        candidate_dim: features of a candidate embedding.
        rng: draws minibatches and marks; the replay keeps it, and a model may draw from it too.
        mark_dim: standard normal numbers drawn for every duel, for the bootstrap.

    Raises:
        SpecificationError: if ``features="interaction"`` is asked for and the two dimensions differ.
    """

    def __init__(
        self,
        settings: ReplaySettings,
        *,
        prompt_dim: int,
        candidate_dim: int,
        rng: np.random.Generator,
        mark_dim: int = 0,
    ) -> None:
        self._interaction = settings.features == "interaction"
        if self._interaction and prompt_dim != candidate_dim:
            raise SpecificationError(
                f"features is 'interaction', which multiplies prompt and candidate, but prompts have {prompt_dim} "
                f"features and candidates {candidate_dim}; use features 'concat'"
            )
        self.rng = rng
        self.input_dims = (candidate_dim * (2 if self._interaction else 1), prompt_dim)
        self._settings = settings
        self._mark_dim = mark_dim
        self._prompt_scaler = FeatureScaler(prompt_dim)
        self._candidate_scaler = FeatureScaler(candidate_dim)
        self._buffer = DuelBuffer(
            capacity=settings.buffer_capacity, prompt_dim=prompt_dim, candidate_dim=candidate_dim, mark_dim=mark_dim
        )

    def __len__(self) -> int:
        return len(self._buffer)

    def add(
        self, contexts: Contexts, pairs: Int64[np.ndarray, "batch 2"], preferences: Int8[np.ndarray, " batch"]
    ) -> int:
        """Take the contexts into the scales and the batch's informative duels into the buffer.

        Returns:
            The optimiser steps that are due (:meth:`LearningSettings.steps_after`).
        """
        self._prompt_scaler.update(contexts.prompts)
        self._candidate_scaler.update(_rows(contexts.candidates))
        asked, targets = informative(pairs, preferences)
        shown = contexts.candidates[asked[:, None], pairs[asked]]
        marks = self.rng.standard_normal((len(asked), self._mark_dim), dtype=np.float32)
        due = self._settings.steps_after(self._buffer.added, len(asked))
        self._buffer.add(LabelledDuels(contexts.prompts[asked], shown, targets, marks))
        return due

    def draw(self) -> Minibatch:
        """Return a minibatch, drawn with replacement; there must have been an informative duel."""
        return self._shown(self._buffer.draw(self._settings.minibatch_size, self.rng))

    def everything(self, width: int) -> Iterator[Minibatch]:
        """Yield the whole buffer, each duel once, in pieces: a long buffer shown at once would take its own size again.

        Args:
            width: numbers that the network makes of one candidate at once.
        """
        size = max(1, _PIECE // (2 * max(width, sum(self.input_dims))))
        yield from map(self._shown, self._buffer.pieces(size))

    @property
    def pull(self) -> float:
        """What the regulariser weighs against a mean over duels (:meth:`LearningSettings.pull`)."""
        return self._settings.pull(added=self._buffer.added, kept=len(self._buffer))

    def pieces(
        self, contexts: Contexts, width: int
    ) -> Iterator[
        tuple[slice, Float32[torch.Tensor, "piece n_candidates features"], Float32[torch.Tensor, "piece prompt_dim"]]
    ]:
        """Yield a few prompts at a time, as the network reads them.

        Args:
            contexts: any number of prompts.
            width: numbers that the network makes of one candidate at once.
        """
        prompt_scaler = self._prompt_scaler.or_fitted_to(contexts.prompts)
        candidate_scaler = self._candidate_scaler.or_fitted_to(_rows(contexts.candidates))
        count = max(1, _PIECE // (contexts.candidates.shape[1] * width))
        for start in range(0, len(contexts), count):
            piece = slice(start, start + count)
            inputs = prompt_scaler(contexts.prompts[piece]), candidate_scaler(contexts.candidates[piece])
            yield piece, *self._inputs(*inputs)

    def utilities(
        self, network: StackedMLP, contexts: Contexts
    ) -> Float32[np.ndarray, "n_particles batch n_candidates"]:
        """Return every particle's utility of every candidate, a few prompts at a time."""
        utilities = np.empty((network.n_particles, *contexts.candidates.shape[:2]), dtype=np.float32)
        for piece, candidates, prompts in self.pieces(contexts, network.width):
            utilities[:, piece] = network.utilities(candidates, prompts).numpy()
        return utilities

    def features(self, contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates features"]:
        """Return the candidates as the network reads them."""
        return np.concatenate([candidates.numpy() for _, candidates, _ in self.pieces(contexts, self.input_dims[0])])

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return scales, buffer and random state."""
        state = {"rng": generator_to_array(self.rng)}
        for name, part in self._parts().items():
            state |= with_prefix(name, part.state_dict())
        return state

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state_dict` gave.

        Raises:
            SpecificationError: if the state is not that of a replay with equal settings and dimensions.
        """
        for name, part in self._parts().items():
            part.load_state_dict(without_prefix(name, state))
        generator_from_array(self.rng, entry(state, "rng"))

    def _parts(self) -> dict[str, FeatureScaler | DuelBuffer]:
        return {
            "prompt_scaler": self._prompt_scaler,
            "candidate_scaler": self._candidate_scaler,
            "buffer": self._buffer,
        }

    def _shown(self, duels: LabelledDuels) -> Minibatch:
        candidates, prompts = self._inputs(self._prompt_scaler(duels.prompts), self._candidate_scaler(duels.candidates))
        return Minibatch(candidates, prompts, torch.from_numpy(duels.targets), torch.from_numpy(duels.marks))

    def _inputs(
        self, prompts: Float32[np.ndarray, "batch prompt_dim"], candidates: Float32[np.ndarray, "batch n candidate_dim"]
    ) -> tuple[Float32[torch.Tensor, "batch n features"], Float32[torch.Tensor, "batch prompt_dim"]]:
        if self._interaction:
            candidates = np.concatenate([candidates, candidates * prompts[:, None]], axis=2)
        return torch.from_numpy(candidates), torch.from_numpy(prompts)


def informative(
    pairs: Int64[np.ndarray, "batch 2"], preferences: Int8[np.ndarray, " batch"]
) -> tuple[Int64[np.ndarray, " duels"], Float32[np.ndarray, " duels"]]:
    """Return which duels of a batch teach something, and their targets: 1 first preferred, 0 second, 0.5 tie.

    A skipped duel does not, nor does a candidate's with itself.
    """
    (asked,) = np.nonzero((preferences != PREFERENCE_NONE) & (pairs[:, 0] != pairs[:, 1]))
    return asked, _TARGETS[preferences[asked]]


def double_or_nothing(
    marks: Float32[torch.Tensor, "duels mark"], indices: Float32[torch.Tensor, "index mark"]
) -> Float32[torch.Tensor, "index duels"]:
    """Return how much each duel counts under each epistemic index: 2 on one side of the index, 0 on the other.

    Double or nothing is the bootstrap of Owen and Eckles (2012). Gaussian marks have every duel count for half of all
    indices, and neighbouring indices agree on most duels (Osband et al. 2023, Epistemic Neural Networks). A particle's
    index is a unit vector, so the halves of two particles are independent.
    """
    return 2.0 * (indices @ marks.T > 0)


def _rows(candidates: Float32[np.ndarray, "batch n candidate_dim"]) -> Float32[np.ndarray, "rows candidate_dim"]:
    return candidates.reshape(-1, candidates.shape[2])
