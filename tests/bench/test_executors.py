"""Executors: the same logs from processes and from Ray, whoever is killed; never two writers; no traceback on a full disk."""

import contextlib
import dataclasses
import fcntl
import importlib.util
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from quick_commands import bench

from duelgym.errors import DiskFullError, LogError, SpecificationError
from duelgym.rounds import MemberLog, read_members
from duelgym_bench import cli
from duelgym_bench.common import CommonLearner
from duelgym_bench.executor import run_tasks
from duelgym_bench.executors import ray as on_ray
from duelgym_bench.executors import work as working
from duelgym_bench.executors.work import Advanced, Ended, Failure, Job, work
from duelgym_bench.locks import alone, is_shared, token_of
from duelgym_bench.plan import Plan, Task
from duelgym_bench.progress import Progress
from duelgym_bench.run_directory import RunDirectory

AGENTS = '''
import os, signal, time
from pathlib import Path
from duelgym_agents.registry import make_agent


class Watched:
    """An agent of the registry that dozes, or kills its process, while a file of that name lies where one stands."""

    def __init__(self, name, arguments):
        self.agent, self.calls = make_agent(name, **arguments), 0

    def __getattr__(self, name):
        if name == "agent" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.agent, name)

    def select_pairs(self, contexts):
        self.calls += 1
        while self.calls > 5 and Path("doze").exists():
            time.sleep(0.05)
        if self.calls == 6 and Path("kill").exists():
            Path("kill").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.agent.select_pairs(contexts)


def passive(**arguments):
    return Watched("passive+bayesian_linear", arguments)


def infomax(**arguments):
    return Watched("infomax+bayesian_linear", arguments)
'''
NEEDS_RAY = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed: benchmarks[ray]")
PASSIVE, INFOMAX = "my_agents:passive", "my_agents:infomax"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    (folder / "my_agents.py").write_text(AGENTS)
    return folder


def arguments(out):
    kwargs = '{"dimension": 4, "n_candidates": 6}'
    sizes = ["--queries", "160", "--batch-size", "8", "--seeds", "1", "--jobs", "2"]
    agents = ["--agents", f"{PASSIVE},{INFOMAX}"]
    return ["run", "--env", "SyntheticDuel-v0", "--env-kwargs", kwargs, *agents, *sizes, "--out", out]


def start_on_ray(home, out):
    """Start a command in a process of its own, and do not wait for it."""
    command = [sys.executable, "-m", "duelgym_bench.cli", *arguments(out), "--executor", "ray"]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment["PYTHONWARNINGS"] = "error"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=home, env=environment, text=True, preexec_fn=heed_interrupts, **pipes)


