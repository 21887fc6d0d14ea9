"""An agent's state as the bytes of a safetensors file: what a run resumes from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from duelgym.errors import SpecificationError

_TYPES = (
    "bool",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    "float16",
    "float32",
    "float64",
)


def state_bytes(state: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """Return what an agent's ``state_dict()`` gave as the bytes of a safetensors file.

    Args:
        state: arrays of numbers by name.
        metadata: kept beside them; something must be, since a file without arrays and metadata cannot be read.

    Raises:
        SpecificationError: naming an entry that is no array of numbers.
    """
    from safetensors.numpy import save

    arrays = {}
    for name, value in state.items():
        array = np.asarray(value, order="C")
        if array.dtype.name not in _TYPES:
            raise SpecificationError(
                f"state_dict() holds {name!r} of type {array.dtype}; arrays of {', '.join(_TYPES)} can be saved (JSON as bytes, "
                "np.frombuffer(text.encode(), np.uint8), is one way for all else)"
            )
        arrays[str(name)] = array
    return save(arrays, metadata=dict(metadata))
