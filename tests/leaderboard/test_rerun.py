"""Runs again agree with honest logs, name what differs, and survive whatever a submitted agent does."""

import gzip
import json
import math
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from leaderboard_home import refused

from duelgym.errors import SpecificationError
from duelgym_bench.files import sha256_of
from duelgym_bench.isolation.launch import Isolation
from duelgym_bench.isolation.limits import Limits
from duelgym_bench.leaderboard.agreement import agreement
from duelgym_bench.leaderboard.plans import ON_POOL, public_plan
from duelgym_bench.leaderboard.records import (
    Claims,
    Compute,
    EnvironmentRuns,
    Pretrained,
    Round,
    RoundPool,
    RunFiles,
    Submission,
)
from duelgym_bench.leaderboard.rerun import rerun
from duelgym_bench.leaderboard.weights import weights_of
from duelgym_bench.plan import Task, agent_arguments
from duelgym_bench.run_directory import RunDirectory
from duelgym_bench.task import run_task

ENV, AGENT, HASH = "SyntheticDuel-v0", "mine:Mine", "0" * 64
ROUND = Round(
    schema=1,
    name="test",
    opened="2026-01-01",
    closed=None,
    ids=(ENV,),
    queries=96,
    batch=32,
    seeds=8,
    salt_sha256=HASH,
    salt=None,
    pool=RoundPool(sha256=HASH, prompts=1, candidates=2),
    duelgym="0",
)
HONEST = """
import ctypes, os, socket
from pathlib import Path

import numpy as np


class Mine:
    def __init__(self, *, candidate_dim, seed, shift=0, tricks=None, **rest):
        self.taste, self.rng, self.t = np.zeros(candidate_dim), np.random.default_rng([seed, shift]), 0
        self.trick = (tricks or {}).get(str(seed))

    def select_pairs(self, contexts):
        if self.trick and self.t >= 32:
            return eval(self.trick)
        return np.argsort(self.rng.random(contexts.candidates.shape[:2]), axis=1)[:, :2]

    def observe(self, contexts, pairs, preferences):
        first, second = (contexts.candidates[np.arange(len(pairs)), side] for side in pairs.T)
        self.taste += np.array([1, -1, 0, 0])[preferences] @ (first - second)
        self.t += len(pairs)

    def recommend(self, contexts):
        return np.argmax(contexts.candidates @ self.taste, axis=1)
"""


def submission(repeats="bitwise", settings=None):
    claims, files = Claims(area=0.0, win_rate=0.5), RunFiles(queries=HASH, recommendations=HASH)
    return Submission(
        schema=1,
        team="team",
        agent="mine",
        date="2026-01-02",
        contact="nobody",
        licence="MIT",
        about="An agent.",
        round="test",
        factory=AGENT,
        settings=settings or {},
        repeats=repeats,
        duelgym="0",
        pretrained=(),
        compute=Compute(cpu="one", accelerator="none", seconds_per_query=0.0),
        code={"mine.py": HASH},
        runs={ENV: EnvironmentRuns(pool_sha256=None, claims=claims, files=(files, files))},
    )


def make(code, plan, out):
    """Make a plan's runs in this process, with an agent that is not isolated."""
    exec(code, module := {})
    for task in plan.tasks():
        agent = module["Mine"](**agent_arguments(plan, task, plan.problem(task.seed_index)))
        run_task(plan, task, out, None, lambda queries: None, agent=agent)


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """A submission's folder whose logs are those of its code."""
    folder, made = tmp_path_factory.mktemp("honest"), tmp_path_factory.mktemp("made")
    plan = public_plan(ROUND, ENV, {AGENT: {}})
    make(HONEST, plan, made)
    for task in plan.tasks():
        directory, logged = RunDirectory(made / "runs" / task.name), folder / "runs" / ENV / f"{task.seed_index:03d}"
        logged.mkdir(parents=True)
        for path in (directory.queries, directory.recommendations):
            path.rename(logged / path.name)
    return with_code(folder, HONEST)


def with_code(folder, code):
    (folder / "agent").mkdir()
    (folder / "agent" / "mine.py").write_text(code)
    for path in (folder, folder / "agent", folder / "agent" / "mine.py"):
        path.chmod(0o755)
    return folder


