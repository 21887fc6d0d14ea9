"""Starting an isolated agent's guard, and hearing from it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import duelgym
import duelgym_agents
import duelgym_bench
from duelgym import assets
from duelgym.errors import SpecificationError
from duelgym_bench.isolation.limits import Limits

Wanted = Literal["required", "wanted", "off"]

_PACKAGES = [Path(package.__path__[0]) for package in (duelgym, duelgym_agents, duelgym_bench)]
_BOOT = (
    "import sys; sys.path[:0] = sys.argv[3:]; from duelgym_bench.isolation.guard import main; "
    "main(int(sys.argv[1]), int(sys.argv[2]))"
)
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "USER": "agent",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
}
_PATIENCE = 10.0  # seconds, for a guard to end
_WITHOUT_NAMESPACES = (
    "namespaces ({reason}): the agent sees this machine's processes, has its user's rights to all files, and the number "
    "of its processes is watched but not capped"
)


@dataclass(frozen=True)
class Isolation:
    """How an agent is isolated.

    Attributes:
        code: directories in which its modules are; a custom agent's is not found in the current directory.
        readable: files and directories that it may read besides, such as pretrained weights.
        hidden: what it may not read though it lies among those. ``LLMDuel-v0``'s pool is always hidden, and so is the
            reward model by which that was rated.
        limits: what it may use.
        namespaces: ``"required"`` refuses to start where the kernel lends none, or anything else is missing, as ranked
            runs must; ``"wanted"`` does without, and says what that means; ``"off"`` never asks for any.
    """

    code: tuple[Path, ...] = ()
    readable: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()
    limits: Limits = field(default_factory=Limits)
    namespaces: Wanted = "wanted"


class Guard:
    """A running guard with its agent's process; both end with this object, with :meth:`end`, or with this process.

    Args:
        task: what it runs.

    Attributes:
        wire: the harness's end of the protocol.
    """

    def __init__(self, task: Mapping[str, Any]) -> None:
        self._control, control = socket.socketpair()
        self._heard = b""  # the beginning of a message
        self.wire, wire = socket.socketpair()
        numbers = control.fileno(), wire.fileno()
        with control, wire:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-B", "-u", "-c", _BOOT, *map(str, numbers)),
                    *(str(package.parent) for package in _PACKAGES),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=_ENVIRONMENT,
                pass_fds=numbers,
                start_new_session=True,  # Ctrl-C is the harness's to answer
            )
        self.end = weakref.finalize(self, _end, process, (self.wire, self._control), os.getpid())
        self._control.sendall(json.dumps(task).encode() + b"\n")

    def hang_up(self) -> None:
        """Let it end the agent, and say how that went."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)

    def told(self, seconds: float) -> dict[str, Any]:
        """Return its next message; nothing if there is none in that time."""
        deadline = time.monotonic() + seconds
        try:
            while not self._heard.endswith(b"\n"):
                self._control.settimeout(max(deadline - time.monotonic(), 1e-3))
                part = self._control.recv(1)  # two messages may have come
                if not part:
                    return {}
                self._heard += part
        except OSError:
            return {}
        line, self._heard = self._heard, b""
        return json.loads(line)


def launch(who: str, name: str, arguments: Mapping[str, Any], isolation: Isolation) -> tuple[Guard, tuple[str, ...]]:
    """Start an agent's process; return its guard, and what of the isolation could not be had.

    Raises:
        SpecificationError: if it cannot be started as it should be.
    """
    if sys.platform != "linux":
        raise SpecificationError(f"{who}: agents are isolated on Linux alone, not on {sys.platform}")
    installation = [Path(place) for place in (sys.base_prefix, sys.base_exec_prefix, sys.prefix)]
    readable = [path.absolute() for path in (*installation, *_PACKAGES, *isolation.code, *isolation.readable)]
    for path in readable:
        _check_readable(who, path)
    task = {
        "name": name,
        "arguments": dict(arguments),
        "code": [str(path.absolute()) for path in isolation.code],
        "readable": [str(path) for path in readable],
        "hidden": [str(path.absolute()) for path in (assets.POOL, assets.REWARD_MODEL, *isolation.hidden)],
        "limits": asdict(isolation.limits),
    }
    refusal, seconds = "switched off", isolation.limits.start_seconds
    if isolation.namespaces != "off":
        try:
            guard, missing = _started({**task, "namespaces": True}, seconds)
        except _RefusedError as error:
            refusal, missing = str(error), (f"namespaces ({error})",)
        else:
            if not missing or isolation.namespaces == "wanted":
                return guard, missing
            guard.end()
        if isolation.namespaces == "required":
            raise SpecificationError(f"{who} must be isolated in full; missing here: {missing[0]}")
    try:
        guard, missing = _started({**task, "namespaces": False}, seconds)
    except _RefusedError as error:
        raise SpecificationError(f"{who} cannot be isolated here: {error}") from None
    return guard, (_WITHOUT_NAMESPACES.format(reason=refusal), *missing)


class _RefusedError(Exception):
    pass


def _started(task: Mapping[str, Any], seconds: float) -> tuple[Guard, tuple[str, ...]]:
    guard = Guard(task)
    told = guard.told(seconds)
    if "missing" not in told:
        guard.end()
        raise _RefusedError(told.get("refused", "the guard did not start"))
    return guard, tuple(told["missing"])


def _check_readable(who: str, path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise SpecificationError(f"{who} needs {path}, which cannot be found ({error.strerror})") from None
    needed = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(mode) else 0)
    if os.geteuid() == 0 and mode & needed != needed:  # else the agent has this process's own rights
        raise SpecificationError(f"{who} runs as nobody, who may not read {path}; chmod -R o+rX {path}")


def _end(process: subprocess.Popen[bytes], connections: Sequence[socket.socket], owner: int) -> None:
    if os.getpid() != owner:  # a fork of the harness's process, which has a copy of all this
        return
    for connection in connections:
        connection.close()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
