"""CandidatePool: prompts, their candidate responses, embeddings and utilities, frozen in a directory."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int, Int32, Int64

from duelgym.errors import PoolError
from duelgym.pools.manifest import (
    EMBEDDINGS,
    FILES,
    INDEX,
    TEXTS,
    UTILITIES,
    VERIFIED_AT_OPENING_BYTES,
    check_contents,
    check_sizes,
    read_manifest,
)
from duelgym.pools.splits import select_part
from duelgym.pools.tables import CACHE_BYTES, Table
from duelgym.pools.tensors import PositionedFile, StoredTensor, read_tensors


@dataclass(frozen=True)
class PromptTexts:
    """The strings of one prompt: the prompt itself and every response, in column order."""

    prompt: str
    candidates: tuple[str, ...]


class CandidatePool:
    """A frozen set of prompts, each with the same number of candidate responses.

    Open one with :meth:`open`; make one with :func:`duelgym.pools.write_pool`. Arrays of at most ``cache_bytes`` are
    read once, at first use, and shared by all pools in the process that were opened from the same real path with
    the same sha256; larger ones are read prompt by prompt. A pool can be pickled and copied: descriptors and caches
    stay behind and come back at the next use.

    Attributes:
        path: the directory.
        name: the pool's name.
        sha256: of ``pool.json``, which holds the sha256 of every other file; so it identifies the pool.
        manifest: ``pool.json``, parsed.
        n_prompts: prompts (rows).
        n_candidates: responses per prompt (columns).
        prompt_dim: features of a prompt embedding.
        candidate_dim: features of a response embedding.
        attributes: names of the utility's attributes; one name means that it is the utility itself.
        n_folds: 5 where assessment is cross-fitted, else 1.
        reference: ``{"name": …, "utility": …}`` of the reference response, on the same scale for every prompt, or None.
        candidate_names: who wrote each column, for example names of language models.
        raters: how several attributes combine into a rater's utility, as plain JSON, or None.
        extra_files: names of further files that the pool keeps (see :meth:`extra_file`).
    """

    def __init__(self, path: Path, manifest: dict[str, Any], sha256: str, *, cache_bytes: int) -> None:
        self.path = path
        self.manifest = manifest
        self.sha256 = sha256
        self.name: str = manifest["name"]
        self.attributes: tuple[str, ...] = tuple(manifest["attributes"])
        self.reference: dict[str, Any] | None = manifest["reference"]
        self.candidate_names: tuple[str, ...] = tuple(manifest["candidate_names"])
        self.n_folds: int = manifest["splits"]["n_folds"]
        self.raters: dict[str, Any] | None = manifest.get("raters")
        self.extra_files: tuple[str, ...] = tuple(sorted(set(manifest["files"]) - set(FILES)))
        self._texts = PositionedFile(path / TEXTS)
        tensors = _read_all_tensors(path, manifest)

        def table(name: str, dtype: type, scale: float = 1.0, factors: StoredTensor | None = None) -> Table:
            kind = np.dtype(dtype)
            return Table(
                tensors[name], sha256=sha256, dtype=kind, scale=scale, factors=factors, cache_bytes=cache_bytes
            )

        def embeddings(name: str, factors: str) -> Table:
            if tensors[name].dtype == np.int8:
                return table(name, np.float32, factors=tensors[factors])
            return table(name, np.float32, manifest["embedding_scale"])

        self._prompts = embeddings("prompt_embeddings", "prompt_scale")
        self._candidates = embeddings("candidate_embeddings", "candidate_scale")
        self._utilities = table("utilities", np.float64)
        self._characters = table("characters", np.int32)
        self._text_offsets = table("text_offsets", np.int64)
        self._groups = table("groups", np.int8)
        self._n_tokens = table("n_tokens", np.int32) if "n_tokens" in tensors else None
        self._finished = table("finished", np.bool_) if "finished" in tensors else None
        self.n_prompts, self.n_candidates, self.candidate_dim = tensors["candidate_embeddings"].shape
        self.prompt_dim = tensors["prompt_embeddings"].shape[1]

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], *, verify: bool = False, cache_bytes: int = CACHE_BYTES
    ) -> CandidatePool:
        """Open a pool: read its manifest, check the size of every file and the sha256 of those up to 64 MB.

        Args:
            path: the directory.
            verify: check the larger files as well (see :meth:`verify`).
            cache_bytes: arrays larger than this, as they are given out, are read from the disk at every use.

        Raises:
            PoolError: if the directory is not a pool, or a file is missing, damaged or holds a NaN.
        """
        directory = Path(path)
        manifest, sha256 = read_manifest(directory)
        check_sizes(directory, manifest)
        check_contents(directory, manifest, largest=None if verify else VERIFIED_AT_OPENING_BYTES)
        return cls(directory, manifest, sha256, cache_bytes=cache_bytes)

    @property
    def temperature(self) -> float:
        """The Bradley-Terry temperature at which a random pair's favourite is chosen 70 % of the time.

        Raises:
            PoolError: if the pool has no rater of its own (several attributes).
        """
        if self.manifest["simulator"] is None:
            raise PoolError(
                f"pool {self.name!r} has {len(self.attributes)} attributes and so no rater or temperature of its own; "
                "name a rater, or give a temperature"
            )
        return float(self.manifest["simulator"][0]["temperature"])

    def split(self, part: str, fold: int = 0) -> Int64[np.ndarray, " rows"]:
        """Return the sorted row numbers of a part.

        Args:
            part: ``tune``, ``learn``, ``assess`` or ``all``.
            fold: from 0 to ``n_folds - 1``; which fifth of the prompts outside ``tune`` is assessed.

        Raises:
            PoolError: on an unknown part or fold, or where the part is empty.
        """
        groups = self._groups.take(np.arange(self.n_prompts))
        explicit = self.manifest["splits"]["rule"] == "explicit"
        return select_part(groups, part, fold, n_folds=self.n_folds, explicit=explicit)

    def prompt_embeddings(self, rows: Int[np.ndarray, " batch"]) -> Float32[np.ndarray, "batch prompt_dim"]:
        """Return prompt embeddings divided by the pool's largest absolute value: in [-1, 1]; a fresh array."""
        return self._prompts.take(self._checked(rows))

    def candidate_embeddings(
        self, rows: Int[np.ndarray, " batch"], columns: Int[np.ndarray, "batch n"]
    ) -> Float32[np.ndarray, "batch n candidate_dim"]:
        """Return embeddings of the named responses, on the scale of :meth:`prompt_embeddings`; a fresh array."""
        rows = self._checked(rows)
        if columns.ndim != 2 or len(columns) != len(rows):
            raise PoolError(f"columns have shape {columns.shape}; expected ({len(rows)}, n), one line for each row")
        if columns.size and not 0 <= columns.min() <= columns.max() < self.n_candidates:
            raise PoolError(f"columns must lie in 0 to {self.n_candidates - 1}; got {columns.min()} to {columns.max()}")
        whole = self._candidates.whole()
        if whole is None:
            return np.take_along_axis(self._candidates.take(rows), columns[:, :, None], axis=1)
        flat = whole.reshape(-1, self.candidate_dim)
        return np.take(flat, rows[:, None] * self.n_candidates + columns, axis=0, mode="clip")

    def utilities(self, rows: Int[np.ndarray, " batch"]) -> Float64[np.ndarray, "batch n_candidates attributes"]:
        """Return the utility of every response; a fresh array."""
        return self._utilities.take(self._checked(rows))

    def characters(self, rows: Int[np.ndarray, " batch"]) -> Int32[np.ndarray, "batch n_candidates"]:
        """Return the length of every response in characters; a fresh array."""
        return self._characters.take(self._checked(rows))

    def n_tokens(self, rows: Int[np.ndarray, " batch"]) -> Int32[np.ndarray, "batch n_candidates"] | None:
        """Return the length of every response in tokens (-1: not told), or None where the pool records none."""
        return None if self._n_tokens is None else self._n_tokens.take(self._checked(rows))

    def finished(self, rows: Int[np.ndarray, " batch"]) -> Bool[np.ndarray, "batch n_candidates"] | None:
        """Return whether every response ended by itself, not at a length limit; None where the pool does not say."""
        return None if self._finished is None else self._finished.take(self._checked(rows))

    def extra_file(self, name: str) -> Path:
        """Return where a further file of the pool lies, its sha256 checked like that of all files.

        Raises:
            PoolError: if the pool has no such file.
        """
        if name not in self.extra_files:
            raise PoolError(f"pool {self.name!r} has no file {name!r}; it has {', '.join(self.extra_files) or 'none'}")
        return self.path / name

    def texts(self, row: int) -> PromptTexts:
        """Return the strings of one prompt, by one positioned read.

        Raises:
            PoolError: if there is no such row, or the text file is damaged.
        """
        row = int(self._checked(np.array([row]))[0])
        start, stop = self._text_offsets.take(np.array([row, row + 1])).tolist()
        try:
            entry = json.loads(gzip.decompress(self._texts.read(start, stop - start)))
            return PromptTexts(entry["prompt"], tuple(entry["candidates"]))
        except (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error):
            raise PoolError(
                f"{self._texts.path}: the text of row {row} is damaged; run 'duelgym pool verify'"
            ) from None

    def verify(self) -> None:
        """Check the size and sha256 of every file, and that embeddings and utilities are finite.

        Raises:
            PoolError: naming the file at fault.
        """
        manifest, sha256 = read_manifest(self.path)
        if sha256 != self.sha256:
            raise PoolError(f"{self.path}: pool.json has changed since the pool was opened; open it again")
        check_sizes(self.path, manifest)
        check_contents(self.path, manifest)

    def __repr__(self) -> str:
        size = f"{self.n_prompts} prompts x {self.n_candidates} candidates"
        return f"CandidatePool({self.name!r}, {size}, sha256 {self.sha256[:12]}…)"

    def _checked(self, rows: Int[np.ndarray, " batch"]) -> Int[np.ndarray, " batch"]:
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            raise PoolError(f"rows have shape {rows.shape} and type {rows.dtype}; expected one axis of whole numbers")
        if rows.size and not 0 <= rows.min() <= rows.max() < self.n_prompts:
            raise PoolError(f"rows must lie in 0 to {self.n_prompts - 1}; got {rows.min()} to {rows.max()}")
        return rows