@pytest.fixture
def with_logs(honest, tmp_path):
    """Make a folder of other code with the honest logs."""

    def made(code):
        shutil.copytree(honest / "runs", tmp_path / "folder" / "runs")
        return with_code(tmp_path / "folder", code)

    return made


def run_again(folder, scratch, seeds=1, repeats="bitwise", limits=None, settings=None):
    isolation = None if limits is None else Isolation(limits=limits)
    asked = {"seeds": seeds, "scratch": scratch / "scratch", "jobs": 1, "isolation": isolation}
    (found,) = rerun(submission(repeats, settings), ROUND, folder, **asked)
    assert found.env == ENV and found.seeds == seeds and found.agrees == (not found.failures)
    assert all(str(failure).isprintable() for failure in found.failures)
    return found


def test_an_honest_agent_agrees_to_the_bit(honest, tmp_path):
    found = run_again(honest, tmp_path, seeds=2)
    assert found.agrees and found.agreement is None
    assert str(found) == "SyntheticDuel-v0: run again on 2 seeds, agrees line for line"


@pytest.fixture
def honest_runs(honest, monkeypatch):
    """Have runs again give the honest logs, without running anything."""

    def copied(plan, out, learner, *, jobs, isolation, texts):
        for task in plan.tasks():
            directory = RunDirectory(out / "runs" / task.name)
            shutil.copytree(honest / "runs" / ENV / f"{task.seed_index:03d}", directory.path)
            directory.finish(tuning=True)
        return []

    monkeypatch.setattr("duelgym_bench.leaderboard.rerun.run_tasks", copied)


def edited(path, edit):
    """Edit the lines of a log."""
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in edit(lines)).encode()))


def with_header(name, value):
    def edit(lines):
        return [json.dumps(json.loads(lines[0]) | {name: value}), *lines[1:]]

    return edit


@pytest.mark.parametrize(
    ("log", "edit", "line", "what"),
    [
        ("queries", with_header("versions", {"numpy": "1.0"}), None, ""),
        ("queries", with_header("budget", 97), 1, 'logged .*"budget": 97.*, run again .*"budget": 96.*'),
        ("recommendations", lambda lines: lines[:-1], 5, 'logged nothing, run again {"t":96,.*…'),
        ("recommendations", lambda lines: [*lines, "{}"], 6, "logged {}, run again nothing"),
        ("queries", lambda lines: [*lines[:5], *lines[6:]], 6, 'logged {"t":5,.*, run again {"t":4,.*'),
    ],
)
def test_lines_are_compared_but_for_the_versions(with_logs, tmp_path, honest_runs, log, edit, line, what):
    folder = with_logs(HONEST)
    edited(folder / "runs" / ENV / "001" / f"{log}.jsonl.gz", edit)
    found = run_again(folder, tmp_path, seeds=3)
    assert [failure.where for failure in found.failures] == (
        [] if line is None else [f"runs/{ENV}/001/{log}.jsonl.gz, line {line}"]
    )
    assert all(re.fullmatch(what, failure.what) for failure in found.failures), found.failures


@pytest.mark.parametrize(
    ("code", "where", "what"),
    [
        (
            HONEST.replace("[:, :2]", "[:, :2][:, :: 1 if self.t < 32 else -1]"),
            "000/queries.jsonl.gz, line 34",
            r'logged \{"t":32,.*"pair":\[(\d+),(\d+)\],.*\}, run again \{"t":32,.*"pair":\[\2,\1\],.*\}',
        ),
        (
            HONEST.replace("np.argmax(", "np.argmin("),
            "000/recommendations.jsonl.gz, line 3",
            r'logged \{"t":32,"candidates":\[\d+,.*…, run again \{"t":32,"candidates":\[\d+,.*…',
        ),
    ],
)
def test_changed_code_is_found_out_by_the_first_line(with_logs, tmp_path, here, code, where, what):
    found = run_again(with_logs(code), tmp_path)
    (failure,) = found.failures
    assert failure.where == f"runs/{ENV}/{where}"
    assert failure.cure.startswith("submit the code and settings that made the runs")
    assert len(failure.what) < 300
    assert re.fullmatch(what, failure.what), failure.what
    assert str(found) == "SyntheticDuel-v0: run again on 1 seed, does not agree"


