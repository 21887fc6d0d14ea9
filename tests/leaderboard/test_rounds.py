"""A small round from its opening to its close: what it publishes and when, who is ranked how, and what is refused."""

import contextlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from leaderboard_home import DESCRIBED, FACTORY, in_this_process, lends_namespaces, make_runs
from quick_commands import give

from duelgym.errors import LogError
from duelgym.pools import CandidatePool
from duelgym.rounds import read_queries, replay
from duelgym_bench import executor, perceptron, references
from duelgym_bench.cli import main
from duelgym_bench.files import sha256_of
from duelgym_bench.isolation.launch import Isolation
from duelgym_bench.leaderboard import opening, ranked_runs, rounds
from duelgym_bench.leaderboard.board import Board
from duelgym_bench.leaderboard.check import check, read_round
from duelgym_bench.leaderboard.decisions import decide
from duelgym_bench.leaderboard.failures import RefusedError
from duelgym_bench.leaderboard.new import Described, new
from duelgym_bench.leaderboard.opening import new_round, read_salt
from duelgym_bench.leaderboard.plans import public_plan, ranked_plan
from duelgym_bench.leaderboard.records import read_record, salt_hash, write_record
from duelgym_bench.leaderboard.rescoring import differences, rescored
from duelgym_bench.leaderboard.round_pool import round_prompts
from duelgym_bench.leaderboard.rounds import close_round, run_round
from duelgym_bench.plan import Task
from duelgym_bench.run_directory import RunDirectory
from duelgym_bench.table import printable

DAY, QUERIES, SEEDS = "2026-04-01", 64, 2


class Maintainer:
    """One who holds the salt of a round; calls commands with what they need."""

    def __init__(self, folder):
        self.root, self.private = folder / "repository" / "leaderboard", folder / "private"
        self.root.mkdir(parents=True)
        self.secret = {"salt_file": self.private / "salt", "pool": self.private / "pool"}
        self.runs = self.private / "runs"

    def new(self, name="spring", **changes):
        sizes = {"queries": QUERIES, "batch": 32, "seeds": SEEDS, "prompts": 16, "candidates": 5, "jobs": 0}
        return new_round(self.root, name, **{**self.secret, "day": DAY, **sizes, **changes})

    def run(self, only=(), **changes):
        given = {"out": self.runs, "only": only, "readable": (), "namespaces": "required", "jobs": 1}
        return run_round(self.root, "spring", **{**self.secret, **given, **changes})

    def give(self, action, *more):
        """Give a command as it is printed."""
        secret = {"--salt": self.secret["salt_file"], "--pool": self.secret["pool"], "--runs": self.runs}
        words = [str(word) for pair in secret.items() for word in pair]
        return give(self.root.parent, "duelgym-bench", "round", action, "spring", *words, "--jobs", "1", *more)

    def close(self, left_out=None, **changes):
        given = {**self.secret, "out": self.runs, "day": "2026-05-01", "left_out": left_out or {}, "jobs": 1}
        return close_round(self.root, "spring", **{**given, **changes})


