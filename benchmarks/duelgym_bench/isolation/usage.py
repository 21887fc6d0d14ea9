"""What an agent's processes use together, as the kernel counts it, and whether that is allowed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from duelgym_bench.isolation.limits import MB, Limits

_TICKS, _PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
_PARENT, _TIMES, _THREADS, _RESIDENT = 1, slice(11, 15), 17, 21  # in /proc/PID/stat, behind the command's name


@dataclass(frozen=True)
class Usage:
    """What some processes use together.

    Attributes:
        threads: of all of them; a process has at least one.
        memory: resident bytes; pages that several of them share count for each.
        cpu_seconds: processor time, that of ended children included.
    """

    threads: int
    memory: int
    cpu_seconds: float

    def breach(self, limits: Limits) -> str | None:
        """Return what is used beyond the limits, in words; None if nothing is."""
        if self.threads > limits.processes:
            return f"ran {self.threads} processes and threads; {limits.processes} are allowed"
        if self.memory > limits.memory:
            return f"held {self.memory // MB} MB of memory; {limits.memory // MB} are allowed"
        if self.cpu_seconds > limits.cpu_seconds:
            return f"used {self.cpu_seconds:.1f} s of processor time; {limits.cpu_seconds:g} are allowed"
        return None


def usage_in_namespace(proc: int) -> Usage:
    """Return what a PID namespace uses apart from its process 1, given a descriptor of its ``/proc``."""
    return _total(fields for process, fields in _all_processes(proc) if process != 1)


def usage_of(processes: Iterable[int]) -> Usage:
    """Return what some processes use; those that have ended use nothing."""
    proc = os.open("/proc", os.O_RDONLY)
    try:
        return _total(fields for process in processes if (fields := _fields(proc, process)) is not None)
    finally:
        os.close(proc)


def descendants(ancestor: int) -> list[int]:
    """Return the children of a process, their children, and so on."""
    proc = os.open("/proc", os.O_RDONLY)
    try:
        parents = {process: int(fields[_PARENT]) for process, fields in _all_processes(proc)}
    finally:
        os.close(proc)
    found, new = [], [ancestor]
    while new:
        new = [process for process, parent in parents.items() if parent in new]
        found += new
    return found


def _all_processes(proc: int) -> Iterator[tuple[int, list[bytes]]]:
    for name in os.listdir(proc):
        if name.isdigit() and (fields := _fields(proc, int(name))) is not None:
            yield int(name), fields


def _fields(proc: int, process: int) -> list[bytes] | None:
    try:
        file = os.open(f"{process}/stat", os.O_RDONLY, dir_fd=proc)
    except OSError:  # it has ended
        return None
    try:
        return os.read(file, 4096).rpartition(b")")[2].split()
    except OSError:
        return None
    finally:
        os.close(file)


def _total(stats: Iterable[list[bytes]]) -> Usage:
    threads = pages = ticks = 0
    for fields in stats:
        threads += int(fields[_THREADS])
        pages += int(fields[_RESIDENT])
        ticks += sum(map(int, fields[_TIMES]))
    return Usage(threads, pages * _PAGE, ticks / _TICKS)