def _read_all_tensors(path: Path, manifest: dict[str, Any]) -> dict[str, StoredTensor]:
    """Return every array of a pool by name, once its shape is found to be what the manifest says."""
    sizes = manifest["shape"]
    n_prompts, n_candidates = sizes["prompts"], sizes["candidates"]
    expected: dict[str, dict[str, tuple[int, ...]]] = {
        EMBEDDINGS: {
            "prompt_embeddings": (n_prompts, sizes["prompt_dim"]),
            "candidate_embeddings": (n_prompts, n_candidates, sizes["candidate_dim"]),
        },
        UTILITIES: {"utilities": (n_prompts, n_candidates, len(manifest["attributes"]))},
        INDEX: {"text_offsets": (n_prompts + 1,), "characters": (n_prompts, n_candidates), "groups": (n_prompts,)},
    }
    tensors: dict[str, StoredTensor] = {}
    for file, shapes in expected.items():
        found = read_tensors(path / file)
        for kind in ("prompt", "candidate"):
            if f"{kind}_embeddings" in found and found[f"{kind}_embeddings"].dtype == np.int8:
                shapes[f"{kind}_scale"] = (sizes[f"{kind}_dim"],)
        shapes |= {name: (n_prompts, n_candidates) for name in ("n_tokens", "finished") if name in found}
        for name, shape in shapes.items():
            if name not in found or found[name].shape != shape:
                what = f"has shape {found[name].shape}" if name in found else "is missing"
                raise PoolError(f"{path / file}: {name} {what}, but pool.json says {shape}; make the pool again")
            tensors[name] = found[name]
    return tensors