@pytest.fixture(scope="module")
def closed(made, tmp_path_factory):
    """A round, as it was when open and as it is closed; its references have learnt little, which is not what is tested."""
    folder = tmp_path_factory.mktemp("round")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranked_runs, "workers", lambda jobs: contextlib.nullcontext(SimpleNamespace(map=map)))
        patch.setattr(perceptron, "MOST_STEPS", 20)
        patch.setattr(references, "N_BLIND_PAIRS", 2)
        patch.setattr(executor, "executor_named", lambda name: in_this_process)
        if not lends_namespaces():  # there, runs without any pass for those that rank: the rest is tested all the same
            patch.setattr(rounds, "Isolation", lambda **given: Isolation(**{**given, "namespaces": "wanted"}))
        patch.syspath_prepend(str(made.code.parent))
        one = Maintainer(folder)
        one.private.mkdir()
        one.secret["salt_file"].write_text("5a" * 32 + "\n")  # as a killed opening leaves it; others may split badly
        opened = one.new()
        for agent, name in ((FACTORY, "taste"), ("passive+bayesian_linear", "linear"), (FACTORY, "again")):
            runs = [make_runs(opened, env, agent, folder / name / env) for env in opened.ids]
            described = Described(**{**vars(DESCRIBED), "agent": name, "team": f"{name}-lab"})
            new(one.root, described, runs, code=[made.code] if agent == FACTORY else [])
        shutil.copytree(one.root, folder / "open" / "leaderboard")
        one.opened = opened
        one.failures = one.run(only=["taste-lab--taste--20260301"]) + one.run(only=["linear-lab--linear--20260301"])
        with pytest.raises(RefusedError) as refused:
            one.close()
        one.unfinished = refused.value.failures
        shutil.rmtree(one.root / "submissions" / "again-lab--again--20260301")  # its runs are made in no test
        one.ran = one.give("run")
        one.closing = one.give("close", "--date", "2026-05-01")
        one.board = read_record(one.root / "rounds" / "spring" / "board.json", Board)
        yield one


@pytest.fixture
def open_again(closed, tmp_path):
    """The round while it was open, in a folder that a test may spoil."""
    again = Maintainer(tmp_path)
    shutil.copytree(closed.root.parent.parent / "open" / "leaderboard", again.root, dirs_exist_ok=True)
    again.secret, again.runs = closed.secret, closed.runs
    return again


def test_an_open_round_gives_only_hashes_away(closed):
    opened = json.loads((closed.root.parent.parent / "open/leaderboard/rounds/spring.json").read_text())
    salt = closed.secret["salt_file"].read_text().strip()
    assert opened["salt"] is None and opened["salt_sha256"] == salt_hash(salt)
    text = "".join(path.read_text() for path in (closed.root.parent.parent / "open").rglob("*.json"))
    assert salt not in text
    assert not (closed.root.parent.parent / "open/leaderboard/rounds/spring").exists()


def test_pool_and_seeds_follow_from_the_salt_alone(closed):
    salt = read_salt(closed.secret["salt_file"], closed.root)
    pool = CandidatePool.open(closed.secret["pool"])
    assert [pool.texts(row).prompt for row in range(pool.n_prompts)] == round_prompts(salt, 16)
    assert not set(round_prompts(salt, 16)) & set(round_prompts(salt[::-1], 16))
    plans = [
        plan
        for env in closed.opened.ids
        for plan in (
            public_plan(closed.opened, env, {}),
            ranked_plan(closed.opened, env, {}, salt=salt, pool=closed.secret["pool"]),
            ranked_plan(closed.opened, env, {}, salt=salt[::-1], pool=closed.secret["pool"]),
        )
    ]
    seeds = [plan.env_seed(k) for plan in plans for k in range(SEEDS)]
    assert len(set(seeds)) == len(seeds)
    agents = {plan.agent_seed(Task("a", 0)) for plan in plans}
    assert len(agents) == 3 and not agents & set(seeds)  # an agent's own seed says nothing about the environment's


def test_no_run_fails_and_a_missing_one_is_named(closed):
    assert closed.failures == [] and closed.ran.returncode == 0, closed.ran.stderr
    assert [failure.where for failure in closed.unfinished[:2]] == ["again-lab--again--20260301"] * 2
    assert "has 2 of 2 runs on LLMDuel-v0 unfinished" in closed.unfinished[0].what


