"""The standard output of a command that nobody reads any more."""

from __future__ import annotations

import os
import select
import sys


def reader_gone() -> bool:
    """Return whether nobody reads the standard output any more (``| head``); then what is still to be written is dropped."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), select.POLLOUT)
    if not any(event & select.POLLERR for _, event in poll.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more at its end
    return True
