"""One small round and one submission to it, made once; tests that spoil it take a copy."""

import sys

import pytest
from leaderboard_home import AGENT, LONG, ROUND, in_this_process, make_home

from duelgym_bench import executor


@pytest.fixture(scope="session")
def code(tmp_path_factory):
    """The file of the agent, importable."""
    path = tmp_path_factory.mktemp("code") / "tasteful_agent.py"
    path.write_text(AGENT)
    sys.path.insert(0, str(path.parent))
    yield path
    sys.path.remove(str(path.parent))


@pytest.fixture(scope="session")
def made(tmp_path_factory, code):
    """The leaderboard that no test changes."""
    return make_home(tmp_path_factory.mktemp("made"), ROUND, code)


@pytest.fixture
def home(made, tmp_path):
    """A copy of the leaderboard, which a test may spoil."""
    return made.copy(tmp_path)


@pytest.fixture(scope="session")
def made_long(tmp_path_factory, code):
    """A leaderboard with a thousand queries in one run, which no test changes."""
    return make_home(tmp_path_factory.mktemp("long"), LONG, code)


@pytest.fixture
def long_home(made_long, tmp_path):
    """A copy of it, which a test may spoil."""
    return made_long.copy(tmp_path)


@pytest.fixture
def here(monkeypatch):
    """Make the runs from this process, each agent in its own all the same."""
    monkeypatch.setattr(executor, "executor_named", lambda name: in_this_process)
