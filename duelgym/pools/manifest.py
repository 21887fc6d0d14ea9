"""``pool.json``: what a pool is, and the size and sha256 of each of its files."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from duelgym.errors import PoolError
from duelgym.pools.tensors import read_tensors

SCHEMAS = (1, 2)
"""1: floating-point arrays in exactly :data:`FILES`. 2: any of small-integer embeddings, half-precision utilities,
token counts, raters and further files; written only where one of these is used."""

MANIFEST = "pool.json"
TEXTS = "texts.jsonl.gz"
EMBEDDINGS = "embeddings.safetensors"
UTILITIES = "utilities.safetensors"
INDEX = "index.safetensors"
FILES = (TEXTS, EMBEDDINGS, UTILITIES, INDEX)
EXTRA_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What a further file may be called: a plain name, so that it can only lie inside the pool."""

VERIFIED_AT_OPENING_BYTES = 64 * 2**20

_FIELDS: dict[str, type | tuple[type, ...]] = {
    "schema": int,
    "name": str,
    "shape": dict,
    "candidate_names": list,
    "attributes": list,
    "embedding_scale": (int, float),
    "generator": dict,
    "encoder": dict,
    "simulator": (list, type(None)),
    "reference": (dict, type(None)),
    "splits": dict,
    "licence": str,
    "provenance": dict,
    "files": dict,
}


def checksum(manifest: dict[str, Any]) -> str:
    """Return the sha256 of everything in a manifest but its own ``checksum`` (as compact JSON, keys sorted)."""
    rest = {field: value for field, value in manifest.items() if field != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def read_manifest(directory: Path) -> tuple[dict[str, Any], str]:
    """Return ``pool.json`` and the sha256 of its bytes, which identifies the pool.

    Raises:
        PoolError: if it is missing, not JSON, of another schema version, or lacks a field.
    """
    path = directory / MANIFEST
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise PoolError(
            f"{directory} is not a pool: it has no {MANIFEST}; name one that has, or make one with 'duelgym pool record' or 'duelgym pool import'"
        ) from None
    try:
        manifest = json.loads(data)
    except ValueError:
        raise PoolError(f"{path}: not valid JSON; the pool is damaged, restore it or make it again") from None
    if not isinstance(manifest, dict) or manifest.get("schema") not in SCHEMAS:
        found = manifest.get("schema") if isinstance(manifest, dict) else None
        raise PoolError(
            f"{path}: schema version is {found!r}; this duelgym reads {' and '.join(map(str, SCHEMAS))}; make the pool again"
        )
    if manifest.get("checksum") != checksum(manifest):
        raise PoolError(
            f"{path}: does not agree with its own checksum; the pool is damaged, restore it or make it again"
        )
    for field, kind in _FIELDS.items():
        if not isinstance(manifest.get(field, ...), kind):
            raise PoolError(f"{path}: field {field!r} is missing or of the wrong type; make the pool again")
    sizes = [manifest["shape"].get(axis) for axis in ("prompts", "candidates", "prompt_dim", "candidate_dim")]
    if not all(isinstance(size, int) and size > 0 for size in sizes) or sizes[1] != len(manifest["candidate_names"]):
        names = f"{len(manifest['candidate_names'])} candidate names"
        raise PoolError(f"{path}: 'shape' is {manifest['shape']} with {names}; make the pool again")
    if not isinstance(manifest.get("raters"), dict | None):
        raise PoolError(f"{path}: field 'raters' is of the wrong type; make the pool again")
    extra = set(manifest["files"]) - set(FILES)
    if len(manifest["files"]) != len(FILES) + len(extra) or (extra and manifest["schema"] == 1):
        raise PoolError(f"{path}: lists the files {sorted(manifest['files'])}; a pool has exactly {sorted(FILES)}")
    if not all(EXTRA_FILE.fullmatch(name) for name in extra):
        raise PoolError(f"{path}: lists the files {sorted(manifest['files'])}; further files need plain names")
    for name, entry in manifest["files"].items():
        valid = isinstance(entry, dict) and isinstance(entry.get("bytes"), int) and isinstance(entry.get("sha256"), str)
        if not valid:
            raise PoolError(f"{path}: the entry of {name} lacks 'bytes' or 'sha256'; make the pool again")
    return manifest, hashlib.sha256(data).hexdigest()


def check_sizes(directory: Path, manifest: dict[str, Any]) -> None:
    """Compare the size of every file with the manifest.

    Raises:
        PoolError: naming the first file that is missing or has another size.
    """
    for name, entry in manifest["files"].items():
        try:
            found = (directory / name).stat().st_size
        except FileNotFoundError:
            raise PoolError(f"{directory / name}: missing; restore it or make the pool again") from None
        if found != entry["bytes"]:
            raise PoolError(
                f"{directory / name}: has {found} bytes, expected {entry['bytes']}; restore it or make the pool again"
            )


def check_contents(directory: Path, manifest: dict[str, Any], *, largest: int | None = None) -> None:
    """Compare the sha256 of every file with the manifest, and refuse numbers that are not finite.

    Args:
        directory: the pool.
        manifest: its parsed ``pool.json``.
        largest: files with more bytes than this are passed over; None checks all.

    Raises:
        PoolError: naming the first file that is damaged or holds a NaN or infinite number.
    """
    for name, entry in manifest["files"].items():
        if largest is not None and entry["bytes"] > largest:
            continue
        path = directory / name
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != entry["sha256"]:
            raise PoolError(
                f"{path}: sha256 is {found[:12]}…, expected {entry['sha256'][:12]}…; "
                "the file is damaged, restore it or make the pool again"
            )
        if name in (EMBEDDINGS, UTILITIES):
            for tensor in read_tensors(path).values():
                for first, rows in tensor.blocks():
                    if not np.isfinite(rows).all():
                        row = first + int(np.argmin(np.isfinite(rows).reshape(len(rows), -1).all(axis=1)))
                        raise PoolError(f"{path}: {tensor.name} has a NaN or infinite number in row {row}")
