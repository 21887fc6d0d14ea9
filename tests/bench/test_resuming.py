"""Runs that are killed and go on: in the end nobody could tell."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time

import failing_agents
import pytest
from small_runs import LEARNER, RESUMABLE, arguments, directory, logs, run

from duelgym.rounds import read_members, read_queries
from duelgym_bench.plan import Task
from duelgym_bench.plan_directory import load_plan
from duelgym_bench.scores import score_run

EDITS = """def observe(self, contexts, pairs, preferences):
        if "# edited" + chr(10) not in Path(__file__).read_text()[-20:]:
            with Path(__file__).open("a") as file:
                file.write("# edited" + chr(10))
        die"""


@pytest.fixture
def kills(home):
    """The file with the points at which an agent kills its process."""
    yield home / "kills"
    (home / "kills").unlink(missing_ok=True)


def start(home, *given, warnings):
    """Start a run in a process of its own, and do not wait for it."""
    command = [sys.executable, "-m", "duelgym_bench.cli", *arguments(*given)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=home, env=os.environ | {"PYTHONWARNINGS": warnings}, text=True, **pipes)


@pytest.mark.parametrize("agent", [LEARNER, RESUMABLE])
def test_killed_and_resumed_logs_equal_the_uninterrupted_ones(home, finished, tmp_path, kills, agent):
    kills.write_text("recommend0 select4 recommend10 observe20")
    out = tmp_path / "killed"
    refused = 0
    while (done := run(home, agent, out, check=False)).returncode != 0:
        assert "a process was killed" in done.stderr and len(done.stderr.strip().splitlines()) == 1
        refused += 1
        with directory(out, agent).queries.open("ab") as log:
            log.write(b"\x1f\x8b\x08")  # as a kill in the middle of a write would leave it
    assert refused == 4
    assert logs(out, agent) == logs(finished, agent)


def test_killing_the_command_ends_its_workers_and_meanwhile_no_second_one_writes(home, tmp_path):
    out = tmp_path / "out"
    log = directory(out, "my_agents:Dozing").queries
    (home / "doze").touch()
    first = start(
        home, "my_agents:Dozing", out, warnings="ignore"
    )  # a killed command's semaphores are reported as leaked
    try:
        _wait(lambda: log.exists() and len(read_members(log).texts) >= 3)  # a member a batch
        second = run(home, "my_agents:Dozing", out, check=False)
        assert second.returncode == 1 and "another duelgym-bench run is writing here" in second.stderr
        assert len(second.stderr.strip().splitlines()) == 1
    finally:
        first.kill()
        first.communicate(timeout=60)  # returns when the last process that holds the other end of the pipe is gone
        (home / "doze").unlink()
    assert len(read_queries(log)) < 160


def _wait(condition, seconds=240):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_agent_of_the_registry_goes_on_from_its_state(home, tmp_path, kills):
    agent = "my_agents:Thompson"
    run(home, agent, tmp_path / "whole")
    mine = hashlib.sha256((home / "my_agents.py").read_bytes()).hexdigest()
    lines = directory(tmp_path / "whole", agent).timings.read_text().splitlines()
    assert [json.loads(line)["code"] for line in lines] == [{"my_agents": mine}] * len(lines)
    scored = score_run(load_plan(tmp_path / "whole"), tmp_path / "whole", Task(agent, 0))
    assert scored.code == {f"my_agents {mine[:16]}"}
    kills.write_text("select12")
    assert run(home, agent, tmp_path / "killed", check=False).returncode == 1
    assert directory(tmp_path / "killed", agent).state.exists()
    run(home, agent, tmp_path / "killed")
    assert logs(tmp_path / "killed", agent) == logs(tmp_path / "whole", agent)


def test_the_code_that_ran_is_told_not_what_its_file_became(home, tmp_path):
    """One worker runs two seeds, and the file changes while it runs the first; then another process runs a third."""
    source = tmp_path / "own_agents.py"
    shutil.copy(failing_agents.__file__, source)
    before = source.read_text()
    source.write_text(before.replace("def observe(self, contexts, pairs, preferences):\n        die", EDITS, 1))
    mine = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    out, agent = tmp_path / "out", "own_agents:Learner"
    run(tmp_path, agent, out, "--seeds", 2, "--jobs", 1)
    assert source.read_text().endswith("# edited\n")
    plan = load_plan(out)
    assert {each for k in range(2) for each in score_run(plan, out, Task(agent, k)).code} == {f"own_agents {mine}"}
    run(tmp_path, agent, out, "--seeds", 3, "--jobs", 1)
    assert score_run(load_plan(out), out, Task(agent, 2)).code != {f"own_agents {mine}"}


def test_an_agent_that_is_not_deterministic_is_caught_when_it_resumes(tmp_path):
    source = tmp_path / "my_agents.py"
    shutil.copy(failing_agents.__file__, source)
    (tmp_path / "kills").write_text("select15")
    killed = start(tmp_path, LEARNER, "changed", warnings="error")
    (line,) = killed.communicate(timeout=240)[1].splitlines()  # of the command and of its worker together
    assert killed.returncode == 1 and "a process was killed" in line
    source.write_text(source.read_text().replace("self.rng.gumbel(", "3 * self.rng.gumbel("))
    done = run(tmp_path, LEARNER, "changed", check=False)
    assert done.returncode == 1 and "not deterministic" in done.stderr