def heed_interrupts():
    """Undo what a shell does to commands that it starts behind '&': they ignore interrupts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish(process):
    """Wait for a command; return its status and what it said."""
    shown, errors = process.communicate(timeout=240)
    assert "Traceback" not in errors, errors
    return process.returncode, shown, errors


def wait_for_lock(file, seconds=60):
    """Take the lock of a file that a worker which is about to end may hold still."""
    until = time.monotonic() + seconds
    while True:
        try:
            return fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            assert time.monotonic() < until, "a worker outlives its command"
            time.sleep(0.05)


def logs(out):
    directories = [RunDirectory(out / "runs" / Task(agent, 0).name) for agent in (PASSIVE, INFOMAX)]
    return [path.read_bytes() for directory in directories for path in directory.logs(tuning=False)]


@NEEDS_RAY
def test_ray_leaves_the_logs_of_processes_though_it_is_interrupted_and_a_worker_killed(home):
    """Ctrl-C in the middle, then the same command, one of whose workers is killed: equal to processes left in peace."""
    log = RunDirectory(home / "ray" / "runs" / Task(INFOMAX, 0).name).queries
    (home / "doze").touch()
    process = start_on_ray(home, "ray")
    try:
        until = time.monotonic() + 240
        while not (log.exists() and len(read_members(log).texts) >= 4):  # the header, then a member a batch
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        status, _, errors = finish(process)
    finally:
        process.kill()
        (home / "doze").unlink()
    assert status == 130 and errors == "duelgym-bench: interrupted; the same command goes on where it stopped\n"
    with log.open("ab") as file:
        wait_for_lock(file)  # no worker holds it any more
    assert len(read_members(log).texts) < 21

    (home / "kill").touch()
    status, shown, errors = finish(start_on_ray(home, "ray"))
    assert status == 0, errors
    assert not (home / "kill").exists() and "2 runs finished" in shown
    bench(home, *arguments("processes"))
    assert logs(home / "ray") == logs(home / "processes")


class FakeRay:
    """A cluster that loses the worker of every task so many times."""

    class exceptions:  # noqa: N801 (a module's name)
        RayError = type("RayError", (Exception,), {})
        WorkerCrashedError = NodeDiedError = OutOfMemoryError = type("LostError", (RayError,), {})

    def __init__(self, losses):
        self.losses, self.tries, self.cancelled = losses, {}, []

    def remote(self, **options):
        news = SimpleNamespace(remote=list)
        actor = SimpleNamespace(news=news)
        return lambda what: SimpleNamespace(remote=lambda *given: (given[1], object()) if given else actor)

    def wait(self, references, timeout):
        return references[:1], references[1:]

    def get(self, reference, timeout=None):
        if not reference:
            return reference
        task = reference[0]
        self.tries[task] = self.tries.get(task, 0) + 1
        if task.agent == "uninstalled":
            raise self.exceptions.RayError("Traceback:\nModuleNotFoundError: No module named 'duelgym'")
        if self.tries[task] <= self.losses:
            raise self.exceptions.WorkerCrashedError
        return None

    def cancel(self, reference, force):
        self.cancelled.append(reference[0])


@pytest.fixture
def held(tmp_path):
    """A directory of runs that this process holds, as whoever calls an executor does."""
    with alone(tmp_path):
        yield tmp_path


@pytest.mark.parametrize(("losses", "finished"), [(0, True), (3, True), (4, False)])
def test_a_run_is_tried_again_three_times_when_its_worker_is_lost(held, monkeypatch, losses, finished):
    fake = FakeRay(losses)
    monkeypatch.setattr(on_ray, "_cluster", lambda cores: contextlib.nullcontext(fake))
    job = Job(plan_of("a", "b", "c"), held, None)
    ended = list(on_ray.run_on_ray(job, list(job.plan.tasks()), jobs=2))
    assert {event.task.agent: event.failure is None for event in ended} == dict.fromkeys("abc", finished)
    assert set(fake.tries.values()) == {min(losses + 1, 4)} and not fake.cancelled
    assert finished or "killed 4 times" in ended[0].failure.reason


def test_what_ray_cannot_run_is_a_failure_in_one_line(held, monkeypatch):
    monkeypatch.setattr(on_ray, "_cluster", lambda cores: contextlib.nullcontext(FakeRay(0)))
    job = Job(plan_of("uninstalled", "b"), held, None)
    failures = [event.failure for event in on_ray.run_on_ray(job, list(job.plan.tasks()), jobs=1)]
    assert failures[0].reason == "Ray could not run it: ModuleNotFoundError: No module named 'duelgym'"
    assert not failures[0].by_agent and failures[1] is None


def test_closing_cancels_what_runs_on_ray(held, monkeypatch):
    fake = FakeRay(0)
    monkeypatch.setattr(on_ray, "_cluster", lambda cores: contextlib.nullcontext(fake))
    job = Job(plan_of("a", "b", "c"), held, None)
    events = on_ray.run_on_ray(job, list(job.plan.tasks()), jobs=2)
    next(events), events.close()
    assert [task.agent for task in fake.cancelled] == ["b"]


def test_without_ray_the_error_says_what_to_install_and_nothing_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    given = ["run", "--env", "SyntheticDuel-v0", "--agents", "passive+bayesian_linear", "--out", str(tmp_path / "out")]
    assert cli.main([*given, "--executor", "ray"]) == 1
    assert "pip install 'duelgym-bench[ray]'" in capsys.readouterr().err and not (tmp_path / "out").exists()


@NEEDS_RAY
def test_a_cluster_that_is_not_there_is_refused_at_once(held, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    job = Job(plan_of("passive+bayesian_linear"), held, None)
    with pytest.raises(SpecificationError, match=r"RAY_ADDRESS=127\.0\.0\.1:1 cannot be used: .*refused"):
        next(on_ray.run_on_ray(job, list(job.plan.tasks()), jobs=1))


def plan_of(*agents):
    return Plan("SyntheticDuel-v0", {"dimension": 2, "n_candidates": 3}, agents, 16, 1, 8, "c", "t", tuning=True)


def test_a_directory_is_shared_where_its_token_and_its_lock_are_seen(tmp_path):
    (tmp_path / "there").mkdir()
    with alone(tmp_path / "here"):
        token = token_of(tmp_path / "here")
        assert is_shared(tmp_path / "here", token)
        assert not is_shared(tmp_path / "here", "another token")
        assert not is_shared(tmp_path / "there", token)
        (tmp_path / "there" / ".lock").write_text(token)  # seen, but the lock does not hold there
        assert not is_shared(tmp_path / "there", token)
        with pytest.raises(LogError, match=f"is writing here .*{os.getpid()}"), alone(tmp_path / "here"):
            pass
    assert not is_shared(tmp_path / "here", token)
    with alone(tmp_path / "here"):
        assert token_of(tmp_path / "here") != token


def test_a_run_waits_until_its_earlier_writer_is_gone(tmp_path, monkeypatch):
    """A second worker of the same run begins when the first one's lock goes, and gives up in one line if it stays."""
    plan = plan_of("passive+bayesian_linear")
    (task,) = plan.tasks()
    log = RunDirectory(tmp_path / "runs" / task.name).queries
    log.parent.mkdir(parents=True)
    results = []
    thread = threading.Thread(
        target=lambda: results.append(work(Job(plan, tmp_path, None), task, lambda queries: None))
    )
    with log.open("ab") as earlier:
        fcntl.flock(earlier.fileno(), fcntl.LOCK_EX)
        monkeypatch.setattr(working, "_LONGEST_WAIT", 0.0)
        failure = work(Job(plan, tmp_path, None), task, lambda queries: None)
        assert "another process is writing it" in failure.reason and not failure.by_agent
        monkeypatch.setattr(working, "_LONGEST_WAIT", 60.0)
        thread.start()
        time.sleep(0.5)
        assert not results and log.stat().st_size == 0
    thread.join()
    assert results == [None] and RunDirectory(log.parent).finished()


