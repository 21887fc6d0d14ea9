"""Agents that the tests of isolation start in processes of their own: a good one, and what strangers might send."""

import asyncio
import contextlib
import ctypes
import fcntl
import mmap
import os
import signal
import socket
import threading
import time
import weakref
import zlib
from pathlib import Path
from typing import ClassVar

import numpy as np

MB = 1 << 20


class Taste:
    """The ten lines of the README, with a memory that assessing changes."""

    alive: ClassVar = weakref.WeakSet()

    def __init__(self, *, candidate_dim, **rest):
        self.taste, self.asked = np.zeros(candidate_dim), 0
        self.alive.add(self)

    def __deepcopy__(self, memo):
        twin = Taste(candidate_dim=len(self.taste))
        twin.taste, twin.asked = self.taste.copy(), self.asked
        return twin

    def select_pairs(self, contexts):
        return np.argsort(-(contexts.candidates @ self.taste), axis=1)[:, :2]

    def observe(self, contexts, pairs, preferences):
        first, second = (contexts.candidates[np.arange(len(pairs)), side] for side in pairs.T)
        self.taste += np.array([1, -1, 0, 0])[preferences] @ (first - second)

    def recommend(self, contexts):
        self.asked += 1
        return np.argmax(contexts.candidates @ self.taste, axis=1)

    def counters(self):
        return {"asked": self.asked, "alive": len(self.alive)}


class Reader(Taste):
    """Reports a checksum of the texts that it was shown."""

    needs_texts = True
    seen = 0

    def observe(self, contexts, pairs, preferences):
        self.seen = zlib.crc32(repr((contexts.prompt_texts, contexts.candidate_texts)).encode())

    def counters(self):
        return {"seen": self.seen}


