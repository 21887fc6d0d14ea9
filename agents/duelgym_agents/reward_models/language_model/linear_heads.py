"""Linear heads on one trainable language model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Protocol

import numpy as np
import torch
from jaxtyping import Float32, Int8, Int64

from duelgym.agent import Contexts
from duelgym.errors import SpecificationError
from duelgym_agents.reward_models.ensemble import choose_particles
from duelgym_agents.reward_models.language_model.duels import TextReplay
from duelgym_agents.reward_models.language_model.reader import TextReader, TokenRow, pieces
from duelgym_agents.reward_models.language_model.settings import LinearHeadSettings
from duelgym_agents.reward_models.language_model.weights import TrainedWeights
from duelgym_agents.reward_models.replay import double_or_nothing, informative

Texts = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]


class Particles(Protocol):
    """How weights, in one flat tensor, score texts.

    Attributes:
        n_passes: passes of the language model that one scoring takes.
    """

    n_passes: int

    def hidden(
        self, weights: Float32[torch.Tensor, " weights"], rows: Sequence[TokenRow]
    ) -> Float32[torch.Tensor, "rows hidden"]:
        """Return what all particles have in common: the hidden states of the body."""
        ...

    def utilities(
        self, weights: Float32[torch.Tensor, " weights"], rows: Sequence[TokenRow]
    ) -> Float32[torch.Tensor, "n_particles rows"]:
        """Return every particle's utility of every text."""
        ...


class SharedBody:
    """Particles that differ in their heads alone; the weights are the body's, then the heads'."""

    n_passes = 1

    def __init__(self, reader: TextReader) -> None:
        self._reader = reader

    def parts(
        self, weights: Float32[torch.Tensor, " weights"]
    ) -> tuple[Float32[torch.Tensor, " body"], Float32[torch.Tensor, "n_particles hidden"]]:
        """Return the body's weights and the heads."""
        size = self._reader.layout.size
        return weights[:size], weights[size:].view(-1, self._reader.hidden_dim)

    def hidden(
        self, weights: Float32[torch.Tensor, " weights"], rows: Sequence[TokenRow]
    ) -> Float32[torch.Tensor, "rows hidden"]:
        """Return the body's hidden states."""
        return self._reader.hidden(self._reader.layout.named(self.parts(weights)[0]), rows)

    def utilities(
        self, weights: Float32[torch.Tensor, " weights"], rows: Sequence[TokenRow]
    ) -> Float32[torch.Tensor, "n_particles rows"]:
        """Return the heads' products with the body's hidden states."""
        return self.parts(weights)[1] @ self.hidden(weights, rows).T


