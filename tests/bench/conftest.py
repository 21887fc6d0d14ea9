"""What the tests of the harness share: workers that fork, finished runs, and isolated agents."""

import os
import shutil
import subprocess
import sys

import failing_agents
import isolated_agents
import numpy as np
import pytest
import small_runs
from quick_commands import quick_workers

from duelgym.errors import SpecificationError
from duelgym.pools import write_pool
from duelgym_bench.isolation.agent import IsolatedAgent
from duelgym_bench.isolation.launch import Isolation


@pytest.fixture(scope="module", autouse=True)
def workers_fork():
    """Let whatever starts workers in this process start them quickly."""
    with quick_workers():
        yield


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A folder in which commands are given, with a module of agents."""
    folder = tmp_path_factory.mktemp("home")
    shutil.copy(failing_agents.__file__, folder / "my_agents.py")
    return folder


@pytest.fixture(scope="session")
def finished(home):
    """Finished runs of two agents on two seeds, from a command in a process of its own: nothing warns, in no process."""
    given = small_runs.arguments(f"{small_runs.LEARNER},{small_runs.RESUMABLE}", "whole", seeds=2)
    command, environment = [sys.executable, "-m", "duelgym_bench.cli", *given], os.environ | {"PYTHONWARNINGS": "error"}
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return home / "whole"


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    """A directory with the agents of these tests, readable for everybody as installed code is."""
    folder = tmp_path_factory.mktemp("code")
    folder.chmod(0o755)
    shutil.copy(isolated_agents.__file__, folder)
    (folder / "lock").touch(0o644)
    return folder


@pytest.fixture(scope="module")
def enclosed(code):
    """An isolation with namespaces, where this machine lends any."""
    isolation = Isolation(code=(code,), namespaces="required")
    try:
        IsolatedAgent("isolated_agents:Taste", {"candidate_dim": 4}, isolation).close()
    except SpecificationError as error:
        pytest.skip(str(error))
    return isolation


@pytest.fixture(params=["with namespaces", "without"])
def isolation(request, code):
    """Either kind of isolation."""
    if request.param == "without":
        return Isolation(code=(code,), namespaces="off")
    return request.getfixturevalue("enclosed")


@pytest.fixture(scope="session")
def named_pool(tmp_path_factory):
    """A pool whose assessment prompts are named, so that it keeps none for tuning."""
    rng, prompts = np.random.default_rng(0), [f"prompt {row}" for row in range(12)]
    path = tmp_path_factory.mktemp("named") / "pool"
    write_pool(
        path,
        name="named",
        prompts=prompts,
        candidate_names=["a", "b"],
        texts=[[f"{letter}{row}" for letter in "ab"] for row in range(12)],
        prompt_embeddings=rng.standard_normal((12, 3)),
        candidate_embeddings=rng.standard_normal((12, 2, 3)),
        utilities=rng.standard_normal((12, 2)),
        assess_prompts=prompts[:4],
    )
    return path
