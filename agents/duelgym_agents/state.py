"""Writing an object's future down as named numpy arrays, and taking it up again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b

import numpy as np
from jaxtyping import Shaped, UInt8

from duelgym.errors import SpecificationError


def generator_to_array(rng: np.random.Generator) -> UInt8[np.ndarray, " bytes"]:
    """Return the state of a generator as bytes (of JSON, since it holds 128-bit integers)."""
    return np.frombuffer(json.dumps(rng.bit_generator.state).encode(), dtype=np.uint8).copy()


def generator_from_array(rng: np.random.Generator, array: UInt8[np.ndarray, " bytes"]) -> None:
    """Put a generator into the state that :func:`generator_to_array` gave.

    Raises:
        SpecificationError: if the bytes are not such a state.
    """
    try:
        rng.bit_generator.state = json.loads(np.asarray(array, dtype=np.uint8).tobytes())
    except (ValueError, TypeError, KeyError):
        raise SpecificationError("the agent's saved random state is damaged; start the run again") from None


def with_prefix(prefix: str, state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the same arrays under ``prefix/name``."""
    return {f"{prefix}/{name}": array for name, array in state.items()}


def without_prefix(prefix: str, state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays that are under ``prefix/``, by their short names."""
    return {name[len(prefix) + 1 :]: array for name, array in state.items() if name.startswith(f"{prefix}/")}


def entry(
    state: Mapping[str, np.ndarray], name: str, shape: tuple[int | None, ...] | None = None
) -> Shaped[np.ndarray, "*shape"]:
    """Return one array of a saved state; where a shape is given, None stands for any length.

    Raises:
        SpecificationError: if it is absent or has another shape.
    """
    if name not in state:
        raise SpecificationError(f"the agent's saved state has no {name!r}; it was written by another agent or version")
    array = np.asarray(state[name])
    fits = shape is None or (
        array.ndim == len(shape) and all(want in (None, have) for want, have in zip(shape, array.shape, strict=True))
    )
    if not fits:
        raise SpecificationError(
            f"the agent's saved {name!r} has shape {array.shape}, this agent needs {shape}; restore with equal settings"
        )
    return array


def name_of(*arrays: Shaped[np.ndarray, ...]) -> int:
    """Return 64 bits that name what a context shows, such as a prompt's response (contexts carry no ids)."""
    return int.from_bytes(blake2b(b"".join(array.tobytes() for array in arrays), digest_size=8).digest(), "little")
