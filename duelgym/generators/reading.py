"""What a language model's hidden states say of a text: which of them is taken, and how it becomes an embedding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from duelgym.assets import PROJECTION
from duelgym.errors import GeneratorError
from duelgym.generators.language_model import LanguageModel
from duelgym.generators.model_files import EMBEDDED
from duelgym.generators.projection import Projection, unprojected

POOLINGS = ("last", "mean", "both")


class Reading:
    """A language model, the pooling of its hidden states, and the projection that follows.

    The hidden states are those of the last layer, after the final norm: what the output layer reads.

    Args:
        model: whose hidden states.
        pooling: ``"last"``: at the last token of the response's text, before the one that ends it; at the prompt's last token
            where the response is empty. ``"mean"``: the mean over the response's tokens. ``"both"``: the two side by side,
            the last token's first. A prompt's embedding is the same of the prompt's tokens, its chat template's included.
        projection: a file of :meth:`Projection.save`, or ``"embedded"``, the embedded pool's; None: hidden states are divided by 4 times their root mean square.

    Raises:
        GeneratorError: on an unknown pooling, or a projection that cannot be read or is of another width.
    """

    def __init__(self, model: LanguageModel, *, pooling: str, projection: str | None) -> None:
        if pooling not in POOLINGS:
            raise GeneratorError(f"pooling is {pooling!r}; known: {', '.join(POOLINGS)}")
        self.model = model
        self.pooling = pooling
        if projection is not None and not isinstance(projection, str):
            raise GeneratorError(f"projection is {projection!r}; give a safetensors file, {EMBEDDED!r}, or none")
        self._projection = None if projection is None else Projection.load(projection_file(projection))
        self.hidden_dim = model.hidden_dim * (2 if pooling == "both" else 1)
        if self._projection is None:
            self.embedding_dim = self.hidden_dim
        else:
            self.embedding_dim = self._projection.embedding_dim
            if self._projection.hidden_dim != self.hidden_dim:
                raise GeneratorError(
                    f"{projection} takes {self._projection.hidden_dim} hidden units, {model.name} with pooling {pooling!r} has "
                    f"{self.hidden_dim}; give the projection that was made for this model and pooling"
                )

    def embed(self, hidden: Float32[np.ndarray, "*batch hidden"]) -> tuple[Float32[np.ndarray, "*batch d"], int]:
        """Return embeddings of pooled hidden states, in [-1, 1], and how many values were cut off."""
        return unprojected(hidden) if self._projection is None else self._projection.apply(hidden)

    def record(self) -> dict[str, Any]:
        """Return plain JSON that identifies model, pooling and projection."""
        projection = None if self._projection is None else {"sha256": self._projection.sha256()}
        return self.model.record() | {"pooling": self.pooling, "projection": projection}


def pooled(
    last: Float32[np.ndarray, "*batch hidden"], mean: Float32[np.ndarray, "*batch hidden"], pooling: str
) -> Float32[np.ndarray, "*batch pooled"]:
    """Return what a pooling takes of the last token's hidden state and the mean over tokens."""
    return {"last": last, "mean": mean}[pooling] if pooling != "both" else np.concatenate([last, mean], axis=-1)


def projection_file(projection: str) -> Path:
    """Return the file that a projection's argument names."""
    return PROJECTION if projection == EMBEDDED else Path(projection)