@contextlib.contextmanager
def room(size):
    """Let no file of this process grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))  # Python ignores the signal, so that writing fails
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_run_goes_on_after_a_full_disk_as_if_it_had_not_been(tmp_path):
    """Room that grows from try to try: every kind of file meets its end, and no query is lost or counted twice."""
    plan = dataclasses.replace(plan_of("infomax+bayesian_linear"), queries=320, tuning=False)
    learner = CommonLearner("interaction", 1.0, "")
    (task,) = plan.tasks()
    assert work(Job(plan, tmp_path / "whole", learner), task, lambda queries: None) is None
    directory, failures = RunDirectory(tmp_path / "full" / "runs" / task.name), []
    largest = (tmp_path / "whole" / "runs" / task.name / "queries.jsonl.gz").stat().st_size
    for size in range(100, largest, 300):
        with room(size):
            failure = work(Job(plan, tmp_path / "full", learner), task, lambda queries: None)
        assert failure.everywhere and str(directory.path) in failure.reason and "make room" in failure.reason
        failures.append(failure.reason)
    for what in ("queries.jsonl.gz: could not be", "recommendations.jsonl.gz: could not be", ": File too large"):
        assert any(what in reason for reason in failures)  # the last one is the agent's state
    assert work(Job(plan, tmp_path / "full", learner), task, lambda queries: None) is None
    for path in directory.logs(tuning=False):
        assert path.read_bytes() == (tmp_path / "whole" / "runs" / task.name / path.name).read_bytes()


def test_a_log_on_a_full_disk_says_so_and_keeps_what_was_whole(tmp_path):
    full = OSError(28, "No space left on device")
    with MemberLog(tmp_path / "log.gz") as log:
        log.write("a\n")
        real, log._file = log._file, type("Full", (), {"write": lambda self, data: (_ for _ in ()).throw(full)})()
        with pytest.raises(DiskFullError, match=r"log\.gz: could not be written whole"):
            log.write("b\n")
        log._file = real
    assert read_members(tmp_path / "log.gz").texts == ("a\n",)


def test_a_failure_that_all_would_meet_ends_the_run(tmp_path, monkeypatch):
    plan, ended = plan_of("passive+bayesian_linear", "greedy+bayesian_linear"), []

    def failing(job, tasks, *, jobs):
        try:
            yield Advanced(tasks[0], 8)
            yield Ended(tasks[0], Failure(tasks[0], "no room in out", everywhere=True))
        finally:
            ended.append(True)

    monkeypatch.setattr("duelgym_bench.executor.executor_named", lambda name: failing)
    with pytest.raises(LogError, match="no room in out"):
        run_tasks(plan, tmp_path, None, jobs=1)
    assert ended == [True]


class Terminal:
    """Standard error as a terminal of 80 columns shows it, or as a pipe does."""

    encoding = "utf-8"

    def __init__(self, is_terminal):
        self.text, self.isatty = "", lambda: is_terminal

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_progress_has_a_line_for_all_and_one_for_each_run_that_goes_on(monkeypatch):
    first, second = Task("a", 0), Task("b", 0)
    for is_terminal in (True, False):
        terminal = Terminal(is_terminal)
        monkeypatch.setattr(sys, "stderr", terminal)
        with Progress(100, runs=3, waiting=2) as progress:
            for event in (
                Advanced(first, 40),
                Advanced(second, 10),
                Advanced(first, 20),
            ):  # the last one is tried again
                progress.advance(event)
            assert (progress._all.n, len(progress._lines)) == ((130, 2) if is_terminal else (100, 0))
            progress.end(Ended(first, None))
            progress.advance(Advanced(first, 90))  # told before it ended, heard after
            progress.end(Ended(second, Failure(second, "no")))
            assert not progress._lines and (not is_terminal or progress._all.n == 210)
        assert ("a--000" in terminal.text and "2 of 3 runs" in terminal.text) == is_terminal
        assert is_terminal or not terminal.text
