"""What is asked of the material that a pool is made from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Shaped

from duelgym.errors import PoolError
from duelgym.pools.manifest import EXTRA_FILE, FILES, MANIFEST
from duelgym.pools.splits import shorten


def storable(array: Float[np.ndarray, " ..."], label: str) -> Float[np.ndarray, " ..."]:
    """Return embeddings in a type that pools hold: float16 and float32 as they are, float64 as float32."""
    array = np.asarray(array)
    if array.dtype == np.float64:
        with np.errstate(over="ignore"):  # what overflows is infinite and refused below
            return array.astype(np.float32)
    if array.dtype not in (np.float16, np.float32):
        raise PoolError(f"{label} has type {array.dtype}; allowed are float16, float32 and float64: convert it first")
    return array


def check_material(
    prompts: Sequence[str],
    candidate_names: Sequence[str],
    texts: Sequence[Sequence[str]],
    attributes: Sequence[str],
    reference: Mapping[str, Any] | None,
    utilities: Float64[np.ndarray, " ..."],
    prompt_embeddings: Float[np.ndarray, " ..."],
    candidate_embeddings: Float[np.ndarray, " ..."],
) -> None:
    """Refuse material whose parts do not fit together."""
    n_prompts, n_candidates = len(prompts), len(candidate_names)
    if not (n_prompts and n_candidates and attributes):
        raise PoolError(
            f"{n_prompts} prompts, {n_candidates} candidates, {len(attributes)} attributes: a pool needs at least one of each"
        )
    for label, values in (("prompts", prompts), ("candidate_names", candidate_names), ("attributes", attributes)):
        seen: set[str] = set()
        for value in values:
            if not isinstance(value, str):
                raise PoolError(f"{label} must be strings; got {value!r}")
            if value in seen:
                raise PoolError(f"{label} holds {shorten(value)} twice; each may be in a pool once")
            seen.add(value)
    if len(texts) != n_prompts:
        raise PoolError(f"texts has {len(texts)} entries for {n_prompts} prompts")
    for prompt, responses in zip(prompts, texts, strict=True):
        if isinstance(responses, str) or len(responses) != n_candidates:
            raise PoolError(f"prompt {shorten(prompt)} needs a list of {n_candidates} responses")
        if not all(isinstance(response, str) for response in responses):
            raise PoolError(f"prompt {shorten(prompt)} has a response that is not a string")
    if reference is not None and not (
        isinstance(reference.get("name"), str)
        and isinstance(reference.get("utility"), int | float)
        and math.isfinite(reference["utility"])
    ):
        raise PoolError(
            f"reference is {dict(reference)!r}; it must be {{'name': …, 'utility': a finite number}} or None"
        )
    expected: dict[str, tuple[Shaped[np.ndarray, " ..."], tuple[int | str, ...]]] = {
        "prompt_embeddings": (prompt_embeddings, (n_prompts, "dim")),
        "candidate_embeddings": (candidate_embeddings, (n_prompts, n_candidates, "dim")),
        "utilities": (utilities, (n_prompts, n_candidates, len(attributes))),
    }
    for label, (array, shape) in expected.items():
        matches = [size in (length, "dim") for size, length in zip(shape, array.shape, strict=False)]
        if array.ndim != len(shape) or not all(matches) or 0 in array.shape:
            raise PoolError(f"{label} has shape {array.shape}; expected ({', '.join(map(str, shape))})")


def check_finite(array: Float[np.ndarray, "prompts ..."], label: str, prompts: Sequence[str]) -> None:
    """Refuse numbers that are not finite, naming the prompt."""
    for prompt, row in zip(prompts, array, strict=True):
        if not np.isfinite(row).all():
            raise PoolError(
                f"{label} has a NaN or infinite number for prompt {shorten(prompt)}; leave it out or mend it"
            )


def checked_choice(value: object, label: str, allowed: Sequence[str]) -> str:
    """Return one of the allowed words, or refuse what was given."""
    if not isinstance(value, str) or value not in allowed:
        raise PoolError(f"{label} is {value!r}; allowed are {', '.join(allowed)}")
    return value


def check_extra_files(files: Mapping[str, bytes]) -> None:
    """Refuse further files whose names could clash with the pool's own or lead out of it."""
    for name in files:
        if not EXTRA_FILE.fullmatch(name) or name in (*FILES, MANIFEST):
            raise PoolError(
                f"a further file is called {name!r}; give it a plain name such as 'projection.safetensors', none of "
                f"{', '.join((*FILES, MANIFEST))}"
            )


def checked_lengths(
    n_tokens: Int[np.ndarray, "prompts candidates"] | None,
    finished: Bool[np.ndarray, "prompts candidates"] | None,
    shape: tuple[int, ...],
) -> dict[str, Shaped[np.ndarray, "prompts candidates"]]:
    """Return what is recorded of the responses' ends, in the narrowest types that hold it."""
    lengths: dict[str, Shaped[np.ndarray, "prompts candidates"]] = {}
    if n_tokens is not None:
        counts = np.asarray(n_tokens)
        if counts.shape != shape or counts.dtype.kind not in "iu" or counts.min() < -1 or counts.max() >= 2**31:
            raise PoolError(
                f"n_tokens has shape {counts.shape} and type {counts.dtype}; expected {shape} whole numbers from -1"
            )
        lengths["n_tokens"] = counts.astype(np.int16 if counts.max() < 2**15 else np.int32)
    if finished is not None:
        ended = np.asarray(finished)
        if ended.shape != shape or ended.dtype != np.bool_:
            raise PoolError(f"finished has shape {ended.shape} and type {ended.dtype}; expected {shape} booleans")
        lengths["finished"] = ended.astype(np.uint8)
    return lengths


def embedding_divisor(scale: float | None, arrays: Iterable[Float[np.ndarray, " ..."]]) -> float:
    """Return what embeddings are divided by: the scale given, or their largest absolute value."""
    largest = max(float(np.abs(array).max(initial=0)) for array in arrays)
    if scale is None:
        return largest or 1.0
    if not (isinstance(scale, int | float) and math.isfinite(scale) and scale > 0 and scale >= largest):
        raise PoolError(f"embedding_scale is {scale!r}; it must be finite and at least {largest:g}, the largest value")
    return float(scale)
