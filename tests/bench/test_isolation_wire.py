"""What crosses between harness and isolated agent, and what is counted of it: every byte doubted."""

import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from duelgym.errors import SpecificationError
from duelgym_bench.isolation.limits import MB, Limits
from duelgym_bench.isolation.usage import Usage, descendants, usage_in_namespace, usage_of
from duelgym_bench.isolation.wire import MAX_HEADER, Channel, WireError

TYPES = st.sampled_from(["<f2", "<f4", "<f8", "|i1", "<i2", "<i4", "<i8", "|u1", "<u2", "<u4", "<u8", "|b1"])
ARRAYS = TYPES.flatmap(lambda kind: arrays_of.arrays(kind, arrays_of.array_shapes(min_dims=0, min_side=0)))
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def received(sent, max_bytes=1 << 20):
    """Return what is read where some bytes were sent and nothing follows."""
    here, there = socket.socketpair()
    with here, there:
        there.sendall(sent)
        there.close()
        channel = Channel(here, max_bytes)
        header, announced = channel.receive_header()
        return header, channel.receive_arrays(announced)


def message(header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<I", len(text)) + text + body


@settings(max_examples=40)
@given(st.dictionaries(st.text(max_size=20), ARRAYS, max_size=4), st.dictionaries(st.text(), st.integers(), max_size=3))
def test_what_is_sent_arrives(arrays, fields):
    fields.pop("arrays", None)
    here, there = socket.socketpair()
    with here, there:
        Channel(here, 1 << 20).send(fields, arrays)
        channel = Channel(there, 1 << 20)
        header, announced = channel.receive_header()
        got = channel.receive_arrays(announced)
    assert header == fields and list(got) == list(arrays)
    for name, array in arrays.items():
        assert got[name].dtype == array.dtype and got[name].shape == array.shape
        assert got[name].tobytes() == array.tobytes() and got[name].flags.owndata and got[name].flags.writeable


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_be_refused(sent):
    with pytest.raises((WireError, EOFError)):
        received(sent)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=8))
def test_no_header_does_anything_but_be_refused(value):
    with pytest.raises((WireError, EOFError)):
        received(message({"arrays": {"a": [value]}}, bytes(100)))
    try:
        _, arrays = received(message({"arrays": {"a": ["<f8", value]}}))
    except (WireError, EOFError):
        return
    assert list(arrays["a"].shape) == value and 0 in value  # an empty array, which no bytes need to follow


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (struct.pack("<I", MAX_HEADER + 1), "a header of 65537 bytes; at most 65536 are allowed"),
        (message(b"[" * 50_000), "not plain JSON"),
        (message(b'{"a": NaN}'), "not plain JSON"),
        (message(b'{"a": ' + b"9" * 5000 + b"}"), "not plain JSON"),
        (message(b'{"a": "\xc3\xa9"}'), "not plain JSON"),
        (message([]), "not a JSON object"),
        (message({}), "without a list of at most 1024 arrays"),
        (message({"arrays": {str(k): ["|u1", []] for k in range(1025)}}), "without a list of at most 1024 arrays"),
        (message({"arrays": {"a": ["|O", [1]]}}), "not allowed"),
        (message({"arrays": {"a": [">f8", [1]]}}), "not allowed"),
        (message({"arrays": {"a": ["<f8", [-1]]}}), "not allowed"),
        (message({"arrays": {"a": ["<f8", [True]]}}), "not allowed"),
        (message({"arrays": {"a": ["<f8", [1.0]]}}), "not allowed"),
        (message({"arrays": {"a": ["<f8", [1] * 9]}}), "not allowed"),
        (message({"arrays": {"a" * 257: ["<f8", [1]]}}), "not allowed"),
        (message({"arrays": {"a": ["<f8", [2**31 - 1] * 8]}}), "arrays of [0-9]+ bytes; at most 1048576 are allowed"),
        (message({"arrays": {"a": ["<f8", [2**31 - 1, 2**31 - 1, 0]]}}), "at most 1048576 are allowed"),
        (message({"arrays": {name: ["|u1", [600_000]] for name in "ab"}}), "arrays of 1200000 bytes"),
        (message({"arrays": {"a": ["|b1", [2]]}}, b"\x00\x02"), "bool holds other bytes than 0 and 1"),
    ],
)
def test_harmful_messages_are_refused(sent, reason):
    with pytest.raises(WireError, match=reason):
        received(sent)


