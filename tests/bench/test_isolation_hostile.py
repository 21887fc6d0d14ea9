"""Agents that mean harm: each is contained, named in one line, and gone with everything that it started."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from duelgym.agent import Contexts
from duelgym_bench.isolation import process
from duelgym_bench.isolation.agent import IsolatedAgent
from duelgym_bench.isolation.launch import Isolation
from duelgym_bench.isolation.limits import MB, Limits
from duelgym_bench.isolation.process import IsolationError
from duelgym_bench.isolation.usage import descendants

SIZES = {"prompt_dim": 4, "candidate_dim": 4, "n_candidates": 6, "batch_size": 3, "budget": 30, "seed": 1}
SHOWN = Contexts(np.zeros((3, 4), dtype=np.float32), np.zeros((3, 6, 4), dtype=np.float32))
NAME = "isolated_agents:Hostile"
LIMITS = Limits(memory=300 * MB, processes=24, scratch=2 * MB, file=MB, call_seconds=20)
"""Low, and with time for a busy machine; what is to run into the limit of time gets less of it."""

ENDS = {
    "endless_loop": r"took longer than the 1 s that it may",
    "drips": r"took longer than the 1 s that it may",
    "much_memory": r"raised MemoryError: .*Unable to allocate 8.00 GiB .*",
    "memory_of_several": r"held \d+ MB of memory; 300 are allowed",
    "killed": r"did not return: its process was killed by SIGKILL",
    "crash": r"did not return: its process was killed by SIGSEGV",
    "exits_255": r"did not return: its process ended with exit status 255",
    "orphan_and_leave": r"did not return: its process ended with exit status 7",
    "garbage": r"sent a header of 4294967295 bytes; at most 65536 are allowed",
    "lies_about_size": r"sent arrays of 32000000000 bytes; at most 268435456 are allowed",
    "another_name": r"sent other arrays than it was asked for",
    "three_columns": r"answered int64 of shape \(3, 3\); whole numbers of shape \(3, 2\) are needed",
    "fractions": r"answered float64 of shape \(3, 2\); whole numbers of shape \(3, 2\) are needed",
    "uneven": r"raised ValueError: setting an array element .*",
    "objects": r"gave what cannot be sent: array 'pairs' is of type object; only numbers and bool can be sent",
    "out_of_range": r"answered positions from 6 to 6; 0 to 5 were shown",
    "overflowing": r"answered positions from -1 to -1; 0 to 5 were shown",
}
TIMED = ("endless_loop", "drips")
IN_NAMESPACES = {
    "fork_bomb": r"(ran \d+ processes and threads; 24 are|held \d+ MB of memory; 300 are) allowed",
    "many_threads": r"raised RuntimeError: can't start new thread",
    "many_files": r"raised OSError: \[Errno 28\] No space left on device",
}


@pytest.fixture(autouse=True)
def everything_ends(code):
    """Check that no process of a hostile agent is left: they all hold a lock."""
    yield
    with (code / "lock").open() as lock:
        end = time.monotonic() + 10
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                assert time.monotonic() < end, "processes of the agent are left"
                time.sleep(0.01)
            else:
                return


def failure(isolation, trick, limits=LIMITS):
    """Return what is said of an agent that does a trick."""
    mounts = Path("/proc/self/mountinfo").read_bytes()
    agent = IsolatedAgent(NAME, SIZES | {"trick": trick}, replace(isolation, limits=limits))
    with agent, pytest.raises(IsolationError) as caught:
        agent.select_pairs(SHOWN)
    message = str(caught.value)
    assert message.isprintable() and message.startswith(f"agent '{NAME}': select_pairs() ")
    assert Path("/proc/self/mountinfo").read_bytes() == mounts
    return message


@pytest.mark.parametrize("trick", ENDS)
def test_tricks_end_in_one_line(code, trick):
    limits = replace(LIMITS, call_seconds=1) if trick in TIMED else LIMITS
    message = failure(Isolation(code=(code,)), trick, limits)
    assert re.search(ENDS[trick] + "$", message), message


@pytest.mark.parametrize("trick", IN_NAMESPACES)
def test_the_kernel_caps_what_namespaces_hold(enclosed, trick):
    message = failure(enclosed, trick)
    assert re.search(IN_NAMESPACES[trick] + "$", message), message


@pytest.mark.parametrize(
    ("trick", "limits", "end"),
    [
        ("many_sleepers", {}, r"(raised BlockingIOError: .*|(ran|held) \d+ .* are allowed)"),
        ("busy_orphans", {"cpu_seconds": 3, "memory": 1024 * MB}, r"used \d+\.\d s of processor time; 3 are allowed"),
        ("orphan_and_leave", {}, r"ended with exit status 7"),
        ("large_file", {}, r"raised OSError: \[Errno 27\] File too large"),
    ],
)
def test_limits_hold_with_and_without_namespaces(isolation, trick, limits, end):
    message = failure(isolation, trick, replace(LIMITS, **limits))
    assert re.search(end + "$", message), message


def test_the_whole_run_is_limited(code):
    message = failure(Isolation(code=(code,)), "endless_loop", replace(LIMITS, run_seconds=5))
    assert message.endswith("ran for longer than 5 s")


@pytest.mark.parametrize(
    ("trick", "end"),
    [("hangs_up", "closed its connection"), ("crash", "did not return: its process was killed by SIGSEGV")],
)
def test_how_it_went_does_not_depend_on_how_soon_its_guard_looks(isolation, trick, end, monkeypatch):
    monkeypatch.setattr(process, "_NOTICED", 0.1)
    with IsolatedAgent(NAME, SIZES | {"trick": trick}, replace(isolation, limits=LIMITS)) as agent:
        handle = agent._process._guard
        _, _, (guard, *_), _ = handle.end.peek()
        state, hang_up = Path(f"/proc/{descendants(guard.pid)[0]}/stat"), handle.hang_up

        def late():
            hang_up()
            while trick == "crash" and state.read_text().rpartition(")")[2].split()[0] != "Z":
                time.sleep(0.01)
            guard.send_signal(signal.SIGCONT)

        monkeypatch.setattr(handle, "hang_up", late)
        guard.send_signal(signal.SIGSTOP)
        with pytest.raises(IsolationError, match=rf"select_pairs\(\) {end}$"):
            agent.select_pairs(SHOWN)


@pytest.mark.parametrize(
    ("what", "end"), [("took too long", "took too long"), (None, "did not return, and its guard does not say why")]
)
def test_a_guard_that_says_nothing_overrules_nothing(code, what, end, monkeypatch):
    with IsolatedAgent(NAME, SIZES | {"trick": ""}, Isolation(code=(code,))) as agent:
        monkeypatch.setattr(agent._process._guard, "told", lambda seconds: {})
        with pytest.raises(IsolationError, match=rf"recommend\(\) {end}$"):
            agent._process.fail("recommend", what)


def test_a_harness_may_ignore_its_children(code):
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert failure(Isolation(code=(code,)), "killed").endswith("was killed by SIGKILL")
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_flood_of_output_is_cut_to_its_end(isolation):
    message = failure(isolation, "flood")
    assert "raised ValueError: ?[2J it was I; it wrote 50000012 bytes, at last '" in message
    assert message.endswith("spam spam ?[31mthe end'") and len(message) < 500


def test_its_scratch_directory_goes_with_it(isolation):
    place = Path(failure(isolation, "where").rpartition(" ")[2])
    assert place == Path("/scratch") if isolation.namespaces == "required" else place.name.startswith("duelgym-agent-")
    assert not place.exists()


def test_answers_that_are_no_numbers_are_refused(code):
    for call, arguments, reason in (
        ("sample_utilities", (SHOWN, 2, np.random.default_rng(0)), "answered utilities that are not all finite"),
        ("counters", (), "did not answer at most 256 names with whole numbers"),
        ("state_dict", (), "gave what cannot be sent: array 'weights' is of type object"),
    ):
        agent = IsolatedAgent(NAME, SIZES | {"trick": ""}, Isolation(code=(code,)))
        with agent, pytest.raises(IsolationError, match=rf"{call}\(\) {reason}"):
            getattr(agent, call)(*arguments)


def test_it_ends_when_the_harness_is_killed(isolation, code):
    script = f"""
from pathlib import Path
from test_isolation_hostile import *
isolation = Isolation(code=(Path({str(code)!r}),), namespaces={isolation.namespaces!r}, limits=LIMITS)
agent = IsolatedAgent(NAME, SIZES | {{"trick": "endless_loop"}}, isolation)
print("ready", flush=True)
agent.select_pairs(SHOWN)
"""
    variables = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    with subprocess.Popen([sys.executable, "-c", script], env=variables, stdout=subprocess.PIPE) as harness:
        assert harness.stdout.readline() == b"ready\n"
        with (code / "lock").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        harness.kill()