class Hostile:
    """Does one thing when it is asked for pairs; its processes hold a lock as long as any of them lives."""

    def __init__(self, *, trick, n_candidates, **rest):
        self.trick, self.n_candidates, self.kept = trick, n_candidates, []
        self.lock = (Path(__file__).parent / "lock").open()
        fcntl.flock(self.lock, fcntl.LOCK_SH)

    def select_pairs(self, contexts):
        pairs = getattr(self, self.trick)()
        return np.zeros((len(contexts), 2), dtype=int) if pairs is None else pairs

    def observe(self, contexts, pairs, preferences):
        pass

    def recommend(self, contexts):
        return np.zeros(len(contexts), dtype=int)

    def sample_utilities(self, contexts, n_samples, rng):
        return np.full((n_samples, *contexts.candidates.shape[:2]), np.nan)

    def counters(self):
        return {"\x1b[31mred": 1}

    def state_dict(self):
        return {"weights": np.array([{"an": "object"}])}

    def endless_loop(self):
        while True:
            pass

    def much_memory(self):
        self.kept.append(np.ones(8192 * MB // 8))

    def memory_of_several(self):
        for _ in range(2):
            if os.fork() == 0:
                self.kept.append(np.ones(160 * MB // 8))
                time.sleep(30)
                os._exit(0)
        time.sleep(30)

    def fork_bomb(self):
        end = time.monotonic() + 10  # should nothing else stop it
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                os.fork()

    def many_sleepers(self):
        for _ in range(40):
            if os.fork() == 0:
                time.sleep(30)
                os._exit(0)
        time.sleep(30)

    def orphan_and_leave(self):
        if os.fork() == 0:
            os.setsid()
            time.sleep(30)
        os._exit(7)

    def many_threads(self):
        try:
            for _ in range(100):
                threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
        finally:
            time.sleep(0.2)  # time enough to be seen, if the kernel let through one more than is allowed

    def busy_orphans(self):
        """Compute for ever, in pairs of processes whose parent ends at once."""
        while True:
            reader, writer = os.pipe()
            if os.fork() == 0:
                if os.fork() == 0 or os.fork() == 0:
                    while time.process_time() < 0.3:
                        pass
                os._exit(0)
            os.wait()
            os.close(writer)
            os.read(reader, 1)  # returns when both have ended
            os.close(reader)

    def killed(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def crash(self):
        ctypes.string_at(0)

    def exits_255(self):
        os._exit(255)

    def garbage(self):
        os.write(3, b"\xff" * 100)
        time.sleep(30)

    def lies_about_size(self):
        header = b'{"arrays": {"pairs": ["<i8", [2000000000, 2]]}}'
        os.write(3, len(header).to_bytes(4, "little") + header)
        time.sleep(30)

    def another_name(self):
        header = b'{"arrays": {"other": ["<i8", [3, 2]]}}'
        os.write(3, len(header).to_bytes(4, "little") + header + bytes(48))
        time.sleep(30)

    def drips(self):
        os.write(3, (1000).to_bytes(4, "little"))
        while True:
            os.write(3, b" ")
            time.sleep(0.3)

    def hangs_up(self):
        os.close(3)
        time.sleep(30)

    def three_columns(self):
        return np.zeros((3, 3), dtype=int)

    def fractions(self):
        return np.full((3, 2), 0.5)

    def uneven(self):
        return [[0], [0, 1]]

    def objects(self):
        return np.array([[object()] * 2] * 3)

    def out_of_range(self):
        return np.full((3, 2), self.n_candidates)

    def overflowing(self):
        return np.full((3, 2), 2**64 - 1, dtype=np.uint64)

    def flood(self):
        for _ in range(500):
            os.write(1, b"spam " * 20000)
        os.write(2, b"\x1b[31mthe end")
        raise ValueError("\x1b[2J\nit was I")

    def where(self):
        raise ValueError(Path.cwd())

    def large_file(self):
        with Path("large").open("wb") as file:
            file.write(bytes(2 * MB))

    def many_files(self):
        for number in range(8):
            Path(str(number)).write_bytes(bytes(MB // 2))


class Probe(Taste):
    """Tries what it must not be able to do; a counter is 1 where it could."""

    def __init__(self, *, address, name, secret, hidden, pool, model, harness, outside, **rest):
        super().__init__(**rest)
        self.could = {
            what: self.can(attempt)
            for what, attempt in {
                "find a descriptor": lambda: os.fstat(4),
                "work in scratch": lambda: Path("notes").write_text("x"),
                "compute": lambda: np.linalg.svd(np.eye(3)),
                "wait for events": lambda: asyncio.run(asyncio.sleep(0)),
                "talk to itself": lambda: self.send(socket.SOCK_SEQPACKET, name),  # the name is ignored
                "connect": lambda: socket.create_connection(tuple(address), timeout=1),
                "send": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", tuple(address)),
                "use local sockets": lambda: socket.socket(socket.AF_UNIX),
                "send to a name": lambda: self.send(socket.SOCK_DGRAM, name),
                "send to a name by another type": lambda: self.send(socket.SOCK_RAW, name),
                "change its code": lambda: os.open(__file__, os.O_APPEND | os.O_WRONLY),
                "write outside": lambda: Path(outside).write_text("x"),
                "read outside": lambda: Path(secret).read_text(),
                "read what is hidden": lambda: Path(hidden).read_text(),
                "read the pool": lambda: next(Path(pool).iterdir()),
                "read the reward model": lambda: next(Path(model).iterdir()),
                "read passwords": lambda: Path("/etc/passwd").read_text(),
                "see the harness": lambda: Path(f"/proc/{harness}/cmdline").read_bytes(),
                "read the harness's memory": lambda: os.open(f"/proc/{harness}/mem", os.O_RDONLY),
                "read process 1": lambda: Path("/proc/1/environ").read_text(),
                "signal the harness": lambda: os.kill(harness, 0),
                "signal everybody": lambda: os.kill(-1, 0),
                "set the kernel": lambda: Path("/proc/sys/kernel/hostname").write_text("mine"),
                "find a variable": lambda: os.environ["DUELGYM_TEST_SECRET"],
                "be root": lambda: [1][os.getuid()],
                "hide memory": lambda: os.memfd_create("hidden"),
                "hide memory by sharing it": lambda: mmap.mmap(-1, MB),
                "hide memory by a device": lambda: mmap.mmap(os.open("/dev/zero", os.O_RDWR), MB),
                "hide memory in a pipe": self.splice,
                "hide memory in semaphores": lambda: self.called("semctl", self.called("semget", 0, 1, 0o600), 0, 0),
                "hide times of children": lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
                "make namespaces": lambda: self.called("unshare", 0x10000000),
                "make namespaces by clone": self.clone,
                "trace": lambda: self.called("ptrace", 0x4206, os.getppid(), 0, 0),  # which does not stop it
            }.items()
        }

    def counters(self):
        return self.could

    @staticmethod
    def can(attempt):
        try:
            attempt()
        except (OSError, LookupError, StopIteration):
            return 0
        return 1

    @staticmethod
    def called(name, *arguments):
        answer = getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments)
        if answer == -1:
            raise OSError(ctypes.get_errno(), name)
        return answer

    @staticmethod
    def send(kind, name):
        one, other = socket.socketpair(socket.AF_UNIX, kind)
        with one, other:
            one.sendto(b"x", name.encode())

    def splice(self):
        shown = ctypes.create_string_buffer(1)
        self.called("vmsplice", os.pipe()[1], (ctypes.c_size_t * 2)(ctypes.addressof(shown), 1), 1, 0)

    def clone(self):
        flags, number = 0x10000000 | signal.SIGCHLD, {"x86_64": 56, "aarch64": 220}[os.uname().machine]
        child = ctypes.CDLL(None).syscall(number, flags, 0, 0, 0, 0)
        if child == 0:
            os._exit(0)
        if child == -1:
            raise OSError