def test_a_closed_round_publishes_all_that_a_stranger_needs_to_repeat_it(closed):
    round = read_round(closed.root, "spring")
    assert round.closed == "2026-05-01" and salt_hash(round.salt) == round.salt_sha256
    published = closed.root / "rounds" / "spring"
    assert CandidatePool.open(published / "pool").sha256 == round.pool.sha256
    logs = sorted((published / "runs").rglob("queries.jsonl.gz"))
    # two entries and three trivial agents on both environments, the longest two where there are texts, two seeds each
    assert len(logs) == 2 * (2 * 5 + 1)
    for log in logs[:3] + logs[-3:]:
        pool = published / "pool" if "LLMDuel-v0" in log.parts else None
        assert replay(log, pool=pool).complete
        env = log.parent.parent.name
        plan = ranked_plan(round, env, {}, salt=round.salt, pool=published / "pool")
        assert read_queries(log).header["seed"] == plan.env_seed(int(log.parent.name))
    decisions = (closed.root / "decisions.md").read_text()
    assert decisions.startswith("# Decisions\n\n- 2026-04-01: Round spring opened.\n- 2026-05-01: Round spring closed")
    assert "taste-lab--taste--20260301" in decisions


def test_the_board_ranks_entries_and_shows_who_must_lose(closed):
    board = closed.board
    assert closed.closing.returncode == 0, closed.closing.stderr
    assert all(row.name in closed.closing.stdout for row in board.rows)
    kinds = {kind: [row for row in board.rows if row.kind == kind] for kind in ("entry", "trivial", "limit")}
    assert {row.name for row in kinds["entry"]} == {"taste-lab--taste--20260301", "linear-lab--linear--20260301"}
    assert {row.name for row in kinds["trivial"]} == {
        "uniform pairs", "first two", "same pair", "longest two", "uniform", "constant index", "longest answer",
        "rater-blind",
    }  # fmt: skip
    assert [row.name for row in kinds["limit"]] == ["oracle", "supervised reference"]
    for row in board.rows:
        areas = [on.area.value for on in row.on.values()]
        assert np.isclose(row.area.value, np.mean(areas)) and row.area.low <= row.area.value <= row.area.high
        assert (row.rank is None) == (row.kind != "entry") == (row.submission is None)
    for row in kinds["entry"]:
        checked = check(closed.root / "submissions" / row.name, closed.root)
        claims = [runs.claims.area for runs in checked.submission.runs.values()]
        assert row.submission == checked.sha256 and np.isclose(row.drop.value, np.mean(claims) - row.area.value)
        assert len(row.profile) == len(board.thresholds) and row.seconds_per_query > 0
        assert len(row.on["LLMDuel-v0"].curve) == len(board.checkpoints)
    assert np.isclose(next(row for row in kinds["limit"] if row.name == "oracle").area.value, 1)
    matrix = np.array(board.improvement)
    assert np.allclose(matrix + matrix.T, 1) and (matrix.diagonal() == 0.5).all()
    longest = {row.name: set(row.on) for row in kinds["trivial"] if row.track == "text"}
    assert longest == {"longest two": {"LLMDuel-v0"}, "longest answer": {"LLMDuel-v0"}}


def refusals(call, *arguments, **given):
    with pytest.raises(RefusedError) as refused:
        call(*arguments, **given)
    assert all(failure.cure and printable(str(failure)) == str(failure) for failure in refused.value.failures)
    return "\n".join(map(str, refused.value.failures))


def test_what_would_give_a_secret_away_is_refused(open_again):
    beside = open_again.root.parent / "salt"
    assert "would be published" in refusals(open_again.new, "summer", salt_file=beside)
    assert "would be published" in refusals(open_again.new, "summer", pool=open_again.root / "pool")
    assert not beside.exists() and not (open_again.root / "pool").exists()


def test_ranked_runs_whose_plans_hold_the_salt_lie_elsewhere(open_again):
    assert "would be published" in refusals(open_again.run, out=open_again.root.parent / "runs")
    assert not (open_again.root.parent / "runs").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "Spring 2"}, "Spring 2.json, field name: must be lower-case letters and digits, with single hyphens between them (given: \"Spring 2\")"),
        ({"day": "tomorrow"}, "summer.json, field opened: must be a day, as YYYY-MM-DD"),
        ({"queries": 0}, "summer.json, field queries: Input should be greater than or equal to 1 (given: 0); see round.schema.json"),
        ({"batch": 0}, "give two seeds at least, and queries that are a multiple of the batch"),
        ({"prompts": 0}, "field pool.prompts"),
        ({}, "is the salt of round spring; name a new file"),
    ],
)  # fmt: skip
def test_a_round_that_cannot_be_is_refused_before_its_pool_is_recorded(open_again, tmp_path, changes, said):
    found = refusals(open_again.new, **{"name": "summer", "pool": tmp_path / "pool", **changes})
    assert said.replace("field pool.prompts", "field prompts") in found
    assert not (tmp_path / "pool").exists()


