"""Embeddings from an OpenAI-compatible server."""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32

from duelgym.checks import whole_number
from duelgym.endpoints.checks import model_name
from duelgym.endpoints.client import REFUSALS, Endpoint, UnusableAnswer, run_all
from duelgym.errors import EndpointError

EMBEDDINGS_ROUTE = "/v1/embeddings"


class EndpointEncoder:
    """Embeddings from a server's ``/v1/embeddings``, scaled to unit length, so that nothing is ever clipped.

    A response is embedded as its prompt, an empty line, and the response.

    Args:
        url: as in :class:`duelgym.endpoints.Endpoint`, like the settings below that are not named here.
        model: the embedding model's name on that server.
        embedding_dim: how long its embeddings are; stated so that spaces exist before anything is asked, and held
            against every answer.
        batch_size: how many texts a request holds.

    Raises:
        SpecificationError: if an argument is out of its range.
    """

    def __init__(
        self,
        url: str,
        model: str,
        embedding_dim: int,
        *,
        batch_size: int = 64,
        concurrency: int = 8,
        timeout: float = 60.0,
        retries: int = 4,
        backoff: float = 0.5,
        api_key_env: str | None = None,
    ) -> None:
        self._endpoint = Endpoint(url, timeout, retries, backoff, concurrency, api_key_env)
        self._model = model_name(model)
        self.embedding_dim = whole_number("embedding_dim", embedding_dim)
        self._batch_size = whole_number("batch_size", batch_size)

    def embed(
        self, prompts: Sequence[str], responses: Sequence[Sequence[str]]
    ) -> tuple[Float32[np.ndarray, "batch d"], Float32[np.ndarray, "batch n d"], int]:
        """Return embeddings of the prompts and of (prompt, response), each of length 1, and 0: nothing is clipped.

        Raises:
            EndpointError: if the server has no embeddings, or gives others than ``embedding_dim`` finite numbers a text.
        """
        texts = [*prompts]
        for prompt, answers in zip(prompts, responses, strict=True):
            texts += [f"{prompt}\n\n{answer}" for answer in answers]
        parts = [texts[start : start + self._batch_size] for start in range(0, len(texts), self._batch_size)]
        embedded = run_all(
            [functools.partial(self._ask, part) for part in parts],
            [f"texts {i * self._batch_size} to {i * self._batch_size + len(part) - 1}" for i, part in enumerate(parts)],
            self._endpoint.concurrency,
        )
        rows, batch = np.concatenate(embedded), len(prompts)
        return rows[:batch], rows[batch:].reshape(batch, -1, self.embedding_dim), 0

    def specification(self) -> dict[str, object]:
        """Return every setting; a server's model has no revision, so what it ran is the server's word."""
        return {
            "name": "endpoint",
            "model": self._model,
            "embedding_dim": self.embedding_dim,
            "batch_size": self._batch_size,
            **self._endpoint.settings(),
        }

    def _ask(self, texts: Sequence[str], stop: threading.Event) -> Float32[np.ndarray, "texts d"]:
        body = {"model": self._model, "input": list(texts), "encoding_format": "float"}
        try:
            return self._endpoint.post(EMBEDDINGS_ROUTE, body, functools.partial(self._read, len(texts)), stop)
        except EndpointError as error:
            if error.status in REFUSALS:
                raise EndpointError(
                    f"{error}; embeddings need a server with {EMBEDDINGS_ROUTE}, or a local encoder=",
                    status=error.status,
                ) from None
            raise

    def _read(self, n_texts: int, answer: Any) -> Float32[np.ndarray, "{n_texts} d"]:
        data = answer.get("data") if isinstance(answer, Mapping) else None
        if not isinstance(data, list) or not all(isinstance(entry, Mapping) for entry in data):
            raise UnusableAnswer("no embeddings")
        found = {repr(entry.get("index")): entry.get("embedding") for entry in data}
        indices = [str(i) for i in range(n_texts)]
        if len(data) != n_texts or set(found) != set(indices):
            raise UnusableAnswer(f"{len(data)} embeddings to {n_texts} texts, or wrong indices")
        try:
            given = np.array([found[i] for i in indices])
        except ValueError:  # of different lengths
            given = np.array("")
        if given.dtype.kind not in "iuf":
            raise UnusableAnswer("embeddings that are not lists of numbers, all equally long")
        rows = given.astype(np.float64)
        if rows.shape != (n_texts, self.embedding_dim):
            raise UnusableAnswer(f"embeddings of shape {rows.shape[1:]}, not embedding_dim={self.embedding_dim}")
        with np.errstate(over="ignore"):  # an infinite norm is refused
            norms = np.linalg.norm(rows, axis=1, keepdims=True)
        if not np.all(np.isfinite(norms) & (norms > 0)):
            raise UnusableAnswer("an embedding that is zero or not finite")
        return (rows / norms).astype(np.float32)
