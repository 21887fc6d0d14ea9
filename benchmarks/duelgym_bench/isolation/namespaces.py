"""A machine of its own for an isolated agent: its own users, files, processes and network, as far as the kernel lends them.

It is entered in two steps. A process that stays outside calls :func:`enter` and forks; the child, process 1 of the new
PID namespace, calls :func:`furnish`. When process 1 ends, for whatever reason, the kernel kills all others in there, and
the mounts are gone with them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from duelgym_bench.isolation import linux

SCRATCH = "/scratch"
_INSIDE = 1000  # the agent's user and group as it sees them: any but 0
_NOBODY = 65534  # whose rights it has outside, where this process is root; else its own
_SYSTEM = (
    *("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/etc/ld.so.cache"),
    *("/dev/null", "/dev/full", "/dev/random", "/dev/urandom"),
    # not /dev/zero, of which memory can be mapped that belongs to no process
    "/sys/devices/system/cpu",  # from which numeric libraries learn what they run on
)
_ELSEWHERE = "/tmp"  # any directory that there is everywhere; the new root is put together on top of it
_SCRATCH_FILES = 4096


def enter() -> int:
    """Give this process user, network and IPC namespaces of its own, and its next children a PID namespace.

    Returns:
        How many processes the kernel counts as the agent's user's before there is an agent: process 1, and this process
        if it lends the user its own rights.

    Raises:
        OSError: if the kernel refuses.
    """
    flags = linux.CLONE_NEWUSER | linux.CLONE_NEWPID | linux.CLONE_NEWNET | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS
    process, (ready, tell) = os.getpid(), os.pipe()
    helper = os.fork()
    if helper == 0:  # from inside, only its own user could be mapped, and root shall become nobody
        status = 1
        try:
            os.close(tell)
            if os.read(ready, 1):
                _map_user(process)
                status = 0
        finally:
            os._exit(status)
    try:
        linux.unshare(flags)
        os.write(tell, b".")
    finally:
        os.close(tell)
        os.close(ready)
        _, status = os.waitpid(helper, 0)
    if status != 0:
        raise PermissionError("the users of a new namespace cannot be set")
    return 2 if os.geteuid() == _INSIDE else 1


def _map_user(process: int) -> None:
    """Let the user inside have the rights of nobody outside or, where this process cannot lend those, its own."""
    directory = Path("/proc") / str(process)
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):  # root only in a namespace that has no nobody
            (directory / "uid_map").write_text(f"{_INSIDE} {_NOBODY} 1")
            (directory / "gid_map").write_text(f"{_INSIDE} {_NOBODY} 1")
            return
    (directory / "uid_map").write_text(f"{_INSIDE} {os.geteuid()} 1")
    (directory / "setgroups").write_text("deny")
    (directory / "gid_map").write_text(f"{_INSIDE} {os.getegid()} 1")


def furnish(readable: Sequence[str], hidden: Sequence[str], scratch_bytes: int) -> int:
    """Give process 1 a file system, go there and give up all rights; return a descriptor of the new ``/proc``.

    There are, read-only: ``readable``, the system's libraries, a few devices, and ``/proc`` of the PID namespace; and,
    in memory, the one writable directory :data:`SCRATCH`, where the process then is.

    Args:
        readable: files and directories, absolute; they keep their names.
        hidden: those among or below them that shall seem empty.
        scratch_bytes: how much the scratch directory holds.

    Raises:
        OSError: if the kernel refuses, or if one of ``readable`` is missing.
    """
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", "/", flags=linux.MS_REC | linux.MS_PRIVATE)
    # opened before the user changes, since the way there may lead through directories that are root's alone
    sources = {place: os.open(place, os.O_PATH) for place in _places(readable)}
    covered = {place: place.is_dir() for place in _seen_at(hidden, sources) if place.exists()}
    if os.geteuid() != _INSIDE:
        os.setgroups([])
        os.setresgid(_INSIDE, _INSIDE, _INSIDE)
        os.setresuid(_INSIDE, _INSIDE, _INSIDE)
    root = Path(_ELSEWHERE)
    linux.mount("none", str(root), "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "size=1m,mode=755")
    for place, source in sources.items():
        target = root / place.relative_to("/")
        _bind(Path(f"/proc/self/fd/{source}"), target)
        os.close(source)
    for place, is_directory in covered.items():
        target = root / place.relative_to("/")
        if is_directory:
            linux.mount("none", str(target), "tmpfs", options="size=4k,mode=555")
        else:
            linux.mount("/dev/null", str(target), flags=linux.MS_BIND)
    for name in ("proc", SCRATCH[1:]):
        (root / name).mkdir()
    linux.mount("proc", str(root / "proc"), "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
    linux.set_read_only(str(root))
    options = f"size={scratch_bytes},nr_inodes={_SCRATCH_FILES},mode=700"
    linux.mount("none", str(root) + SCRATCH, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, options)
    linux.change_root(str(root))
    os.chdir(SCRATCH)
    linux.drop_capabilities()
    return os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)


def _places(readable: Sequence[str]) -> list[Path]:
    """Return what is bound, each under its own name and under that without symlinks; nothing within another of them."""
    places: list[Path] = []
    for place in sorted(_names([*readable, *(name for name in _SYSTEM if Path(name).exists())])):
        if not _within(place, places):
            places.append(place)
    return places


def _seen_at(hidden: Iterable[str], places: Iterable[Path]) -> Iterator[Path]:
    """Yield every name that hidden files have among places that are bound: a place may be there under two names."""
    real = {place: place.resolve() for place in places}
    for path in (Path(name).resolve() for name in hidden):
        yield from (place / path.relative_to(base) for place, base in real.items() if path.is_relative_to(base))


def _names(paths: Iterable[str]) -> set[Path]:
    return {name for path in map(Path, paths) for name in (path.absolute(), path.resolve())}


def _within(place: Path, others: Iterable[Path]) -> bool:
    return any(place.is_relative_to(other) for other in others)


def _bind(source: Path, target: Path) -> None:
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    linux.mount(str(source), str(target), flags=linux.MS_BIND | linux.MS_REC)
