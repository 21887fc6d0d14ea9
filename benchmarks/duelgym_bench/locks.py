"""Locks that keep two commands from writing one directory of runs, and two workers from writing one run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

from duelgym.errors import LogError

LOCK = ".lock"


@contextlib.contextmanager
def alone(out: Path) -> Iterator[None]:
    """Hold a directory of runs, which is made if need be, so that no second command changes its plan or writes its logs.

    Raises:
        LogError: if another process holds it.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOCK).open("a+") as file:
        if not locked(file.fileno()):
            file.seek(0)
            holder = " ".join(file.read().split()[:2])
            raise LogError(
                f"{out}: another duelgym-bench run is writing here ({holder}); wait for it, or give a new --out"
            )
        file.truncate(0)
        file.write(f"{socket.gethostname()} {os.getpid()} {uuid.uuid4().hex}\n")
        file.flush()
        yield


def token_of(out: Path) -> str:
    """Return what the lock file of a directory says; it is another text every time that somebody holds the directory."""
    return (out / LOCK).read_text()


def is_shared(out: Path, token: str) -> bool:
    """Return whether this process, on whichever machine, sees the directory that the one with the token holds.

    It must see the token in the lock file, and must not get the lock: then neither do two workers get one run's.
    """
    try:
        with (out / LOCK).open("r+") as file:
            return file.read() == token and not locked(file.fileno())
    except OSError:
        return False


def is_unused(out: Path) -> bool:
    """Return whether a directory does not exist, or holds nothing but a lock that was taken before anything was written."""
    return not out.exists() or all(path.name == LOCK for path in out.iterdir())


def locked(descriptor: int) -> bool:
    """Take the lock of an open file, which goes when the file is closed or its process ends; return whether it was free."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems know no locks
        pass
    return True