def test_a_salt_is_drawn_for_its_owner_alone(open_again, tmp_path, monkeypatch):
    monkeypatch.setattr(
        opening, "record_round_pool", lambda out, salt, **rest: CandidatePool.open(open_again.secret["pool"])
    )
    for name in ("summer", "autumn"):
        opened = open_again.new(name, salt_file=tmp_path / "new" / name)
        assert (tmp_path / "new" / name).stat().st_mode & 0o077 == 0
        assert opened.salt_sha256 == salt_hash(read_salt(tmp_path / "new" / name, open_again.root))
    assert read_salt(tmp_path / "new/summer", open_again.root) != read_salt(tmp_path / "new/autumn", open_again.root)


def test_another_salt_or_pool_is_refused(open_again, tmp_path):
    other = tmp_path / "other"
    other.write_text("ab" * 32)
    assert "is not the salt of round spring" in refusals(open_again.run, salt_file=other)
    other.write_text("no secret")
    assert "does not hold 64 hexadecimal digits" in refusals(open_again.close, salt_file=other)
    pool = shutil.copytree(open_again.secret["pool"], tmp_path / "pool")
    manifest = json.loads((pool / "pool.json").read_text())
    assert "is there already" in refusals(open_again.new)
    (pool / "pool.json").write_text(json.dumps({**manifest, "name": "another"}))
    with pytest.raises((RefusedError, LogError, Exception), match="pool"):
        open_again.run(pool=pool)


def test_a_round_is_closed_once_and_ranks_somebody(closed, open_again):
    assert "was closed on 2026-05-01" in refusals(closed.close)
    assert "was closed on 2026-05-01" in refusals(closed.run)
    assert "is no entry of round spring" in refusals(open_again.close, {"nobody--at-all--20260301": "asked"})
    assert "is no entry of round spring" in refusals(open_again.run, ["nobody--at-all--20260301"])
    shutil.rmtree(open_again.root / "submissions")
    assert "has no entries" in refusals(open_again.close)


def test_a_closing_that_was_killed_leaves_nothing_behind(open_again, closed, monkeypatch):
    shutil.rmtree(open_again.root / "submissions" / "again-lab--again--20260301")
    monkeypatch.setattr(rounds, "environment_results", lambda plans, **more: None)
    monkeypatch.setattr(rounds, "board", lambda *given: closed.board)
    linear = "linear-lab--linear--20260301"
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(rounds, "write_record", _killed_at("spring.json"))
        open_again.close()
    published = open_again.root / "rounds" / "spring"
    assert (published / "runs" / linear).exists() and read_round(open_again.root, "spring").closed is None
    said = (open_again.root / "decisions.md").read_text()
    for reason, day in (("two\nlines", "2026-05-01"), ("none", "tomorrow")):
        assert "cannot hold" in refusals(open_again.close, {linear: reason}, day=day)
    assert (published / "runs" / linear).exists()  # what is refused changes nothing
    (open_again.root / "submissions" / linear / "submission.json").write_text("damaged")
    assert linear in refusals(open_again.close)
    open_again.close({linear: "it is damaged"})
    assert not (published / "runs" / linear).exists() and (published / "runs" / "taste-lab--taste--20260301").exists()
    assert read_round(open_again.root, "spring").closed == "2026-05-01"
    more = (open_again.root / "decisions.md").read_text().removeprefix(said).splitlines()
    assert more[0] == f"- 2026-05-01: {linear} is not ranked in round spring: it is damaged" and len(more) == 2


