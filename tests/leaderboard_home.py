"""A small round, a submission to it, and ways to spoil it."""

import gzip
import json
import shutil
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import pytest

import duelgym
from duelgym.errors import SpecificationError
from duelgym_bench.common import CommonLearner
from duelgym_bench.executors.work import Ended, work
from duelgym_bench.files import sha256_of
from duelgym_bench.isolation.launch import Isolation, launch
from duelgym_bench.leaderboard.failures import RefusedError
from duelgym_bench.leaderboard.folder import LOGS
from duelgym_bench.leaderboard.new import Described, new
from duelgym_bench.leaderboard.plans import public_plan
from duelgym_bench.leaderboard.records import Round, RoundPool, salt_hash, write_record
from duelgym_bench.plan_directory import save_plan
from duelgym_bench.task import run_task

AGENT = """
import numpy as np


class Taste:
    def __init__(self, dim, seed):
        self.rng, self.weights = np.random.default_rng(seed), np.zeros(dim)

    def select_pairs(self, contexts):
        batch, n, _ = contexts.candidates.shape
        return self.rng.permuted(np.tile(np.arange(n), (batch, 1)), axis=1)[:, :2]

    def observe(self, contexts, pairs, preferences):
        first, second = (contexts.candidates[np.arange(len(pairs)), pairs[:, k]] for k in (0, 1))
        self.weights += (1 - 2 * preferences) @ (first - second)

    def recommend(self, contexts):
        return np.argmax(contexts.candidates @ self.weights, axis=1)


def taste(*, candidate_dim, seed, **rest):
    return Taste(candidate_dim, seed)
"""
FACTORY = "tasteful_agent:taste"
ROUND = Round(
    schema=1,
    name="2026-spring",
    opened="2026-01-01",
    closed=None,
    ids=("SyntheticDuel-v0", "LLMDuel-v0"),
    queries=96,
    batch=32,
    seeds=2,
    salt_sha256=salt_hash("0" * 64),
    salt=None,
    pool=RoundPool(sha256="0" * 64, prompts=100, candidates=8),
    duelgym=duelgym.__version__,
)
LONG = replace(ROUND, ids=("SyntheticDuel-v0",), queries=1024, seeds=1)
DESCRIBED = Described(
    team="example-lab",
    agent="taste",
    date="2026-03-01",
    contact="someone@example.org",
    licence="MIT",
    about="A mean of differences.",
    cpu="a processor",
)


@dataclass(frozen=True)
class Home:
    """A leaderboard, the runs from which its submission was made, and the agent's code."""

    root: Path
    submission: Path
    runs: dict[str, Path]
    code: Path

    def copy(self, to: Path) -> "Home":
        """Copy the leaderboard, to be spoiled."""
        shutil.copytree(self.root, to / "leaderboard")
        root = to / "leaderboard"
        return replace(self, root=root, submission=root / "submissions" / self.submission.name)

    def log(self, env="SyntheticDuel-v0", seed=0, which=0) -> Path:
        """Return the path of a log in the submission."""
        return self.submission / "runs" / env / f"{seed:03d}" / LOGS[which]

    def edit(self, change) -> None:
        """Let a function change what submission.json says."""
        path = self.submission / "submission.json"
        fields = json.loads(path.read_text())
        change(fields)
        path.write_text(json.dumps(fields, indent=1) + "\n")

    def hash_again(self) -> None:
        """Write the hashes of all files into submission.json, as a cheater would."""

        def change(fields):
            fields["code"] = {name: sha256_of(self.submission / "agent" / name) for name in fields["code"]}
            for env, runs in fields["runs"].items():
                runs["files"] = [
                    {kind: sha256_of(self.log(env, seed, which)) for which, kind in enumerate(files)}
                    for seed, files in enumerate(runs["files"])
                ]

        self.edit(change)


def lines_of(path: Path) -> list[str]:
    """Return the lines of a log."""
    return gzip.decompress(path.read_bytes()).decode().splitlines(keepends=True)


def edit_log(path: Path, change) -> None:
    """Let a function change the list of a log's lines, and write them as one member."""
    lines = lines_of(path)
    change(lines)
    path.write_bytes(gzip.compress("".join(lines).encode(), mtime=0))


def edit_line(path: Path, number: int, **fields) -> None:
    """Replace fields in a line of a log, which are counted from 1, as the recorder would have written them."""

    def change(lines):
        record = json.loads(lines[number - 1]) | fields
        lines[number - 1] = json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n"

    edit_log(path, change)


def refused(function, *arguments, **named):
    """Return the failures with which a call is refused, none of which may be empty or on more than one line."""
    with pytest.raises(RefusedError) as caught:
        function(*arguments, **named)
    for failure in caught.value.failures:
        assert failure.where and failure.what and failure.cure
        assert str(failure).isprintable()
    assert caught.value.failures
    return caught.value.failures


@lru_cache
def lends_namespaces() -> bool:
    """Return whether this machine can isolate agents as ranked runs must be."""
    try:
        guard, _ = launch("agent 'uniform'", "uniform", {}, Isolation(namespaces="required"))
    except SpecificationError:
        return False
    guard.end()
    return True


def in_this_process(job, tasks, *, jobs):
    """Carry tasks out in this process, as an executor does."""
    for task in tasks:
        yield Ended(task, work(job, task, lambda queries: None))


def make_runs(round: Round, env: str, agent: str, out: Path, **settings) -> Path:
    """Make a round's public runs of an agent, in this process."""
    plan = public_plan(round, env, {agent: settings})
    save_plan(plan, out)
    for task in plan.tasks():
        run_task(plan, task, out, CommonLearner("response", 1.0, ""), lambda _: None)
    return out


def make_home(folder: Path, round: Round, code: Path) -> Home:
    """Make a leaderboard with one round and one submission."""
    runs = {env: make_runs(round, env, FACTORY, folder / "runs" / env) for env in round.ids}
    root = folder / "leaderboard"
    (root / "rounds").mkdir(parents=True)
    write_record(root / "rounds" / f"{round.name}.json", round)
    return Home(root, new(root, DESCRIBED, list(runs.values()), code=[code]).folder, runs, code)