class LinearHeads:
    """The linear-head ensemble of Zhang et al. (2024, 2401.16635): k heads on one language model, all of it trained.

    It reads prompts and responses as texts, embeddings not at all. The utility of a response is a head's product with the
    hidden state at the response's last token. The loss is the heads' sum over duels of cross-entropy, plus lambda
    ||weights - anchor||^2 over the body's and the heads' weights, followed as a mean over a minibatch. Heads start apart,
    each weight with variance 1 / hidden, so that hidden states of unit mean square give utilities of unit variance.
    Training starts from the model as it is, without the paper's supervised stage. For the paper's lower confidence bound
    see ``pessimism`` of :class:`~duelgym_agents.composed.RewardModelAgent`.

    Args:
        settings: see :class:`LinearHeadSettings`.
        prompt_dim: not used.
        candidate_dim: not used.
        rng: draws heads and minibatches; the model keeps it.

    Raises:
        GeneratorError: if the language model cannot be loaded, is incomplete, or brings code of its own; in use, if a text
            is too long for its context.
        SpecificationError: in use, if contexts carry no texts.
    """

    name: ClassVar[str] = "linear_heads"
    needs_texts: ClassVar[bool] = True

    def __init__(
        self, settings: LinearHeadSettings, *, prompt_dim: int, candidate_dim: int, rng: np.random.Generator
    ) -> None:
        del prompt_dim, candidate_dim
        self.settings = settings
        self._reader = TextReader(settings.model, revision=settings.revision, device=settings.device)
        self._replay = TextReplay(settings, rng=rng, mark_dim=settings.n_particles if settings.bootstrap else 0)
        hidden_dim = self._reader.hidden_dim
        drawn = rng.standard_normal(settings.n_particles * hidden_dim, dtype=np.float32) / np.float32(hidden_dim**0.5)
        self._shared = SharedBody(self._reader)
        self._particles: Particles = self._shared
        self._weights = self._start(self._reader.pretrained(), torch.from_numpy(drawn).to(self._reader.device))
        self._learning_rate = settings.learning_rate
        self._latest: tuple[Texts, Float32[np.ndarray, "n_particles batch n_candidates"]] | None = None

    def update(
        self, contexts: Contexts, pairs: Int64[np.ndarray, "batch 2"], preferences: Int8[np.ndarray, " batch"]
    ) -> None:
        """Put the batch's informative duels into the buffer and take the optimiser steps that are due (``settings.steps``)."""
        prompts, responses = self._texts(contexts)
        asked, targets = informative(pairs, preferences)
        if not len(asked):
            return
        shown = [[responses[row][place] for place in pairs[row]] for row in asked]
        steps = self._replay.add(self._reader.rows([prompts[row] for row in asked], shown), targets)
        self._latest = None
        for _ in range(steps):
            self._step()

    def sample_utilities(
        self, contexts: Contexts, n_samples: int, rng: np.random.Generator
    ) -> Float32[np.ndarray, "n_samples batch n_candidates"]:
        """Return the utilities under ``n_samples`` particles, drawn as by :class:`MLPEnsemble`."""
        return choose_particles(self._utilities(contexts), n_samples, rng)

    def mean(self, contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates"]:
        """Return the mean utility over particles."""
        return self._utilities(contexts).mean(axis=0)

    def features(self, contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates hidden"]:
        """Return the body's hidden states at the responses' last tokens."""
        states = self._read(
            self._texts(contexts), self._reader.hidden_dim, lambda *given: self._particles.hidden(*given).T
        )
        return states.T.reshape(*contexts.candidates.shape[:2], -1)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return weights, anchor, optimiser, buffer and random state."""
        return self._weights.state_dict() | self._replay.state_dict()

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state_dict` gave.

        Raises:
            SpecificationError: if the state is not that of a model with equal settings.
        """
        self._weights.load_state_dict(state)
        self._replay.load_state_dict(state)
        self._latest = None

    def _start(self, body: Float32[torch.Tensor, " body"], heads: Float32[torch.Tensor, " heads"]) -> TrainedWeights:
        """Return a body's (or adapters') and heads' weights, with an optimiser that has taken no step."""
        held = heads if self.settings.anchor == "init" else torch.zeros_like(heads)
        return TrainedWeights(torch.cat([body, heads]), torch.cat([body, held]))

    def _step(self) -> None:
        """Take one optimiser step; a minibatch is read piece by piece, and its gradients are summed."""
        duels = self._replay.draw()
        weights = self._weights.values.detach().requires_grad_()
        gradient = torch.zeros_like(weights, requires_grad=False)
        longest = [max(len(duel.first), len(duel.second)) for duel in duels]
        for piece in pieces(longest, self.settings.tokens_at_once // (2 * self._particles.n_passes)):
            some = [duels[place] for place in piece]
            rows = [duel.first for duel in some] + [duel.second for duel in some]
            utilities = self._particles.utilities(weights, rows)
            gaps = utilities[:, : len(some)] - utilities[:, len(some) :]
            targets = torch.tensor([duel.target for duel in some], device=gaps.device)
            losses = torch.nn.functional.softplus(gaps) - targets * gaps
            if self.settings.bootstrap:
                marks = torch.from_numpy(np.stack([duel.marks for duel in some]))
                losses = losses * double_or_nothing(marks, torch.eye(self.settings.n_particles)).to(gaps.device)
            gradient += torch.autograd.grad(losses.sum() / len(duels), weights)[0]
        self._weights.step(gradient, pull=self._replay.pull, learning_rate=self._learning_rate)

    def _utilities(self, contexts: Contexts) -> Float32[np.ndarray, "n_particles batch n_candidates"]:
        """Return every particle's utilities; those asked for last are kept until something is learnt."""
        texts = self._texts(contexts)
        if self._latest is None or self._latest[0] != texts:
            utilities = self._read(texts, self.settings.n_particles, self._particles.utilities)
            self._latest = texts, utilities.reshape(-1, *contexts.candidates.shape[:2])
        return self._latest[1].copy()

    def _read(
        self, texts: Texts, n: int, read: Callable[..., Float32[torch.Tensor, "n rows"]]
    ) -> Float32[np.ndarray, "n rows"]:
        """Return n numbers for every (prompt, response), prompt by prompt; texts of like length are read together."""
        rows = self._reader.rows(*texts)
        numbers = np.empty((n, len(rows)), dtype=np.float32)
        for piece in pieces([len(row) for row in rows], self.settings.tokens_at_once):
            with torch.no_grad():
                numbers[:, piece] = read(self._weights.values, [rows[place] for place in piece]).cpu().numpy()
        return numbers

    def _texts(self, contexts: Contexts) -> Texts:
        if contexts.prompt_texts is None or contexts.candidate_texts is None:
            raise SpecificationError(
                f"{self.name} reads texts, and was given contexts without; use an environment with texts, such as LLMDuel-v0, "
                "or a reward model that reads embeddings, such as ensemble"
            )
        return contexts.prompt_texts, contexts.candidate_texts