def test_runs_of_an_entry_that_has_changed_since_do_not_count(open_again):
    shutil.rmtree(open_again.root / "submissions" / "again-lab--again--20260301")
    record = open_again.root / "submissions" / "taste-lab--taste--20260301" / "submission.json"
    content = json.loads(record.read_text())
    record.write_text(json.dumps({**content, "about": "Something else."}))
    assert "taste-lab--taste--20260301: has 2 of 2 runs on LLMDuel-v0 unfinished" in refusals(open_again.close)
    assert not (open_again.root / "rounds" / "spring").exists()


@pytest.fixture
def as_run(open_again, tmp_path, monkeypatch):
    """Folder of runs -> how a round has had them made, which here takes no time; of two entries."""
    made = {}

    def run_tasks(plan, out, learner, *, jobs, isolation, texts):
        made[out.relative_to(open_again.runs).as_posix()] = isolation, texts
        for task in plan.tasks():
            done = RunDirectory(out / "runs" / task.name).done
            done.parent.mkdir(parents=True, exist_ok=True)
            done.touch()
        return []

    open_again.runs = tmp_path / "runs"
    shutil.rmtree(open_again.root / "submissions" / "again-lab--again--20260301")
    monkeypatch.setattr(rounds, "run_tasks", run_tasks)
    monkeypatch.setattr(rounds, "_learner", lambda plan, out: None)
    return made


def test_runs_that_did_not_insist_on_namespaces_are_not_ranked(open_again, as_run):
    assert open_again.run(namespaces="wanted") == []
    isolated = {folder: isolation.namespaces for folder, (isolation, _) in as_run.items() if isolation}
    assert len(isolated) == 2 * 2 and set(isolated.values()) == {"wanted"}
    assert all(folder.endswith("--wanted") for folder in isolated)
    assert refusals(open_again.close).count("has 2 of 2 runs on ") == 2 * 2  # the trivial agents' are as good as any


def test_who_runs_on_all_environments_gets_no_texts(open_again, as_run):
    reader = "linear-lab--linear--20260301"
    record = open_again.root / "submissions" / reader / "submission.json"
    content = json.loads(record.read_text())
    shutil.rmtree(record.parent / "runs" / "SyntheticDuel-v0")
    del content["runs"]["SyntheticDuel-v0"]
    record.write_text(json.dumps(content))
    assert open_again.run() == []
    texts = {folder.rpartition("--")[0]: texts for folder, (isolation, texts) in as_run.items() if isolation}
    assert texts == {
        f"LLMDuel-v0/{reader}": True,
        "LLMDuel-v0/taste-lab--taste--20260301": False,
        "SyntheticDuel-v0/taste-lab--taste--20260301": False,
    }


def test_every_entry_reads_the_weights_that_it_names_and_no_others(open_again, as_run, tmp_path):
    given = []
    for name in ("taste-lab--taste--20260301", "linear-lab--linear--20260301"):
        given.append(tmp_path / f"{name}.safetensors")
        given[-1].write_text(name)
        record = open_again.root / "submissions" / name / "submission.json"
        weights = {"name": f"weights/{name}", "revision": "1", "sha256": sha256_of(given[-1])}
        record.write_text(json.dumps({**json.loads(record.read_text()), "pretrained": [weights]}))
    assert "names weights/linear-lab--linear--20260301 with" in refusals(open_again.run, readable=given[:1])
    assert not as_run
    assert open_again.run(readable=given) == []
    for folder, (isolation, _) in as_run.items():
        assert isolation is None or [path.stem for path in isolation.readable] == [
            folder.split("/")[1].rpartition("--")[0]
        ]


def test_a_decision_is_said_once(tmp_path):
    decide(tmp_path, DAY, "One.", "Two.")
    decide(tmp_path, DAY, "Two.", "Three.")
    assert (tmp_path / "decisions.md").read_text() == "# Decisions\n\n" + "".join(
        f"- {DAY}: {text}\n" for text in ("One.", "Two.", "Three.")
    )


