"""Append-only compressed lines that survive a kill: one gzip member for everything that is written at once."""

from __future__ import annotations

import errno
import gzip
import math
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from duelgym.errors import DiskFullError, LogError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_STEP_BYTES = 4096


@dataclass(frozen=True)
class Members:
    """The whole members of a file.

    Attributes:
        texts: decompressed text of each member, newline at its end.
        ends: file offset just behind each member.
        torn_bytes: bytes behind the last whole member, left by a write that did not finish.
    """

    texts: tuple[str, ...]
    ends: tuple[int, ...]
    torn_bytes: int


def read_members(path: Path, *, most: float = math.inf) -> Members:
    """Read a log as far as it is whole; a torn end is counted, not repaired.

    Args:
        path: the log.
        most: bytes that it may hold decompressed; little more is decompressed of one that holds more.

    Raises:
        LogError: if the file is missing, holds more than ``most``, or is damaged anywhere but at its end.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise LogError(f"{path}: no such log") from None
    texts: list[str] = []
    ends: list[int] = []
    offset, held = 0, 0
    while offset < len(data):
        inflater, pieces, end = zlib.decompressobj(wbits=31), [], offset
        try:
            while not inflater.eof and end < len(data):  # in small steps, since what follows a member is copied
                pieces.append(inflater.decompress(data[end : end + _STEP_BYTES]))
                end = min(end + _STEP_BYTES, len(data))
                held += len(pieces[-1])
                if held > most:
                    raise LogError(f"{path}: holds more than {most:.0f} bytes decompressed")
            text = b"".join(pieces).decode() if inflater.eof else ""
        except (zlib.error, UnicodeDecodeError) as error:
            raise LogError(f"{path}: damaged after member {len(texts)}, at byte {offset} ({error})") from None
        if not inflater.eof:
            break
        if not text.endswith("\n"):
            raise LogError(f"{path}: member {len(texts)}, at byte {offset}, does not end with a whole line")
        texts.append(text)
        offset = end - len(inflater.unused_data)
        ends.append(offset)
    return Members(tuple(texts), tuple(ends), len(data) - offset)


class MemberLog:
    """Appends members to a file; what is there already must be written again, equal, before anything is added.

    So a run that resumes checks itself: it repeats its questions, the log confirms the answers, and writing goes on
    where the file ends. The torn end that a kill can leave is cut off, and its size kept in ``torn_bytes``.

    Raises:
        LogError: from :meth:`write`, if what is written again differs from what the file holds.
        DiskFullError: from :meth:`write`, if there is no room; what was whole before stays so.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        there = read_members(path) if path.exists() else Members((), (), 0)
        self.torn_bytes = there.torn_bytes
        self._known = there.texts
        self._position = 0
        if self.torn_bytes:
            os.truncate(path, there.ends[-1] if there.ends else 0)
        # Unbuffered: a member reaches the system in one write, so a kill cannot leave half of two.
        self._file = path.open("ab", buffering=0)

    @property
    def pending(self) -> int:
        """How many members the file still holds beyond what has been written (again) or skipped."""
        return max(0, len(self._known) - self._position)

    def skip(self, n: int) -> None:
        """Take the next n members as they stand, without writing them again."""
        if n > self.pending:
            raise LogError(f"{self.path}: holds {self.pending} more members, not {n}; it is older than the checkpoint")
        self._position += n

    def write(self, text: str) -> None:
        """Append one member, or confirm it where the file holds it already."""
        if self._position < len(self._known):
            if self._known[self._position] != text:
                raise LogError(
                    f"{self.path}: repeating the run gives another member {self._position} than the log holds; the agent "
                    "is not deterministic, its state_dict leaves something out, or its code or settings changed: start in a new directory"
                )
        else:
            member = gzip.compress(text.encode(), compresslevel=6, mtime=0)
            try:
                whole = self._file.write(member) == len(member)
            except OSError as error:
                if error.errno not in NO_ROOM:
                    raise
                whole = False
            if not whole:  # another member behind a torn one would be lost
                raise DiskFullError(
                    f"{self.path}: could not be written whole; is the disk full? make room and start again"
                )
        self._position += 1

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()

    def __enter__(self) -> MemberLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
