"""How much an isolated agent may use."""

from __future__ import annotations

import math
import resource
from dataclasses import dataclass, fields

MB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What an isolated agent may use; going over any of these ends its process and its run, and nobody else's.

    Attributes:
        start_seconds: wall-clock time for importing and building the agent.
        call_seconds: wall-clock time of one call, with the transfer of its arguments.
        run_seconds: wall-clock time from start to end, time between calls included.
        cpu_seconds: processor time of all its processes together.
        memory: bytes of all its processes together, resident or swapped out, with their page tables; and the data
            segment of each of them, so that one allocation beyond it fails at once instead of being noticed when it is
            used. Files in scratch come on top.
        processes: processes and threads at a time.
        scratch: bytes that its scratch directory holds, in 4 096 files at most.
        file: bytes of one file.
        open_files: file descriptors of each process.
        message: bytes of arrays in one answer, such as a saved state.
        output: bytes of standard output and error that are kept, the last ones.
    """

    start_seconds: float = 120.0
    call_seconds: float = 60.0
    run_seconds: float = 6 * 3600.0
    cpu_seconds: float = 6 * 3600.0
    memory: int = 4096 * MB
    processes: int = 64
    scratch: int = 256 * MB
    file: int = 64 * MB
    open_files: int = 256
    message: int = 256 * MB
    output: int = 4096

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
                from duelgym.errors import SpecificationError  # the guard, which is to stay small, has no need of it

                raise SpecificationError(f"limit {field.name} is {value!r}; it must be a number above 0")


def limit_this_process(limits: Limits, *, others: int | None) -> None:
    """Set the limits that the kernel keeps for each process; they are inherited, and cannot be raised again.

    Args:
        limits: those to set.
        others: how many processes count as this one's user's apart from it and its descendants; None if that is not
            known, and the number of processes cannot be limited.
    """
    kinds = [
        (resource.RLIMIT_DATA, limits.memory),
        (resource.RLIMIT_CPU, math.ceil(limits.cpu_seconds) + 1),
        (resource.RLIMIT_FSIZE, limits.file),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ]
    if others is not None:
        kinds.append((resource.RLIMIT_NPROC, limits.processes + others))
    for kind, value in kinds:
        _, hard = resource.getrlimit(kind)
        value = int(value if hard == resource.RLIM_INFINITY else min(value, hard))
        resource.setrlimit(kind, (value, value))
