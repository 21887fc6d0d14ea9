"""What an agent's processes use together, as the kernel counts it, and whether that is allowed."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from duelgym_bench.isolation.limits import MB, Limits

_TICKS = os.sysconf("SC_CLK_TCK")
_PARENT, _TIMES, _TIMES_OF_CHILDREN, _THREADS = 1, slice(11, 15), slice(13, 15), 17  # in stat, behind the name
_HELD = frozenset((b"VmRSS:", b"VmPTE:", b"VmSwap:", b"HugetlbPages:"))  # in status, in kB


@dataclass(frozen=True)
class Usage:
    """What some processes use together.

    Attributes:
        threads: of all of them; a process has at least one.
        memory: bytes that are resident, swapped out or huge pages, and page tables; what several of them share counts
            for each.
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
    processes = dict(_all_processes(proc))
    orphans = _seconds(processes.pop(1, []), _TIMES_OF_CHILDREN)  # their parent when they end is process 1
    used = _total(proc, processes.items())
    return replace(used, cpu_seconds=used.cpu_seconds + orphans)


def usage_of(processes: Iterable[int]) -> Usage:
    """Return what some processes use; those that have ended use nothing."""
    proc = os.open("/proc", os.O_RDONLY)
    try:
        return _total(proc, [(process, fields) for process in processes if (fields := _fields(proc, process))])
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
        if name.isdigit() and (fields := _fields(proc, int(name))):
            yield int(name), fields


def _total(proc: int, processes: Collection[tuple[int, Sequence[bytes]]]) -> Usage:
    return Usage(
        threads=sum(int(fields[_THREADS]) for _, fields in processes),
        memory=sum(_memory(proc, process) for process, _ in processes),
        cpu_seconds=sum(_seconds(fields, _TIMES) for _, fields in processes),
    )


def _fields(proc: int, process: int) -> list[bytes]:
    return _content(proc, f"{process}/stat").rpartition(b")")[2].split()


def _seconds(fields: Sequence[bytes], times: slice) -> float:
    return sum(map(int, fields[times])) / _TICKS


def _memory(proc: int, process: int) -> int:
    """Return what a process holds; where its first thread has ended before others, only those are said to hold anything."""
    return _held(proc, f"{process}") or max((_held(proc, thread) for thread in _threads(proc, process)), default=0)


def _held(proc: int, thread: str) -> int:
    lines = (line.split() for line in _content(proc, f"{thread}/status").splitlines())
    return sum(int(words[1]) << 10 for words in lines if words and words[0] in _HELD)


def _threads(proc: int, process: int) -> list[str]:
    try:
        directory = os.open(f"{process}/task", os.O_RDONLY, dir_fd=proc)
    except OSError:  # it has ended
        return []
    try:
        return [f"{process}/task/{name}" for name in os.listdir(directory)]  # noqa: PTH208
    except OSError:
        return []
    finally:
        os.close(directory)


def _content(proc: int, path: str) -> bytes:
    """Return what a file of a process says; nothing if that has ended."""
    try:
        file = os.open(path, os.O_RDONLY, dir_fd=proc)
    except OSError:
        return b""
    try:
        return os.read(file, 1 << 16)
    except OSError:
        return b""
    finally:
        os.close(file)