def _killed_at(name):
    def write(path, record):
        if path.name == name:
            raise KeyboardInterrupt
        write_record(path, record)

    return write


def test_an_entry_that_fails_its_check_stops_the_round(open_again):
    record = open_again.root / "submissions" / "taste-lab--taste--20260301" / "submission.json"
    content = json.loads(record.read_text())
    content["runs"]["LLMDuel-v0"]["claims"]["area"] += 0.01
    record.write_text(json.dumps(content))
    said = refusals(open_again.run)
    assert "taste-lab--taste--20260301/submission.json, field runs.LLMDuel-v0.claims.area: claims" in said


@pytest.fixture
def copied(closed, tmp_path):
    """The leaderboard of the closed round, which a test may spoil."""
    return Path(shutil.copytree(closed.root, tmp_path / "repository" / "leaderboard"))


def test_a_board_is_what_its_published_logs_show_and_an_edited_one_is_caught(copied):
    was, now = rescored(copied, "spring", jobs=1)
    assert now == replace(was, versions=now.versions) and differences(was, now) == []
    best, *others = was.rows
    edited = replace(was, rows=(replace(best, area=replace(best.area, high=best.area.high + 1e-3)), *others))
    (found,) = differences(edited, now)
    assert found.where == f"board.json, field rows[{best.name}].area.high" and repr(best.area.high) in found.what
    assert {failure.where for failure in differences(replace(was, rows=(*others, best)), now)} >= {
        f"board.json, field rows[{k}].name" for k in range(len(was.rows))
    }


def test_another_log_in_place_of_a_published_one_shows(copied):
    runs = copied / "rounds" / "spring" / "runs"
    theirs, mine = (
        runs / f"{name}-lab--{name}--20260301" / "LLMDuel-v0" / "000" / "recommendations.jsonl.gz"
        for name in ("linear", "taste")
    )
    shutil.copyfile(theirs, mine)
    found = differences(*rescored(copied, "spring", jobs=1))
    assert any("taste-lab" in failure.where and ".on.LLMDuel-v0.area.value" in failure.where for failure in found), (
        found
    )
    shutil.copyfile(mine.parents[1] / "001" / "queries.jsonl.gz", mine.with_name("queries.jsonl.gz"))
    with pytest.raises(LogError, match=r"taste-lab.*seed is not that of the plan"):
        rescored(copied, "spring", jobs=1)


def test_what_a_board_rests_on_is_checked_before_it_is_computed(copied):
    submission = copied / "submissions" / "linear-lab--linear--20260301" / "submission.json"
    text = submission.read_text()
    submission.write_text(text.replace('"licence": "', '"licence": "Not '))
    with pytest.raises(RefusedError, match="linear-lab--linear--20260301: has changed since it was ranked"):
        rescored(copied, "spring", jobs=1)
    submission.write_text(text)
    path = copied / "rounds" / "spring.json"
    round = read_round(copied, "spring")
    write_record(path, replace(round, salt="a5" * 32))
    with pytest.raises(RefusedError, match="spring.json, field salt: is not the one that was hashed"):
        rescored(copied, "spring", jobs=1)
    write_record(path, replace(round, closed=None, salt=None))
    with pytest.raises(RefusedError, match="round spring: is open"):
        rescored(copied, "spring", jobs=1)


def test_a_board_is_written_anew_with_a_reason(copied, capsys):
    path = copied / "rounds" / "spring" / "board.json"
    right = path.read_text()
    path.write_text(right.replace('"rank": 1', '"rank": 2', 1))
    given = ["round", "rescore", "spring", "--leaderboard", str(copied), "--jobs", "1"]
    assert main(given) == 1
    assert ".rank: says 2, the logs show 1; run 'round rescore' with --reason" in capsys.readouterr().err
    assert main([*given, "--reason", "a rank was wrong", "--date", "2026-05-02"]) == 0
    assert path.read_text() == right
    assert (
        "- 2026-05-02: Round spring rescored from its logs: a rank was wrong\n" in (copied / "decisions.md").read_text()
    )