def test_what_agents_do_is_reported_in_a_line_each_and_other_runs_go_on(honest, tmp_path, here, monkeypatch):
    monkeypatch.setenv("DUELGYM_TEST_SECRET", "salt")
    (tmp_path / "outside").write_text("the logs")
    tricks = {
        "max(iter(int, 1))": r"(used 3\.\d s of processor time; 3 are allowed|.* was killed by SIGXCPU)",
        "ctypes.string_at(0)": r"did not return: its process was killed by SIGSEGV",
        "np.zeros((32, 3), dtype=int)": r"answered int64 of shape \(32, 3\); .*",
        "np.full((32, 2), np.nan)": r"answered float64 of shape \(32, 2\); .*",
        "os.environ['DUELGYM_TEST_SECRET']": r"raised KeyError: 'DUELGYM_TEST_SECRET'",
        "socket.create_connection(('127.0.0.1', 9))": r"raised (PermissionError|OSError): .*",
        f"open({str(tmp_path / 'outside')!r}).read()": r"raised (PermissionError|FileNotFoundError): .*",
    }
    plan = public_plan(ROUND, ENV, {AGENT: {}})
    seeds = [str(plan.agent_seed(Task(AGENT, seed_index))) for seed_index in range(len(tricks) + 1)]
    assert len(seeds) == ROUND.seeds
    settings = {"tricks": dict(zip(seeds[1:], tricks, strict=True))}  # the first seed's runs are honest
    found = run_again(honest, tmp_path, seeds=ROUND.seeds, settings=settings, limits=Limits(cpu_seconds=3))
    reported = dict(zip(tricks, found.failures, strict=True))
    if found.missing:  # without namespaces it could read the file, and fails with what it read
        tricks.popitem()
    for seed_index, (trick, words) in enumerate(tricks.items(), start=1):
        assert reported[trick].where == f"runs/{ENV}/{seed_index:03d}"
        message = f"agent '{AGENT}' on seed index {seed_index}: select_pairs\\(\\) {words}"
        assert re.fullmatch(message, reported[trick].what), reported[trick].what
        assert reported[trick].cure == "submit an agent that runs to its end in isolation"
    assert run_again(honest, tmp_path / "another").agrees


def test_a_reader_of_texts_that_runs_on_all_environments_fails_wherever_it_shows(with_logs, tmp_path, here):
    """One that asks for texts only where there are some is found out there."""
    reader = HONEST.replace("self.trick =", "self.needs_texts = rest['n_candidates'] > 50; self.trick =")
    folder, (runs,) = with_logs(reader), submission().runs.values()
    asked = {"seeds": 1, "jobs": 1}
    both = replace(ROUND, ids=(ENV, ON_POOL))
    (found,) = rerun(replace(submission(), runs={ENV: runs}), ROUND, folder, scratch=tmp_path / "points", **asked)
    assert found.agrees
    (folder / "runs" / ENV).rename(folder / "runs" / ON_POOL)
    entered = replace(submission(), runs={ON_POOL: runs})
    (found,) = rerun(entered, replace(both, ids=(ON_POOL,)), folder, scratch=tmp_path / "texts", **asked)
    (failure,) = found.failures
    assert failure.where == f"runs/{ON_POOL}/000"
    assert failure.what.startswith(
        f"agent '{AGENT}' on seed index 0: it has needs_texts, and was entered among those that"
    )
    (found,) = rerun(entered, both, folder, scratch=tmp_path / "reader", **asked)
    assert not any("needs_texts" in failure.what for failure in found.failures)


def test_weights_that_are_named_are_read_under_their_own_path(with_logs, tmp_path, here):
    weights, other = tmp_path / "weights.txt", tmp_path / "other.txt"
    for path in (weights, other):
        path.write_text(path.name)
        path.chmod(0o644)
    folder = with_logs(f"{HONEST}\n\nassert Path({str(weights)!r}).read_text() == 'weights.txt'\n")
    named = Pretrained(name="weights", revision="1", sha256=sha256_of(weights))

    def again(*readable, pretrained=(named,)):
        made, isolation = replace(submission(), pretrained=pretrained), Isolation(readable=readable)
        return rerun(made, ROUND, folder, seeds=1, scratch=tmp_path / "scratch", jobs=1, isolation=isolation)

    for readable, pretrained, said in (
        (
            (),
            (named,),
            f"team--mine--20260102/submission.json, field pretrained: names weights with sha256 {named.sha256}, which",
        ),
        ((weights, other), (named,), f"{other}: has sha256 {sha256_of(other)}, which no submission that runs names"),
        ((weights,), (), f"{weights}: has sha256 {named.sha256}, which no submission that runs names"),
        ((tmp_path,), (named,), f"{tmp_path}: is no file; give every file by itself"),
    ):
        (failure,) = refused(again, *readable, pretrained=pretrained)
        assert str(failure).startswith(said)
    assert again(weights)[0].agrees


