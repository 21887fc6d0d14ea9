"""What environments need of a source of questions, and what a language model's wrapper must offer to be one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64

from duelgym.agent import Contexts


@dataclass(frozen=True)
class Questions:
    """Prompts and candidate responses by identity, in the order in which they will be shown.

    Attributes:
        prompt_ids: row of the pool; number of the question where every question is drawn afresh.
        candidate_ids: columns of the pool in shown order.
        features: (prompts, candidates) where they are drawn afresh and held nowhere else, else None.
    """

    prompt_ids: Int64[np.ndarray, " batch"]
    candidate_ids: Int64[np.ndarray, "batch n_candidates"]
    features: tuple[Float32[np.ndarray, "batch d"], Float32[np.ndarray, "batch n_candidates d"]] | None = None

    def __len__(self) -> int:
        return len(self.prompt_ids)

    def rows(self, rows: slice) -> Questions:
        """Return some of the questions."""
        features = None if self.features is None else (self.features[0][rows], self.features[1][rows])
        return Questions(self.prompt_ids[rows], self.candidate_ids[rows], features)

    def only(self, positions: Int64[np.ndarray, "batch n"]) -> Questions:
        """Return the same questions with n of the candidates each, named by their positions."""
        features = None
        if self.features is not None:
            features = (self.features[0], np.take_along_axis(self.features[1], positions[:, :, None], axis=1))
        return Questions(self.prompt_ids, np.take_along_axis(self.candidate_ids, positions, axis=1), features)


@runtime_checkable
class QuestionStream(Protocol):
    """The questions of one episode. Drawing 8 at once gives what drawing 1 eight times gives.

    Attributes:
        clipped: how many feature values have been cut off at the edge of the observation's range so far.
    """

    clipped: int

    def draw(self, n: int) -> Questions:
        """Return the next n questions."""
        ...


@runtime_checkable
class QuestionSource(Protocol):
    """Where an environment's questions come from: prompts with N responses each, and their embeddings.

    Attributes:
        prompt_dim: dimension of a prompt's embedding.
        candidate_dim: dimension of a response's embedding.
        n_candidates: N, the number of candidates shown with every prompt.
        n_folds: into how many assessment folds the prompts are divided (1: no cross-fitting).
    """

    prompt_dim: int
    candidate_dim: int
    n_candidates: int
    n_folds: int

    def stream(self, rng: np.random.Generator) -> QuestionStream:
        """Return the endless stream of one episode's questions; all its draws come from ``rng``."""
        ...

    def assessment(self, rng: np.random.Generator) -> Questions:
        """Return the held-out questions on which recommendations are scored, candidates in permuted order."""
        ...

    def contexts(self, questions: Questions, *, texts: bool = False) -> Contexts:
        """Return what agents see of these questions: fresh arrays, in [-1, 1]."""
        ...

    def texts(self, prompt_id: int, candidate_ids: Int64[np.ndarray, " n"]) -> tuple[str, tuple[str, ...]]:
        """Return the prompt and the named responses as strings."""
        ...

    def fingerprint(self, questions: Questions) -> bytes:
        """Return bytes that are equal exactly if the same prompts and candidates are shown in the same order."""
        ...


@dataclass(frozen=True)
class Responses:
    """N responses to each of some prompts, with their embeddings.

    Attributes:
        texts: the responses, without special tokens; a response may be empty.
        finish_reasons: ``"stop"`` where the model ended the response itself, ``"length"`` where it was cut off.
        n_tokens: tokens of each response without the one that ends it; -1 where the model's server does not say.
        prompt_embeddings: in [-1, 1].
        candidate_embeddings: of (prompt, response), in [-1, 1].
        clipped: how many embedding values were cut off at -1 or 1.
    """

    texts: tuple[tuple[str, ...], ...]
    finish_reasons: tuple[tuple[str, ...], ...]
    n_tokens: Int64[np.ndarray, "batch n"]
    prompt_embeddings: Float32[np.ndarray, "batch d"]
    candidate_embeddings: Float32[np.ndarray, "batch n d"]
    clipped: int


@runtime_checkable
class CandidateGenerator(Protocol):
    """Answers prompts N times each: a language model here, behind an endpoint, or recorded."""

    @property
    def embedding_dim(self) -> int:
        """Features of an embedding; known without loading weights."""
        ...

    def generate(self, prompts: Sequence[str], n: int, *, rng: np.random.Generator) -> Responses:
        """Return n responses to each prompt.

        What ``rng`` is asked for depends on n and on how many prompts there are, and goes through the prompts in order,
        so that one call for 8 prompts gives what 8 calls in a row give (up to rounding in the model).

        Raises:
            DuelgymError: if there is no prompt, n is below 1, or a prompt cannot be answered.
        """
        ...

    def specification(self) -> dict[str, object]:
        """Return plain JSON that names the model, its revision and every setting."""
        ...


@runtime_checkable
class Encoder(Protocol):
    """Embeds prompts and responses, for generators that cannot."""

    @property
    def embedding_dim(self) -> int:
        """Features of an embedding; known without loading weights."""
        ...

    def embed(
        self, prompts: Sequence[str], responses: Sequence[Sequence[str]]
    ) -> tuple[Float32[np.ndarray, "batch d"], Float32[np.ndarray, "batch n d"], int]:
        """Return embeddings of the prompts, of (prompt, response), both in [-1, 1], and how many values were clipped."""
        ...

    def specification(self) -> dict[str, object]:
        """Return plain JSON that names the model, its revision and every setting."""
        ...
