"""Arrays in safetensors files, read by row with positioned reads.

A memory map would be shorter to write, but every row that is touched stays resident, so a run over a pool of
20 GB slowly takes that much memory. A positioned read takes only what is asked for.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64, Shaped

from duelgym.errors import PoolError

_DTYPES = {
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
    "U8": "|u1",
    "I8": "|i1",
    "I16": "<i2",
    "I32": "<i4",
    "I64": "<i8",
}
_NAMES = {np.dtype(code): name for name, code in _DTYPES.items()}
_BLOCK_BYTES = 16 * 2**20
_LONGEST_HEADER = 100 * 2**20


@runtime_checkable
class Writable(Protocol):
    """Whatever takes bytes."""

    def write(self, data: bytes | memoryview) -> object:
        """Append bytes."""
        ...


class PositionedFile:
    """A file that is opened at the first read; copies and pickles carry the path, never the descriptor."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def read(self, offset: int, size: int) -> bytes:
        """Return exactly ``size`` bytes from ``offset``.

        Raises:
            PoolError: if the file ends before.
        """
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        data = os.pread(self._descriptor, size, offset)
        while len(data) < size:  # the kernel gives at most 2 GB at a time
            more = os.pread(self._descriptor, size - len(data), offset + len(data))
            if not more:
                raise PoolError(f"{self.path}: ends at byte {offset + len(data)}, expected more; the file is damaged")
            data += more
        return data

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path, "_descriptor": None}

    def __del__(self) -> None:
        if getattr(self, "_descriptor", None) is not None:
            os.close(self._descriptor)  # type: ignore[arg-type]


@dataclass(frozen=True)
class StoredTensor:
    """One array of a safetensors file, still on the disk."""

    file: PositionedFile
    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one entry along the first axis."""
        return self.dtype.itemsize * math.prod(self.shape[1:])

    def rows(self, start: int, stop: int) -> Shaped[np.ndarray, "rows ..."]:
        """Return rows ``start`` to ``stop`` (read-only)."""
        data = self.file.read(self.offset + start * self.row_bytes, (stop - start) * self.row_bytes)
        return np.frombuffer(data, self.dtype).reshape(stop - start, *self.shape[1:])

    def take(self, rows: Int64[np.ndarray, " rows"]) -> Shaped[np.ndarray, "rows ..."]:
        """Return the named rows, each by one positioned read."""
        taken = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for position, row in enumerate(rows.tolist()):
            taken[position] = self.rows(row, row + 1)[0]
        return taken

    def blocks(self) -> Iterator[tuple[int, Shaped[np.ndarray, "rows ..."]]]:
        """Yield (first row, rows) from the first to the last, about 16 MB at a time."""
        step = max(1, _BLOCK_BYTES // max(1, self.row_bytes))
        for start in range(0, self.shape[0], step):
            yield start, self.rows(start, min(start + step, self.shape[0]))


def read_tensors(path: Path) -> dict[str, StoredTensor]:
    """Read the header of a safetensors file; the arrays stay on the disk.

    Raises:
        PoolError: if the file is not a safetensors file, or holds an array of a type other than float16, float32,
            float64, uint8, int8, int16, int32 and int64 (bfloat16 is refused: numpy has no such type).
        OSError: if there is no such file.
    """
    file = PositionedFile(path)
    file_bytes = path.stat().st_size
    damaged = PoolError(f"{path}: not a safetensors file, or damaged; restore it or make it again")
    if file_bytes < 8:
        raise damaged
    header_bytes = int.from_bytes(file.read(0, 8), "little")
    if header_bytes > min(file_bytes - 8, _LONGEST_HEADER):
        raise damaged
    try:
        header = json.loads(file.read(8, header_bytes))
        header.pop("__metadata__", None)
        tensors = {}
        for name, entry in header.items():
            if entry["dtype"] not in _DTYPES:
                raise PoolError(
                    f"{path}: {name} is stored as {entry['dtype']}; allowed are {', '.join(_DTYPES)}; "
                    "convert it (bfloat16 to float32, for example)"
                )
            dtype = np.dtype(_DTYPES[entry["dtype"]])
            shape = tuple(int(length) for length in entry["shape"])
            start, stop = entry["data_offsets"]
            inside = 0 <= start <= stop <= file_bytes - 8 - header_bytes
            if not inside or min(shape, default=0) < 0 or stop - start != dtype.itemsize * math.prod(shape):
                raise damaged
            tensors[name] = StoredTensor(file, name, dtype, shape, 8 + header_bytes + start)
    except PoolError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError):
        raise damaged from None
    return tensors


def write_tensors(out: Writable, arrays: Mapping[str, Shaped[np.ndarray, " ..."]]) -> None:
    """Write arrays in the safetensors format, in the order of their names, without a second copy in memory."""
    header, start = {}, 0
    for name, array in sorted(arrays.items()):
        header[name] = {
            "dtype": _NAMES[array.dtype.newbyteorder("<")],
            "shape": list(array.shape),
            "data_offsets": [start, start + array.nbytes],
        }
        start += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format asks for arrays aligned to 8 bytes
    out.write(len(text).to_bytes(8, "little") + text)
    for _, array in sorted(arrays.items()):
        little = array.dtype.newbyteorder("<")
        step = max(1, _BLOCK_BYTES // max(1, array[:1].nbytes))
        for first in range(0, len(array), step):
            out.write(np.ascontiguousarray(array[first : first + step], dtype=little).data)
