"""Writing a pool: all of it or nothing, and the same bytes for the same material."""

from __future__ import annotations

import gzip
import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int8, Shaped

from duelgym.errors import PoolError
from duelgym.metrics.calibration import find_temperature
from duelgym.pools.files import hashed_file, new_directory, refuse_existing
from duelgym.pools.manifest import EMBEDDINGS, INDEX, MANIFEST, SCHEMA, TEXTS, UTILITIES, checksum
from duelgym.pools.pool import CandidatePool
from duelgym.pools.splits import (
    CROSS_FITTED_BELOW,
    N_GROUPS,
    NEAR_DUPLICATE_COSINE,
    assign_explicit_groups,
    assign_groups,
    near_duplicate_keys,
    shorten,
)
from duelgym.pools.tensors import write_tensors
from duelgym.simulators import BradleyTerry


def write_pool(
    path: str | os.PathLike[str],
    *,
    name: str,
    prompts: Sequence[str],
    candidate_names: Sequence[str],
    texts: Sequence[Sequence[str]],
    prompt_embeddings: Float[np.ndarray, "prompts prompt_dim"],
    candidate_embeddings: Float[np.ndarray, "prompts candidates candidate_dim"],
    utilities: Float[np.ndarray, "prompts candidates *attributes"],
    attributes: Sequence[str] = ("utility",),
    temperature: float | None = None,
    reference: Mapping[str, Any] | None = None,
    assess_prompts: Sequence[str] | None = None,
    near_duplicate_cosine: float = NEAR_DUPLICATE_COSINE,
    generator: Mapping[str, Any] | None = None,
    encoder: Mapping[str, Any] | None = None,
    licence: str = "",
    provenance: Mapping[str, Any] | None = None,
) -> CandidatePool:
    """Write a pool and open it.

    The directory is built beside its final place under a hidden name and renamed at the end, so that a failure leaves
    nothing under the final name. Files carry no time stamps: the same material gives the same bytes.

    Args:
        path: the directory to make; must not exist.
        name: of the pool.
        prompts: one string per row, all different.
        candidate_names: who wrote each column, all different.
        texts: for each prompt the responses in column order.
        prompt_embeddings: finite; float16 and float32 are kept, float64 is stored as float32.
        candidate_embeddings: likewise.
        utilities: finite; stored as float64. For one attribute the last axis may be left out.
        attributes: names of the utility's attributes; with one, it is the utility in nats at temperature 1.
        temperature: of the pool's own Bradley-Terry rater; None finds the one at which a random pair's favourite is
            chosen 70 % of the time. With several attributes there is no such rater and it must be None.
        reference: ``{"name": …, "utility": …}`` of a response outside the pool, the same utility for every prompt.
        assess_prompts: these prompts are ``assess`` and all others ``learn``; None splits by hash.
        near_duplicate_cosine: prompts whose embeddings have a larger cosine stay in one part of the split.
        generator: how the responses were made, as plain JSON; for the record.
        encoder: how the embeddings were made, likewise.
        licence: of the material.
        provenance: where the material is from, as plain JSON.

    Raises:
        PoolError: if the path exists, or the material is inconsistent or not finite.
        SpecificationError: if the temperature is not a positive finite number.
        OSError: if the files cannot be written.
    """
    path = Path(path)
    refuse_existing(path)
    utilities = np.asarray(utilities, np.float64)
    utilities = utilities[:, :, None] if utilities.ndim == 2 else utilities
    arrays = {
        "prompt_embeddings": _storable(prompt_embeddings, "prompt_embeddings"),
        "candidate_embeddings": _storable(candidate_embeddings, "candidate_embeddings"),
    }
    _check_material(prompts, candidate_names, texts, attributes, reference, utilities, **arrays)
    for label, array in {**arrays, "utilities": utilities}.items():
        _check_finite(array, label, prompts)
    simulator = _own_simulator(utilities, temperature)
    groups, splits = _split(prompts, arrays["prompt_embeddings"], assess_prompts, near_duplicate_cosine)
    largest = max(float(np.abs(array).max(initial=0)) for array in arrays.values())
    manifest: dict[str, Any] = {
        "schema": SCHEMA,
        "name": name,
        "shape": {
            "prompts": len(prompts),
            "candidates": len(candidate_names),
            "prompt_dim": arrays["prompt_embeddings"].shape[1],
            "candidate_dim": arrays["candidate_embeddings"].shape[2],
        },
        "candidate_names": list(candidate_names),
        "attributes": list(attributes),
        "embedding_scale": largest or 1.0,
        "generator": dict(generator or {}),
        "encoder": dict(encoder or {}),
        "simulator": simulator,
        "reference": None if reference is None else dict(reference),
        "splits": splits,
        "licence": licence,
        "provenance": dict(provenance or {}),
    }
    characters = np.array([[len(response) for response in responses] for responses in texts], np.int32)
    with new_directory(path) as directory:
        offsets, files = [0], {}
        with hashed_file(directory / TEXTS) as out:
            for prompt, responses in zip(prompts, texts, strict=True):
                out.write(_text_line(prompt, responses))
                offsets.append(out.bytes)
        files[TEXTS] = out.entry()
        contents: dict[str, dict[str, Shaped[np.ndarray, " ..."]]] = {
            EMBEDDINGS: arrays,
            UTILITIES: {"utilities": utilities},
            INDEX: {"text_offsets": np.array(offsets, np.int64), "characters": characters, "groups": groups},
        }
        for file, content in contents.items():
            with hashed_file(directory / file) as out:
                write_tensors(out, content)
            files[file] = out.entry()
        manifest["files"] = files
        manifest["checksum"] = checksum(manifest)
        with hashed_file(directory / MANIFEST) as out:
            out.write(json.dumps(manifest, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n")
    return CandidatePool.open(path)


def _storable(array: Float[np.ndarray, " ..."], label: str) -> Float[np.ndarray, " ..."]:
    array = np.asarray(array)
    if array.dtype == np.float64:
        with np.errstate(over="ignore"):  # what overflows is infinite and refused below
            return array.astype(np.float32)
    if array.dtype not in (np.float16, np.float32):
        raise PoolError(f"{label} has type {array.dtype}; allowed are float16, float32 and float64: convert it first")
    return array


def _check_material(
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


def _check_finite(array: Float[np.ndarray, "prompts ..."], label: str, prompts: Sequence[str]) -> None:
    for prompt, row in zip(prompts, array, strict=True):
        if not np.isfinite(row).all():
            raise PoolError(
                f"{label} has a NaN or infinite number for prompt {shorten(prompt)}; leave it out or mend it"
            )


def _own_simulator(
    utilities: Float64[np.ndarray, "prompts candidates attributes"], temperature: float | None
) -> list[dict[str, object]] | None:
    """Return the specification of the pool's own rater: none where there are several attributes."""
    if utilities.shape[2] > 1:
        if temperature is not None:
            raise PoolError(
                "a temperature was given for a pool with several attributes; there it belongs to each rater"
            )
        return None
    return BradleyTerry(find_temperature(utilities[:, :, 0]) if temperature is None else temperature).specification()


def _split(
    prompts: Sequence[str],
    embeddings: Float[np.ndarray, "prompts dim"],
    assess_prompts: Sequence[str] | None,
    cosine: float,
) -> tuple[Int8[np.ndarray, " prompts"], dict[str, Any]]:
    """Return each prompt's group and what the manifest says about it."""
    if assess_prompts is not None:
        groups = assign_explicit_groups(prompts, assess_prompts)
        return groups, {"rule": "explicit", "n_folds": 1, "largest_near_duplicate_group": None}
    keys = near_duplicate_keys(prompts, embeddings, cosine=cosine)
    return assign_groups(keys), {
        "rule": "sha256 of the prompt, near-duplicates together",
        "near_duplicate_cosine": cosine,
        "largest_near_duplicate_group": max(Counter(keys).values()),
        "n_folds": N_GROUPS if len(prompts) < CROSS_FITTED_BELOW else 1,
    }


def _text_line(prompt: str, responses: Sequence[str]) -> bytes:
    """Return one line of JSON as a gzip member of its own, so that it can be read without the others."""
    line = json.dumps({"prompt": prompt, "candidates": list(responses)}) + "\n"
    return gzip.compress(line.encode(), mtime=0)
