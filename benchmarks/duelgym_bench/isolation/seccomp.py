"""A filter of system calls: what no agent needs is refused by the kernel, with or without namespaces."""

from __future__ import annotations

import errno
import mmap
import os
import platform
import signal
import socket

from duelgym_bench.isolation import linux

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000  # from this number on, x86-64's second table of calls

# name -> numbers on x86-64 and on aarch64
_REFUSED = {
    # the network, and servers on this machine
    "socket": (41, 198),
    # other processes' memory and descriptors
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    # memory that belongs to no process, and that no watcher sees
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "vmsplice": (278, 75),
    # namespaces and mounts, in which there would be rights again
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265),
    # large parts of the kernel of which agents have no need
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "perf_event_open": (298, 241),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
}
# refused unless they are meant for the process itself
_OF_OTHERS = {
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "prlimit64": (302, 261),
}
_CLONE, _CLONE3 = (56, 220), (435, 435)
_MMAP, _SOCKETPAIR, _SIGACTION = (9, 222), (53, 199), (13, 134)
_NEW_NAMESPACE = (
    linux.CLONE_NEWNS
    | linux.CLONE_NEWUTS
    | linux.CLONE_NEWIPC
    | linux.CLONE_NEWUSER
    | linux.CLONE_NEWPID
    | linux.CLONE_NEWNET
)

_SOCKET_TYPE = 15  # of socketpair's second argument; the other bits are flags

_LOAD, _AND, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000

_Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand
_PERMIT: _Instruction = (_RETURN, 0, 0, _ALLOW)


def filter_calls(*, signals: bool) -> None:
    """Refuse from now on, to this process and to all that it starts, what an agent has no need of.

    That is: sockets but for connected pairs; tracing and reading other processes; memory outside of processes; hiding the
    processor time of children; namespaces and mounts; kernel interfaces with a history of holes.

    Args:
        signals: whether other processes may be signalled, as is right where only the agent's own can be seen.

    Raises:
        OSError: if the kernel has no such filters, or the machine is of another kind than x86-64 and aarch64.
    """
    machine = platform.machine()
    if machine not in _AUDIT_ARCH:
        raise OSError(errno.ENOSYS, f"no filter of system calls is written for {machine}")
    linux.install_filter(_program(machine, None if signals else os.getpid()))


def _program(machine: str, only: int | None) -> list[_Instruction]:
    column = list(_AUDIT_ARCH).index(machine)
    program: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, _AUDIT_ARCH[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine == "x86_64":
        program += [(_AT_LEAST, 0, 1, _X32), _refuse(errno.ENOSYS)]
    for numbers in _REFUSED.values():
        program += _on(numbers[column], _refuse(errno.EPERM))
    # what clone3 is asked for lies in memory, where a filter cannot look; without it, libraries use clone
    program += _on(_CLONE3[column], _refuse(errno.ENOSYS))
    program += _on(_CLONE[column], _argument(0), (_ANY_BIT, 0, 1, _NEW_NAMESPACE), _refuse(errno.EPERM), _PERMIT)
    # shared memory without a file stays though no process has it among its resident pages
    shared = (_ANY_BIT, 0, 2, mmap.MAP_ANONYMOUS), (_ANY_BIT, 0, 1, mmap.MAP_SHARED)
    program += _on(_MMAP[column], _argument(3), *shared, _refuse(errno.EPERM), _PERMIT)
    # pairs of other types can be sent from to anybody who has an address
    local = _argument(0), (_EQUAL, 0, 4, socket.AF_UNIX)
    connected = (_EQUAL, 2, 0, socket.SOCK_STREAM), (_EQUAL, 1, 0, socket.SOCK_SEQPACKET)
    kind = _argument(1), (_AND, 0, 0, _SOCKET_TYPE)
    program += _on(_SOCKETPAIR[column], *local, *kind, *connected, _refuse(errno.EPERM), _PERMIT)
    # children that end while SIGCHLD is ignored leave their times to nobody
    of_children = _argument(0), (_EQUAL, 0, 1, signal.SIGCHLD)
    program += _on(_SIGACTION[column], *of_children, _refuse(errno.EPERM), _PERMIT)
    if only is not None:
        itself = (_EQUAL, 2, 0, 0), (_EQUAL, 1, 0, only)
        for numbers in _OF_OTHERS.values():
            program += _on(numbers[column], _argument(0), *itself, _refuse(errno.EPERM), _PERMIT)
    return [*program, _PERMIT]


def _on(number: int, *then: _Instruction) -> list[_Instruction]:
    """Return what is done where the call has a number; it must end in a return."""
    return [(_EQUAL, 0, len(then), number), *then]


def _argument(index: int) -> _Instruction:
    """Return what loads the low half of a call's argument, counted from 0."""
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * index)


def _refuse(error: int) -> _Instruction:
    return (_RETURN, 0, 0, _ERROR | error)
