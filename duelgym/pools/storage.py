"""Embeddings as small integers: a quarter of the bytes, with one scale for every dimension."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, Int8

STORAGES = ("float32", "float16", "int8")
_LEVELS = np.float32(127)


def quantise(
    values: Float[np.ndarray, "rows ... dim"], *, divisor: float
) -> tuple[Int8[np.ndarray, "rows ... dim"], Float32[np.ndarray, " dim"]]:
    """Return whole numbers q in -127 to 127 and a scale such that values / divisor is about q * scale.

    Each dimension has a scale of its own, its largest absolute value over 127, so that no number is off by more than
    half of it and a dimension that is always 0 stays 0.

    Args:
        values: finite, at most ``divisor`` in absolute value.
        divisor: positive; q * scale lies in [-1, 1].
    """
    axes = tuple(range(values.ndim - 1))
    largest = np.maximum(values.max(axis=axes), -values.min(axis=axes)).astype(np.float32) / np.float32(divisor)
    scale = (largest / _LEVELS).astype(np.float32)
    scale = np.where(
        _LEVELS * scale > 1, np.nextafter(scale, np.float32(0)), scale
    )  # rounding must not lead out of [-1, 1]
    safe = np.where(scale > 0, scale, np.float32(1)) * np.float32(divisor)
    whole = np.empty(values.shape, np.int8)
    for row, block in zip(whole, values, strict=True):  # row by row: no second copy of the floats in memory
        row[...] = np.clip(np.rint(block.astype(np.float32) / safe), -_LEVELS, _LEVELS)
    return whole, scale
