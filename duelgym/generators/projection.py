"""From a language model's hidden states to the embeddings that agents see: few numbers, in [-1, 1]."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32

from duelgym.errors import GeneratorError, PoolError

HIDDEN_SCALE = 4.0
"""Without a projection a hidden state is divided by 4 times its own root mean square."""


@dataclass(frozen=True)
class Projection:
    """x = ((h - offset) @ matrix) / scale, cut off at -1 and 1.

    Attributes:
        matrix: from hidden units to features.
        offset: subtracted first.
        scale: what becomes 1; positive and finite.

    Raises:
        GeneratorError: if shapes disagree, the scale is not positive, or a number is not finite.
    """

    matrix: Float32[np.ndarray, "hidden d"]
    offset: Float32[np.ndarray, " hidden"]
    scale: float

    def __post_init__(self) -> None:
        if self.matrix.ndim != 2 or self.offset.shape != self.matrix.shape[:1]:
            raise GeneratorError(
                f"the projection's matrix has shape {self.matrix.shape} and its offset {self.offset.shape}; they must be "
                "(hidden, d) and (hidden,)"
            )
        finite = np.isfinite(self.matrix).all() and np.isfinite(self.offset).all() and np.isfinite(self.scale)
        if not (finite and self.scale > 0):
            raise GeneratorError(f"the projection must be finite, and its scale, {self.scale!r}, above 0")

    @property
    def hidden_dim(self) -> int:
        """Hidden units that it takes."""
        return self.matrix.shape[0]

    @property
    def embedding_dim(self) -> int:
        """Features that it gives."""
        return self.matrix.shape[1]

    def apply(self, hidden: Float[np.ndarray, "*batch hidden"]) -> tuple[Float32[np.ndarray, "*batch d"], int]:
        """Return features in [-1, 1], and how many of them were cut off."""
        return _clipped(((hidden - self.offset) @ self.matrix) / np.float32(self.scale))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file, whole or not at all; an existing one is replaced."""
        from duelgym.pools.files import write_whole
        from duelgym.pools.tensors import write_tensors

        arrays: dict[str, np.ndarray] = {
            "matrix": self.matrix.astype(np.float32),
            "offset": self.offset.astype(np.float32),
            "scale": np.array([self.scale], np.float64),
        }
        content = io.BytesIO()
        write_tensors(content, arrays)
        write_whole(Path(path), content.getvalue())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Projection:
        """Read what :meth:`save` wrote.

        Raises:
            GeneratorError: if there is no such file, or it does not hold a projection.
        """
        from duelgym.pools.tensors import read_tensors

        try:
            stored = read_tensors(Path(path))
            arrays = {name: stored[name].rows(0, stored[name].shape[0]) for name in ("matrix", "offset", "scale")}
        except (OSError, PoolError, KeyError, IndexError):
            raise GeneratorError(
                f"{path}: not a projection; give a safetensors file with 'matrix' (hidden, d), 'offset' (hidden,) and "
                "'scale' (1,)"
            ) from None
        if arrays["scale"].shape != (1,):
            raise GeneratorError(f"{path}: 'scale' has shape {arrays['scale'].shape}; it must be (1,)")
        return cls(arrays["matrix"].astype(np.float32), arrays["offset"].astype(np.float32), float(arrays["scale"][0]))

    def sha256(self) -> str:
        """Return a hash of all its numbers."""
        parts = (
            self.matrix.astype("<f4"),
            self.offset.astype("<f4"),
            np.array([self.scale, *self.matrix.shape], "<f8"),
        )
        return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def unprojected(hidden: Float[np.ndarray, "*batch hidden"]) -> tuple[Float32[np.ndarray, "*batch hidden"], int]:
    """Return hidden states divided by 4 times their own root mean square, cut off at -1 and 1, and how many were cut.

    The size of hidden states differs between language models by orders of magnitude; their direction is what they say.
    """
    size = np.sqrt(np.mean(np.square(hidden, dtype=np.float64), axis=-1, keepdims=True))
    return _clipped(
        np.divide(hidden, HIDDEN_SCALE * size, out=np.zeros_like(hidden), where=size > 0, casting="same_kind")
    )


def _clipped(values: Float[np.ndarray, "*batch d"]) -> tuple[Float32[np.ndarray, "*batch d"], int]:
    cut = int(np.count_nonzero(np.abs(values) > 1))
    return np.clip(values, -1.0, 1.0).astype(np.float32), cut
