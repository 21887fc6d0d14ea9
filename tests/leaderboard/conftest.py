"""One small round and one submission to it, made once; tests that spoil it take a copy."""

import sys

import pytest
from made_up_submissions import AGENT, DESCRIBED, FACTORY, ROUND, Home, make_runs

from duelgym_bench import executor
from duelgym_bench.executors.work import Ended, work
from duelgym_bench.leaderboard.new import new
from duelgym_bench.leaderboard.records import write_record


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The leaderboard that no test changes."""
    folder = tmp_path_factory.mktemp("made")
    code = folder / "code" / "tasteful_agent.py"
    code.parent.mkdir()
    code.write_text(AGENT)
    sys.path.insert(0, str(code.parent))
    try:
        runs = {env: make_runs(ROUND, env, FACTORY, folder / "runs" / env) for env in ROUND.ids}
    finally:
        sys.path.remove(str(code.parent))
    root = folder / "leaderboard"
    (root / "rounds").mkdir(parents=True)
    write_record(root / "rounds" / f"{ROUND.name}.json", ROUND)
    submission = new(root, DESCRIBED, list(runs.values()), code=[code]).folder
    return Home(root, submission, runs, code)


@pytest.fixture
def home(made, tmp_path):
    """A copy of the leaderboard, which a test may spoil."""
    return made.copy(tmp_path)


@pytest.fixture
def here(monkeypatch):
    """Make the runs from this process, each agent in its own all the same."""

    def in_this_process(job, tasks, *, jobs):
        for task in tasks:
            yield Ended(task, work(job, task, lambda queries: None))

    monkeypatch.setattr(executor, "executor_named", lambda name: in_this_process)
