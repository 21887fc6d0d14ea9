"""Writing a pool: all of it or nothing, and the same bytes for the same material."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int8, Shaped

from duelgym.errors import PoolError
from duelgym.metrics.calibration import find_temperature
from duelgym.pools.files import hashed_file, new_directory, refuse_existing
from duelgym.pools.manifest import EMBEDDINGS, INDEX, MANIFEST, TEXTS, UTILITIES, checksum
from duelgym.pools.material import (
    check_extra_files,
    check_finite,
    check_material,
    checked_choice,
    checked_lengths,
    embedding_divisor,
    storable,
)
from duelgym.pools.pool import CandidatePool
from duelgym.pools.splits import (
    CROSS_FITTED_BELOW,
    N_GROUPS,
    NEAR_DUPLICATE_COSINE,
    assign_explicit_groups,
    assign_groups,
    near_duplicate_keys,
)
from duelgym.pools.storage import STORAGES, quantise
from duelgym.pools.tensors import write_tensors
from duelgym.simulators import BradleyTerry

UTILITY_DTYPES = ("float64", "float32", "float16")


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
    embedding_storage: str | None = None,
    embedding_scale: float | None = None,
    utility_dtype: str = "float64",
    n_tokens: Int[np.ndarray, "prompts candidates"] | None = None,
    finished: Bool[np.ndarray, "prompts candidates"] | None = None,
    raters: Mapping[str, Any] | None = None,
    extra_files: Mapping[str, bytes] | None = None,
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
        utilities: finite. For one attribute the last axis may be left out.
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
        embedding_storage: ``float32``, ``float16`` or ``int8`` (with a scale for every dimension, off by at most 1/254 of
            the dimension's largest absolute value); None keeps the type given.
        embedding_scale: embeddings are divided by this when they are given out; at least their largest absolute value,
            which None stands for.
        utility_dtype: ``float64``, ``float32`` or ``float16``; the pool's temperature is found on what is stored.
        n_tokens: length of each response in tokens, -1 where it is not known.
        finished: whether each response ended by itself and was not cut at a length limit.
        raters: how several attributes combine into a rater's utility, as plain JSON.
        extra_files: contents of further files by plain name.

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
        "prompt_embeddings": storable(prompt_embeddings, "prompt_embeddings"),
        "candidate_embeddings": storable(candidate_embeddings, "candidate_embeddings"),
    }
    check_material(prompts, candidate_names, texts, attributes, reference, utilities, **arrays)
    check_extra_files(extra_files or {})
    if embedding_storage is not None and checked_choice(embedding_storage, "embedding_storage", STORAGES) != "int8":
        arrays = {label: _narrowed(array, embedding_storage) for label, array in arrays.items()}
    stored_utilities = _narrowed(utilities, checked_choice(utility_dtype, "utility_dtype", UTILITY_DTYPES))
    utilities = stored_utilities.astype(np.float64)
    for label, array in {**arrays, "utilities": utilities}.items():
        check_finite(array, label, prompts)
    lengths = checked_lengths(n_tokens, finished, utilities.shape[:2])
    divisor = embedding_divisor(embedding_scale, arrays.values())
    simulator = _own_simulator(utilities, temperature)
    groups, splits = _split(prompts, arrays["prompt_embeddings"], assess_prompts, near_duplicate_cosine)
    stored = _quantised(arrays, divisor) if embedding_storage == "int8" else arrays
    compact = embedding_storage == "int8" or utility_dtype != "float64"
    manifest: dict[str, Any] = {
        "schema": 2 if compact or lengths or raters is not None or extra_files else 1,
        "name": name,
        "shape": {
            "prompts": len(prompts),
            "candidates": len(candidate_names),
            "prompt_dim": arrays["prompt_embeddings"].shape[1],
            "candidate_dim": arrays["candidate_embeddings"].shape[2],
        },
        "candidate_names": list(candidate_names),
        "attributes": list(attributes),
        "embedding_scale": divisor,
        "generator": dict(generator or {}),
        "encoder": dict(encoder or {}),
        "simulator": simulator,
        "reference": None if reference is None else dict(reference),
        "splits": splits,
        "licence": licence,
        "provenance": dict(provenance or {}),
    }
    if raters is not None:
        manifest["raters"] = dict(raters)
    characters = np.array([[len(response) for response in responses] for responses in texts], np.int32)
    with new_directory(path) as directory:
        offsets, files = [0], {}
        with hashed_file(directory / TEXTS) as out:
            for prompt, responses in zip(prompts, texts, strict=True):
                out.write(_text_line(prompt, responses))
                offsets.append(out.bytes)
        files[TEXTS] = out.entry()
        contents: dict[str, dict[str, Shaped[np.ndarray, " ..."]]] = {
            EMBEDDINGS: stored,
            UTILITIES: {"utilities": stored_utilities},
            INDEX: {"text_offsets": np.array(offsets, np.int64), "characters": characters, "groups": groups, **lengths},
        }
        for file, content in contents.items():
            with hashed_file(directory / file) as out:
                write_tensors(out, content)
            files[file] = out.entry()
        for file, data in (extra_files or {}).items():
            with hashed_file(directory / file) as out:
                out.write(data)
            files[file] = out.entry()
        manifest["files"] = files
        manifest["checksum"] = checksum(manifest)
        with hashed_file(directory / MANIFEST) as out:
            out.write(json.dumps(manifest, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n")
    return CandidatePool.open(path)


def _narrowed(array: Float[np.ndarray, " ..."], dtype: str) -> Float[np.ndarray, " ..."]:
    with np.errstate(over="ignore"):  # what overflows is infinite and refused by the check that follows
        return array.astype(dtype)


def _quantised(
    arrays: Mapping[str, Float[np.ndarray, "prompts ..."]], divisor: float
) -> dict[str, Shaped[np.ndarray, " ..."]]:
    """Return embeddings as whole numbers, each array beside its scales."""
    stored: dict[str, Shaped[np.ndarray, " ..."]] = {}
    for label, array in arrays.items():
        stored[label], stored[label.replace("embeddings", "scale")] = quantise(array, divisor=divisor)
    return stored


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