def test_what_cannot_be_sent_is_refused_before_anything_is():
    here, there = socket.socketpair()
    with here, there:
        channel = Channel(here, 1)
        with pytest.raises(WireError, match="'a' is of type object"):
            channel.send({}, {"b": np.zeros(1), "a": np.array([{}])})
        with pytest.raises(WireError, match="a header of [0-9]+ bytes cannot be sent; 65536 can"):
            channel.send({"long": "x" * MAX_HEADER}, {})
        there.setblocking(False)
        with pytest.raises(BlockingIOError):
            there.recv(1)


def test_a_deadline_is_one_for_the_whole_message():
    here, there = socket.socketpair()
    with here, there:
        start = time.monotonic()
        with pytest.raises(TimeoutError):
            Channel(here, 1 << 30).send({}, {"long": np.zeros(1 << 24)}, start + 0.2)  # which nobody reads
        with pytest.raises(TimeoutError):
            Channel(here, 1).receive_header(time.monotonic() + 0.05)
        with pytest.raises(TimeoutError):
            Channel(here, 1).receive_header(start)
        assert 0.25 <= time.monotonic() - start < 10


@contextlib.contextmanager
def running(script):
    """Yield the number of a process that does something, says so and waits."""
    script = f"import time\n{script}\nprint(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as child:
        try:
            child.stdout.readline()
            yield child.pid
        finally:
            child.kill()


@LINUX
def test_usage_is_that_of_the_processes():
    with running("kept = bytearray(64 << 20); [None for _ in range(3_000_000)]") as child:
        assert child in descendants(os.getpid())
        usage, twice = usage_of([child]), usage_of([child, child])
    assert usage.threads == 1 and 64 * MB < usage.memory < 128 * MB and 0 < usage.cpu_seconds < 30
    assert twice.threads == 2 and abs(twice.memory - 2 * usage.memory) < MB
    assert usage_of([child]) == Usage(0, 0, 0.0)  # it has ended


@LINUX
def test_page_tables_are_memory():
    page = os.sysconf("SC_PAGE_SIZE")
    each = page * page // 8  # bytes that one page of 8-byte entries maps
    size = 128 * MB // page * each
    mapped = f"mmap.mmap(-1, {size}, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ)"
    with running(f"import mmap; shown = {mapped}; [shown[at] for at in range(0, {size}, {each})]") as child:
        assert 128 * MB < usage_of([child]).memory < 192 * MB


@LINUX
def test_memory_is_found_where_the_first_thread_has_ended():
    script = """
import ctypes, os, threading
kept, ended = bytearray(64 << 20), f"/proc/{os.getpid()}/stat"
def stay():
    while b") Z" not in open(ended, "rb").read():
        time.sleep(0.01)
    print(flush=True)
    time.sleep(60)
threading.Thread(target=stay).start()
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[os.uname().machine], 0)
"""
    with running(script) as child:
        usage = usage_of([child])
    assert usage.threads == 2 and 64 * MB < usage.memory < 128 * MB


def test_a_namespace_uses_what_its_orphans_did(tmp_path):
    ticks = os.sysconf("SC_CLK_TCK")
    for process, times, threads in ((1, (90, 80, 5, 4), 1), (2, (10, 20, 30, 40), 3), (3, (1, 1, 1, 1), 1)):
        (tmp_path / str(process)).mkdir()
        fields = ["S", "0", *["0"] * 9, *(str(each * ticks) for each in times), "20", "0", str(threads), "0"]
        (tmp_path / str(process) / "stat").write_text(f"{process} (a) b) {' '.join(fields)}\n")
        (tmp_path / str(process) / "status").write_text("Name:\tVmRSS:\nVmRSS:\t 8 kB\nVmPTE:\t 2 kB\nVmSwap:\t 1 kB\n")
    proc = os.open(tmp_path, os.O_RDONLY)
    try:
        assert usage_in_namespace(proc) == Usage(threads=4, memory=22 << 10, cpu_seconds=113.0)
    finally:
        os.close(proc)


def test_a_breach_is_named():
    limits = Limits(memory=100 * MB, processes=2, cpu_seconds=9)
    assert Usage(2, 100 * MB, 9.0).breach(limits) is None
    assert Usage(3, 0, 0.0).breach(limits) == "ran 3 processes and threads; 2 are allowed"
    assert Usage(1, 101 * MB, 0.0).breach(limits) == "held 101 MB of memory; 100 are allowed"
    assert Usage(1, 0, 9.5).breach(limits) == "used 9.5 s of processor time; 9 are allowed"


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "much", None])
def test_limits_are_numbers_above_0(value):
    with pytest.raises(SpecificationError, match="limit memory is .*; it must be a number above 0"):
        Limits(memory=value)