def test_weights_among_the_code_need_not_be_given():
    inside = Pretrained(name="weights", revision="1", sha256=HASH)
    made = replace(submission(), pretrained=(inside,))  # whose only file of code has that hash
    assert weights_of([made], ()) == {made.name: ()}


def test_areas_decide_where_queries_differ(with_logs, tmp_path, here):
    """The logs are those of another stream of draws, as another processor's rounding may give it."""
    noisy = with_logs(HONEST.replace("shift=0", "shift=1"))
    found = run_again(noisy, tmp_path, repeats="statistically")
    assert found.agrees and found.agreement.margin > 0
    assert re.fullmatch(
        r"SyntheticDuel-v0: run again on 1 seed, agrees statistically \(area 0\.\d{4} logged, 0\.\d{4} again: "
        r"99 % interval \[-?\d\.\d{4} \d\.\d{4}\]\)",
        str(found),
    )


def test_logs_of_a_better_agent_are_refused(with_logs, tmp_path, monkeypatch):
    worse = HONEST.replace("contexts.candidates @ self.taste", "self.rng.random(contexts.candidates.shape[:2])")

    def made_here(plan, out, learner, *, jobs, isolation, texts):
        make(worse, plan, out)
        return []

    monkeypatch.setattr("duelgym_bench.leaderboard.rerun.run_tasks", made_here)
    found = run_again(with_logs(worse), tmp_path, seeds=2, repeats="statistically")
    (failure,) = found.failures
    assert failure.where == f"runs/{ENV}" and failure.what == str(found.agreement)
    assert found.agreement.logged > found.agreement.again + found.agreement.margin
    assert "chance does this once in a hundred" in failure.cure


def test_equal_lines_need_no_areas(honest, tmp_path, honest_runs):
    found = run_again(honest, tmp_path, seeds=2, repeats="statistically")
    assert found.agrees and found.agreement is None


def test_areas_differ_within_the_margin_by_hand():
    again = np.array([[0.4, 0.6], [0.6, 0.8], [0.1, 0.3]])  # means .5 .7 .2; s² = .02; s sqrt((1 + 1/2) / 3) = .1
    for shift, holds in ((0.584, True), (-0.584, True), (0.585, False), (-0.585, False)):
        found = agreement(np.array([0.5, 0.7, 0.2]) + shift, again)
        assert found.holds is holds
        assert math.isclose(found.margin, 0.5840909, abs_tol=1e-7)
        assert math.isclose(found.logged, 1.4 / 3 + shift) and math.isclose(found.again, 1.4 / 3)


def test_without_variance_every_area_must_be_equal():
    again = np.tile([[0.5], [0.7]], (1, 4))
    for shift, holds in ((0.0, True), (5e-10, True), (2e-9, False)):
        found = agreement(np.array([0.5 + shift, 0.7 - shift]), again)
        assert found.holds is holds and found.margin == 0


def test_too_few_runs_are_refused():
    with pytest.raises(SpecificationError, match="2 seeds with 2 runs each leave 2 degrees of freedom; at least 3"):
        agreement(np.zeros(2), np.zeros((2, 2)))


def test_honest_logs_are_refused_once_in_a_hundred():
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((4000, 2, 5)) + 3 * rng.standard_normal((4000, 2, 1))  # seeds of environments differ
    refused = sum(not agreement(each[:, 0], each[:, 1:]).holds for each in draws)
    assert 22 <= refused <= 61  # 40 on average; binomial, three in a thousand on either side


def test_bad_arguments_are_refused(honest, tmp_path):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / "old").touch()
    with pytest.raises(SpecificationError, match="scratch is no empty directory"):
        run_again(honest, tmp_path)
    with pytest.raises(SpecificationError, match="seeds is 9; .* at least 1 and at most 8"):
        run_again(honest, tmp_path / "new", seeds=9)
