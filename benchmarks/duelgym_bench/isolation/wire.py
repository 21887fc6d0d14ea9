"""Messages between harness and isolated agent: a short JSON header, then raw arrays. Nothing in them is ever executed.

A message is the header's length (4 bytes, little-endian), the header, and the arrays that it announces as
``"arrays": {name: [type, shape]}``, one behind the other in C order. Both ends speak it with the same code, but only
the agent's end can rely on that: whatever is read is checked as if it had been written to do harm, before memory is
set aside for it.
"""

from __future__ import annotations

import json
import math
import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

MAX_HEADER = 1 << 16
MAX_ARRAYS, MAX_AXES, MAX_NAME = 1024, 8, 256
_TYPES = frozenset(
    np.dtype(code).str for code in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?")
)
_LENGTH = struct.Struct("<I")


class WireError(Exception):
    """What was read is no message, or what should be sent cannot be one."""


@dataclass(frozen=True)
class Announced:
    """An array that a header announces.

    Attributes:
        dtype: one of numpy's plain numeric types, or bool.
        shape: of at most eight axes.
    """

    dtype: np.dtype
    shape: tuple[int, ...]

    @property
    def bound(self) -> int:
        """Return a size in bytes that the array does not exceed; an axis of length 0 must not hide one that numpy refuses."""
        return math.prod(max(length, 1) for length in self.shape) * self.dtype.itemsize


class Channel:
    """One end of a connected stream socket.

    Deadlines are on the clock of ``time.monotonic``; None waits for ever. At a deadline TimeoutError is raised, at the
    end of the stream EOFError, and any other OSError where the other end is gone.

    Args:
        connection: the socket.
        max_bytes: of the arrays of one message that is read.
    """

    def __init__(self, connection: socket.socket, max_bytes: int) -> None:
        self.connection, self.max_bytes = connection, max_bytes

    def send(self, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray], deadline: float | None = None) -> None:
        """Write one message; what cannot be sent is refused before anything is written.

        Raises:
            WireError: if the header is too long or an array holds anything but numbers and bool.
        """
        ready = {name: np.asarray(array, order="C") for name, array in arrays.items()}
        for name, array in ready.items():
            if array.dtype.str not in _TYPES:
                raise WireError(f"array {name!r} is of type {array.dtype}; only numbers and bool can be sent")
        announced = {name: [array.dtype.str, array.shape] for name, array in ready.items()}
        text = json.dumps({**header, "arrays": announced}, allow_nan=False).encode()
        if len(text) > MAX_HEADER:
            raise WireError(f"a header of {len(text)} bytes cannot be sent; {MAX_HEADER} can")
        parts: list[bytes | memoryview] = [_LENGTH.pack(len(text)) + text, *map(_bytes_of, ready.values())]
        for part in parts:
            self.connection.settimeout(_left(deadline))
            self.connection.sendall(part)

    def receive_header(self, deadline: float | None = None) -> tuple[dict[str, Any], dict[str, Announced]]:
        """Read a header; return its other fields, and the arrays that follow it.

        Raises:
            WireError: if it is no header, or announces too much.
        """
        (length,) = _LENGTH.unpack(self._read(memoryview(bytearray(_LENGTH.size)), deadline))
        if length > MAX_HEADER:
            raise WireError(f"a header of {length} bytes; at most {MAX_HEADER} are allowed")
        header = _parsed(bytes(self._read(memoryview(bytearray(length)), deadline)))
        announced = _announced(header.pop("arrays", None))
        total = sum(each.bound for each in announced.values())
        if total > self.max_bytes:
            raise WireError(f"arrays of {total} bytes; at most {self.max_bytes} are allowed")
        return header, announced

    def receive_arrays(
        self, announced: Mapping[str, Announced], deadline: float | None = None
    ) -> dict[str, np.ndarray]:
        """Read the arrays behind a header into memory of their own.

        Raises:
            WireError: if a bool is neither true nor false.
        """
        arrays = {}
        for name, each in announced.items():
            array = np.empty(each.shape, each.dtype)
            self._read(_bytes_of(array), deadline)
            if each.dtype.kind == "b" and array.view(np.uint8).max(initial=0) > 1:
                raise WireError(f"array {name!r} of bool holds other bytes than 0 and 1")
            arrays[name] = array
        return arrays

    def _read(self, buffer: memoryview, deadline: float | None) -> memoryview:
        done = 0
        while done < len(buffer):
            self.connection.settimeout(_left(deadline))
            count = self.connection.recv_into(buffer[done:])
            if count == 0:
                raise EOFError("the stream ended")
            done += count
        return buffer


def _bytes_of(array: np.ndarray) -> memoryview:
    return memoryview(array.reshape(-1).view(np.uint8).data)


def _left(deadline: float | None) -> float | None:
    """Return the seconds up to a deadline; never 0, at which a socket would not wait for what is on its way."""
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text.decode("ascii"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise WireError("a header that is not plain JSON") from None
    if not isinstance(header, dict):
        raise WireError("a header that is not a JSON object")
    return header


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _announced(given: object) -> dict[str, Announced]:
    if not isinstance(given, dict) or len(given) > MAX_ARRAYS:
        raise WireError(f"a header without a list of at most {MAX_ARRAYS} arrays")
    announced = {}
    for name, each in given.items():
        kind, shape = each if isinstance(each, list) and len(each) == 2 else (None, None)
        if (
            len(name) > MAX_NAME
            or not (isinstance(kind, str) and kind in _TYPES)
            or not (isinstance(shape, list) and len(shape) <= MAX_AXES)
            or not all(type(length) is int and 0 <= length < 1 << 31 for length in shape)
        ):
            raise WireError("an array whose name, type or shape is not allowed")
        announced[name] = Announced(np.dtype(kind), tuple(shape))
    return announced
