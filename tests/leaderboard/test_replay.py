"""What only the environment can tell: forged answers and contexts, in logs that are otherwise as they must be."""

import contextlib
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import SimpleNamespace

import pytest
from leaderboard_home import ROUND, edit_line, lines_of, refused

from duelgym_bench.cli import main
from duelgym_bench.leaderboard.check import check
from duelgym_bench.leaderboard.replay import replay
from duelgym_bench.leaderboard.status import read_replayed

SYNTHETIC, LLM = ROUND.ids


def query(home, env, number):
    return json.loads(lines_of(home.log(env))[number - 1])


def found(home):
    """Return (where, what) of all that replaying finds in what checking lets pass."""
    home.hash_again()
    assert check(home.submission, home.root)
    return [(failure.where, failure.what) for failure in refused(replay, home.submission, home.root, jobs=1)]


def test_an_honest_submission_replays(home):
    assert replay(home.submission, home.root, jobs=1) == check(home.submission, home.root)


def test_one_flipped_preference_in_a_thousand(long_home):
    there = query(long_home, SYNTHETIC, 777)["preference"]
    edit_line(long_home.log(), 777, preference=1 - there)
    assert found(long_home) == [
        (
            f"runs/{SYNTHETIC}/000/queries.jsonl.gz, line 777",
            f"query 775 logs preference {1 - there}, replay gives {there}",
        )
    ]


@pytest.mark.parametrize("env", ROUND.ids)
def test_a_swapped_candidate(home, env):
    first, second = query(home, env, 50)["candidates"]
    edit_line(home.log(env), 50, candidates=[second, first])
    ((where, what),) = found(home)
    assert where == f"runs/{env}/000/queries.jsonl.gz, line 50"
    assert what == f"query 48 logs candidates [{second}, {first}], replay gives [{first}, {second}]"


def test_forged_contexts_and_every_log_by_its_first_line(home):
    edit_line(home.log(), 33, digest="0" * 16)
    edit_line(home.log(), 80, prompt=10**9)
    edit_line(home.log(LLM, 1), 60, prompt=0)
    edit_line(home.log(LLM, 1), 70, preference=2)
    (where, what), (other, said) = found(home)
    assert where == f"runs/{SYNTHETIC}/000/queries.jsonl.gz, line 33" and what.endswith("other contexts were shown")
    assert other == f"runs/{LLM}/001/queries.jsonl.gz, line 60" and said.startswith("query 58 logs prompt 0,")


def test_processes_find_the_same(home, monkeypatch):
    edit_line(home.log(), 9, preference=3)
    home.hash_again()

    @contextlib.contextmanager
    def workers(jobs):
        with ThreadPoolExecutor(jobs) as pool:
            yield SimpleNamespace(map=lambda call, runs: pool.map(pickle.loads(pickle.dumps(call)), runs))

    monkeypatch.setattr("duelgym_bench.leaderboard.replay.workers", workers)
    assert refused(replay, home.submission, home.root, jobs=2) == refused(replay, home.submission, home.root, jobs=1)


def test_what_replays_is_written_down(home, capsys):
    given = ["submission", "replay", str(home.submission), "--leaderboard", str(home.root), "--jobs", "1"]
    assert main(given) == 0
    assert capsys.readouterr().out.rstrip().endswith("status reported") and not read_replayed(home.root)
    assert main([*given, "--record", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "ok": True,
        "submission": home.submission.name,
        "status": "replayed",
        "failures": [],
    }
    assert list(read_replayed(home.root)) == [home.submission.name]
    assert main([*given, "--jobs", "0"]) == 1
    assert capsys.readouterr().err == "duelgym-bench: error: --jobs is 0; it must be at least 1\n"


def test_whatever_goes_wrong_is_json_for_machines(home, capsys, monkeypatch):
    @contextlib.contextmanager
    def killed(jobs):
        raise BrokenProcessPool
        yield

    monkeypatch.setattr("duelgym_bench.leaderboard.replay.workers", killed)
    given = [str(home.submission), "--leaderboard", str(home.root), "--json", "--jobs", "2"]
    for words, what in (
        (["replay", *given], "a process was killed (out of memory?)"),
        (["rerun", *given, "--seeds", "99"], "seeds is 99; it must be"),
        (["rerun", *given, "--seeds", "1", "--readable", str(home.root)], "is no file"),
    ):
        assert main(["submission", *words]) == 1
        out, err = capsys.readouterr()
        said = json.loads(out)
        (failure,) = said.pop("failures")
        assert said == {"ok": False, "submission": home.submission.name, "status": None}
        assert what in failure["what"] and failure["where"] and failure["cure"] and not err


def test_what_does_not_replay_is_not_written_down(home, capsys):
    edit_line(home.log(), 9, preference=3)
    home.hash_again()
    given = ["submission", "replay", str(home.submission), "--leaderboard", str(home.root), "--jobs", "1", "--record"]
    assert main(given) == 1
    line = f"duelgym-bench: refused: runs/{SYNTHETIC}/000/queries.jsonl.gz, line 9: query 7 logs preference 3, replay gives"
    out, err = capsys.readouterr()
    assert out == "" and [text.startswith(line) for text in err.splitlines()] == [True]
    assert main([*given, "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    (failure,) = said.pop("failures")
    assert said == {"ok": False, "submission": home.submission.name, "status": None}
    assert failure["where"] == f"runs/{SYNTHETIC}/000/queries.jsonl.gz, line 9" and failure["cure"]
    assert not (home.root / "replayed.json").exists()
