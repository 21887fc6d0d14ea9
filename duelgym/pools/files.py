"""Files that are hashed as they are written, and directories that appear whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from duelgym.errors import PoolError


def refuse_existing(path: Path) -> None:
    """Raise a PoolError if there is anything at the path, or something other than a directory above it."""
    if path.exists() or path.is_symlink():
        raise PoolError(f"{path} exists already; pools are never overwritten: remove it or name another directory")
    above = next((parent for parent in path.absolute().parents if parent.exists()), None)
    if above is not None and not above.is_dir():
        raise PoolError(f"{above} is not a directory; name another place for the pool")


class HashedFile:
    """A file being written, with its size and sha256 so far."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        self.bytes = 0

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes."""
        self._file.write(data)
        self._sha256.update(data)
        self.bytes += memoryview(data).nbytes

    def entry(self) -> dict[str, Any]:
        """Return what the manifest says of a file."""
        return {"bytes": self.bytes, "sha256": self._sha256.hexdigest()}


@contextlib.contextmanager
def hashed_file(path: Path) -> Iterator[HashedFile]:
    """Open a file for writing; it is on the disk when the context ends."""
    with path.open("wb") as file:
        yield HashedFile(file)
        file.flush()
        os.fsync(file.fileno())


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears under its name whole or not at all."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with hashed_file(partial) as out:
            out.write(data)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


@contextlib.contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Give a hidden directory beside ``path``; rename it to ``path`` at the end, or remove it on any failure."""
    directory = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    directory.mkdir(parents=True)
    try:
        yield directory
        sync_directory(directory)
        refuse_existing(path)
        directory.rename(path)
        sync_directory(path.parent)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise


def sync_directory(path: Path) -> None:
    """Wait until the names in a directory are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
