"""What an agent's process is enclosed in: namespaces of its own or, where the kernel lends none, limits and watching alone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Mapping
from typing import Any, NoReturn, Protocol

from duelgym_bench.isolation import linux, namespaces
from duelgym_bench.isolation.limits import Limits, limit_this_process
from duelgym_bench.isolation.seccomp import filter_calls
from duelgym_bench.isolation.usage import Usage, descendants, usage_in_namespace, usage_of

_WIRE = 3  # the agent's only descriptor besides the standard ones
_LAST = 1 << 20  # above every descriptor
_WITHOUT_FILTER = (
    "a filter of system calls ({reason}): more of the kernel is open to attack and, without namespaces, the network and "
    "its user's processes"
)
_PATIENCE = 5.0  # seconds, for processes to be gone after they were killed


class Enclosure(Protocol):
    """Where one agent's processes are.

    Attributes:
        interval: seconds between two looks at what they use.
        top: the process with which all end.
    """

    interval: float
    top: int

    def start(self, task: Mapping[str, Any], limits: Limits, wire: int, output: int) -> list[str]:
        """Start the agent's process; return what could not be had, in words.

        Args:
            task: what to run; see :func:`duelgym_bench.isolation.launch.launch`.
            limits: of the agent.
            wire: descriptor of its end of the protocol.
            output: descriptor that takes its standard output and error.

        Raises:
            OSError: if there is no such enclosure to be had.
        """
        ...

    def usage(self) -> Usage:
        """Return what its processes use at the moment."""
        ...

    def end(self) -> int:
        """Kill everything that is left and remove its files; return the exit status, 128 + n for signal n."""
        ...


class Namespaces:
    """User, mount, PID, network and IPC namespaces: when process 1 in there is killed, the kernel kills all others."""

    interval = 0.025

    def start(self, task: Mapping[str, Any], limits: Limits, wire: int, output: int) -> list[str]:
        """Enter the namespaces, and start process 1 and the agent's."""
        others = namespaces.enter()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            self.top = os.fork()
            if self.top == 0:
                _be_first(task, limits, wire, output, theirs, others)
            theirs.close()
            refusal, descriptors, _, _ = socket.recv_fds(ours, 1 << 16, 1)
            if not descriptors:
                raise OSError(refusal.decode())
            self.proc = descriptors[0]
            return _told_by_agent(ours)

    def usage(self) -> Usage:
        """Return what all but process 1 use."""
        return usage_in_namespace(self.proc)

    def end(self) -> int:
        """Kill process 1; it is gone when all others are, and the mounts with them."""
        os.kill(self.top, signal.SIGKILL)
        return _exit_status(os.waitpid(self.top, 0)[1])


class Group:
    """The descendants of this process, found by their parents' numbers; and a scratch directory among all others."""

    interval = 0.1

    def start(self, task: Mapping[str, Any], limits: Limits, wire: int, output: int) -> list[str]:
        """Start the agent's process."""
        self.scratch = tempfile.mkdtemp(prefix="duelgym-agent-")
        linux.adopt_orphans()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            self.top = os.fork()
            if self.top == 0:
                os.setsid()
                linux.die_with_parent()
                os.chdir(self.scratch)
                _be_agent(task, limits, wire, output, theirs, None)
            theirs.close()
            return _told_by_agent(ours)

    def usage(self) -> Usage:
        """Return what this process's descendants use."""
        return usage_of(descendants(os.getpid()))

    def end(self) -> int:
        """Kill all descendants, and those that they started meanwhile."""
        status, deadline = 0, time.monotonic() + _PATIENCE
        while (left := descendants(os.getpid())) and time.monotonic() < deadline:
            for process in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                    status = _exit_status(ended[1]) if ended[0] == self.top else status
            time.sleep(0.001)
        shutil.rmtree(self.scratch, ignore_errors=True)
        return status


def _be_first(
    task: Mapping[str, Any], limits: Limits, wire: int, output: int, told: socket.socket, others: int
) -> NoReturn:
    """Be process 1 of the namespaces: furnish them, start the agent's process, and end with it."""
    status = 1
    try:
        os.setsid()  # out of the reach of signals to the group
        try:
            proc = namespaces.furnish(task["readable"], task["hidden"], int(limits.scratch))
        except OSError as error:
            told.send(linux.in_words(error).encode())
            os._exit(status)
        linux.hide_memory()
        linux.die_with_parent()
        socket.send_fds(told, [b"."], [proc])
        agent = os.fork()
        if agent == 0:
            _be_agent(task, limits, wire, output, told, others)
        os.closerange(0, _LAST)
        while True:
            process, ended = os.wait()
            if process == agent:
                status = _exit_status(ended)
                break
    finally:
        os._exit(status)


def _be_agent(
    task: Mapping[str, Any], limits: Limits, wire: int, output: int, told: socket.socket, others: int | None
) -> NoReturn:
    """Be the agent's process: give up what is left, and serve."""
    status = 1
    try:
        linux.gain_no_privileges()
        try:
            filter_calls(signals=task["namespaces"])
            told.send(b".")
        except OSError as error:
            told.send(linux.in_words(error).encode())
        limit_this_process(limits, others=others)
        wire, output = (fcntl.fcntl(descriptor, fcntl.F_DUPFD, _WIRE + 1) for descriptor in (wire, output))
        os.dup2(wire, _WIRE, inheritable=False)
        for standard in (1, 2):
            os.dup2(output, standard)
        os.closerange(_WIRE + 1, _LAST)
        scratch = os.getcwd()  # noqa: PTH109
        os.environ.update(HOME=scratch, TMPDIR=scratch)
        from duelgym_bench.isolation.child import serve

        serve(_WIRE, task)
        status = 0
    finally:
        os._exit(status)


def _told_by_agent(ours: socket.socket) -> list[str]:
    answer = ours.recv(1 << 12)
    return [] if answer in (b".", b"") else [_WITHOUT_FILTER.format(reason=answer.decode())]


def _exit_status(ended: int) -> int:
    code = os.waitstatus_to_exitcode(ended)
    return code if code >= 0 else 128 - code
