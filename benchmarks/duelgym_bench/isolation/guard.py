"""The process that starts an agent's, watches it from outside, and ends it together with all that it has started.

:mod:`duelgym_bench.isolation.launch` starts it afresh, without the harness's memory, files and variables, and it loads
little more than Python itself. Over its control socket it gets one line, what to run, and sends two: that the agent's
process is there, and how it ended. It ends the agent when a limit is broken, and when the control socket closes: with the
harness, however that ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import time
from typing import Any

from duelgym_bench.isolation.enclosure import Enclosure, Group, Namespaces
from duelgym_bench.isolation.limits import Limits
from duelgym_bench.isolation.linux import in_words

_DRAINED = 1 << 20


def main(control: int, wire: int) -> None:
    """Run one agent.

    Args:
        control: descriptor of the control socket.
        wire: descriptor of the agent's end of the protocol.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # where a harness has it ignored, no child could be waited for
    with socket.socket(fileno=control) as connection, connection.makefile("rwb") as lines:
        task = json.loads(lines.readline())
        limits = Limits(**task["limits"])
        reader, writer = os.pipe()
        enclosure: Enclosure = Namespaces() if task["namespaces"] else Group()
        try:
            missing = enclosure.start(task, limits, wire, writer)
        except OSError as error:
            _tell(lines, refused=in_words(error))
            return
        os.close(wire)
        os.close(writer)
        _tell(lines, missing=missing)
        output = _Tail(reader, limits.output)
        reason, ended = _watch(connection, output, enclosure, limits)
        status = enclosure.end()
        output.drain()
        _tell(lines, reason=reason, ended=ended, status=status, output=output.text, written=output.written)


def _tell(lines: Any, **message: object) -> None:
    with contextlib.suppress(OSError):  # the harness may have gone
        lines.write(json.dumps(message).encode() + b"\n")
        lines.flush()


class _Tail:
    """The last bytes of what the agent writes to its standard output and error; the rest is read and forgotten."""

    def __init__(self, reader: int, kept: int) -> None:
        os.set_blocking(reader, False)
        self.reader, self.kept, self.bytes, self.written = reader, kept, b"", 0

    def read(self) -> int:
        try:
            new = os.read(self.reader, 1 << 16)
        except BlockingIOError:
            return 0
        self.bytes = (self.bytes + new)[-self.kept :]
        self.written += len(new)
        return len(new)

    def drain(self) -> None:
        left = _DRAINED
        while left > 0 and (count := self.read()):
            left -= count

    @property
    def text(self) -> str:
        return self.bytes.decode(errors="replace")


def _watch(control: socket.socket, output: _Tail, enclosure: Enclosure, limits: Limits) -> tuple[str | None, bool]:
    """Return when the agent's process has ended or must: why it must, or None; and whether it has."""
    ended = os.pidfd_open(enclosure.top)
    poll = select.poll()
    for descriptor in (control.fileno(), output.reader, ended):
        poll.register(descriptor, select.POLLIN)
    now = start = time.monotonic()
    look = now
    try:
        while True:
            ready = {descriptor for descriptor, _ in poll.poll(max(0, 1000 * (look - now)))}
            if output.reader in ready and not output.read():
                poll.unregister(output.reader)  # closed by every process that could write
            if control.fileno() in ready or ended in ready:
                return None, ended in ready
            now = time.monotonic()
            if now >= look:
                if now - start > limits.run_seconds:
                    return f"ran for longer than {limits.run_seconds:g} s", False
                if (breach := enclosure.usage().breach(limits)) is not None:
                    return breach, False
                look = time.monotonic() + enclosure.interval
    finally:
        os.close(ended)
