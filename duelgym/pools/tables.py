"""Rows of stored arrays, from memory where they fit and from the disk where they do not."""

from __future__ import annotations

import functools
import math
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Shaped

from duelgym.pools.tensors import StoredTensor, read_tensors

CACHE_BYTES = 512 * 2**20
_CACHED_TABLES = 32


class _Key(NamedTuple):
    """What the contents of a table follow from."""

    path: str
    sha256: str
    name: str
    dtype: np.dtype
    scale: float
    factors: str | None


class Table:
    """Gives out rows of a stored array as one type and on one scale.

    If the whole array, as given out, takes at most ``cache_bytes``, it is read at the first use into one contiguous
    array, which all tables of the process over the same real path and sha256 share; the 32 used last are kept.
    Nothing is held by the table itself, so it can be pickled and copied.

    Args:
        tensor: the array on the disk.
        sha256: identifies the contents, so that a file replaced under the same name is read again.
        dtype: type of the rows given out.
        scale: every number is divided by this.
        factors: array of the same file by which the last axis is multiplied, for numbers stored as small integers.
        cache_bytes: largest array to keep in memory.
    """

    def __init__(
        self,
        tensor: StoredTensor,
        *,
        sha256: str,
        dtype: np.dtype,
        scale: float = 1.0,
        factors: StoredTensor | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.tensor = tensor
        self._fits = dtype.itemsize * math.prod(tensor.shape) <= cache_bytes
        path = os.path.realpath(tensor.file.path)
        self._key = _Key(path, sha256, tensor.name, dtype, scale, None if factors is None else factors.name)

    def whole(self) -> Shaped[np.ndarray, "rows ..."] | None:
        """Return the shared array, which is read-only, or None if it is too large to be kept."""
        return _load(self._key) if self._fits else None

    def take(self, rows: Int[np.ndarray, " batch"]) -> Shaped[np.ndarray, "batch ..."]:
        """Return the named rows, which must be in range, as a fresh array."""
        whole = self.whole()
        if whole is not None:
            return np.take(whole, rows, axis=0, mode="clip")  # "raise" would copy through a buffer
        return _convert(self.tensor.take(rows), self._key)


@functools.lru_cache(maxsize=_CACHED_TABLES)
def _load(key: _Key) -> Shaped[np.ndarray, "rows ..."]:
    tensor = read_tensors(Path(key.path))[key.name]
    whole = np.empty(tensor.shape, key.dtype)
    for first, rows in tensor.blocks():
        whole[first : first + len(rows)] = _convert(rows, key)
    whole.setflags(write=False)
    return whole


def _convert(rows: Shaped[np.ndarray, " ..."], key: _Key) -> Shaped[np.ndarray, " ..."]:
    converted = rows.astype(key.dtype)
    if key.scale != 1.0:
        converted /= key.dtype.type(key.scale)
    if key.factors is not None:
        converted *= _load(key._replace(name=key.factors, scale=1.0, factors=None))
    return converted
