"""What checking finds without running anything; hashes are the cheater's own, so that they betray nobody."""

import gzip
import json
import os
import shutil
import tracemalloc
import zlib
from dataclasses import replace

import numpy as np
import pytest
from leaderboard_home import FACTORY, ROUND, edit_line, edit_log, lines_of, refused
from safetensors.numpy import save_file

from duelgym_bench.leaderboard.check import check
from duelgym_bench.leaderboard.folder import LOGS
from duelgym_bench.leaderboard.records import Submission, read_record, write_record

SYNTHETIC, LLM = ROUND.ids


def found(home):
    """Return (where, what) of all that is wrong, once the hashes are right again."""
    home.hash_again()
    return [(failure.where, failure.what) for failure in refused(check, home.submission, home.root)]


def the_only(home):
    (failure,) = found(home)
    return failure


def test_an_honest_submission_passes(home):
    checked = check(home.submission, home.root)
    assert checked.submission.name == home.submission.name == "example-lab--taste--20260301"
    assert checked.round == ROUND and tuple(checked.plans) == ROUND.ids
    plan = checked.plans[LLM]
    assert (plan.agents, plan.queries, plan.seeds, plan.salt) == ((FACTORY,), 96, 2, "")
    assert checked.directory(LLM, 1).queries == home.log(LLM, 1)


def test_a_closed_round_can_be_checked_again(home):
    write_record(home.root / "rounds" / f"{ROUND.name}.json", replace(ROUND, closed="2026-06-30", salt="0" * 64))
    assert check(home.submission, home.root).round.closed == "2026-06-30"


@pytest.mark.parametrize(
    ("change", "line", "what"),
    [
        (lambda lines: lines.pop(500), 501, "query 500 where 499 must follow; a line is missing or repeated"),
        (lambda lines: lines.insert(500, lines[499]), 501, "query 498 where 499 must follow"),
        (lambda lines: lines.pop(), 1024, "is the last, after 1023 queries of 1024"),
        (lambda lines: lines.append(lines[-1].replace('"t":1023', '"t":1024')), 1026, "is the last, after 1025"),
        (lambda lines: lines.insert(7, "[" * 100_000 + "\n"), 8, "not JSON"),
        (lambda lines: lines.insert(7, '{"t":' + "9" * 5000 + "}\n"), 8, "not JSON"),
        (lambda lines: lines.insert(7, " " + lines.pop(7)), 8, "not as the recorder writes it"),
    ],
)
def test_lines_of_queries_are_whole_and_in_order(long_home, change, line, what):
    edit_log(long_home.log(), change)
    where, said = the_only(long_home)
    assert where == f"runs/{SYNTHETIC}/000/queries.jsonl.gz, line {line}" and said.startswith(what)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"pair": [0, 16]}, "a pair is not two positions from 0 to 15"),
        ({"pair": [-1, 0]}, "a pair is not two positions from 0 to 15"),
        ({"pair": [3, 3], "candidates": [1, 2]}, "two positions show one candidate, or one position two"),
        ({"preference": 4}, "a preference is not from 0 to 3"),
        ({"preference": 0.0}, "a field is not the whole numbers it must be"),
        ({"preference": 10**30}, "a field is not the whole numbers it must be"),
        ({"note": "hello"}, "has fields"),
        ({"digest": "0" * 16}, "a digest stands at the end of each batch of 32 alone"),
    ],
)
def test_every_query_is_legal(home, fields, what):
    edit_line(home.log(), 70, **fields)
    where, said = the_only(home)
    assert where == f"runs/{SYNTHETIC}/000/queries.jsonl.gz, line 70" and said.startswith(what)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("schema", True),
        ("env", "PoolDuel-v0"),
        ("budget", 192),
        ("batch", 16),
        ("seed", 5),
        ("seed_index", 1),
        ("specification", {"problem": "pool", "pool": {"name": "mine", "sha256": "0" * 64}, "split": "learn"}),
        ("specification", {"problem": "synthetic", "dimension": 2}),
        ("agent", "mine"),
    ],
)
def test_a_log_of_another_plan_or_pool(home, name, value):
    edit_line(home.log(), 1, **{name: value})
    where, what = the_only(home)
    assert where == f"runs/{SYNTHETIC}/000/queries.jsonl.gz, line 1"
    assert what.startswith(f"{name} is {json.dumps(value, sort_keys=True)[:60]}") and "the round has" in what


@pytest.mark.parametrize(
    "versions", [None, {}, {"duelgym": "0.1.0"}, ("duelgym", "9.9.9"), ("numpy", 2), ("numpy", "2" * 200)]
)
def test_versions_that_no_recorder_writes(home, versions):
    if isinstance(versions, tuple):
        versions = json.loads(lines_of(home.log())[0])["versions"] | dict([versions])
    edit_line(home.log(), 1, versions=versions)
    where, what = the_only(home)
    assert where.endswith("queries.jsonl.gz, line 1") and ("version" in what or "9.9.9" in what)


def test_claims_are_recomputed(home):
    home.edit(lambda fields: fields["runs"][LLM]["claims"].update(area=0.99))
    honest = read_record(home.submission / "submission.json", Submission).runs[LLM].claims
    where, what = the_only(home)
    assert where == f"submission.json, field runs.{LLM}.claims.area" and what.startswith("claims 0.99, the logs show ")
    shown = float(what.rpartition(" ")[2])
    home.edit(lambda fields: fields["runs"][LLM]["claims"].update(area=shown + 5e-10))
    assert check(home.submission, home.root) and honest.area == 0.99
    home.edit(lambda fields: fields["runs"][LLM]["claims"].update(area=shown + 2e-9))
    assert the_only(home)[0] == where


@pytest.mark.parametrize(
    ("number", "fields", "what"),
    [
        (1, {"prompts": [1, 2, 3]}, "a checkpoint twice, or not one candidate for every prompt"),
        (1, {"schema": 2}, "schema 2; this version reads schema 1"),
        (3, {"t": 0}, "a checkpoint twice, or not one candidate for every prompt"),
        (3, {"t": "32"}, "not a line of recommendations"),
        (3, {"t": [32]}, "not a line of recommendations"),
        (3, {"t": 33}, "checkpoints"),
        (3, {"candidates": [0.5] * 256}, "not a line of recommendations"),
        (3, {"candidates": [10**30] * 256}, "not a line of recommendations"),
        (3, {"candidates": [99] * 256}, "recommends a candidate that was not shown"),
        (3, {"candidates": "0" * 256}, "not a line of recommendations"),
    ],
)
def test_recommendations_are_those_of_the_plan(home, number, fields, what):
    edit_line(home.log(which=1), number, **fields)
    where, said = the_only(home)
    assert where.startswith(f"runs/{SYNTHETIC}/000/recommendations.jsonl.gz") and said.startswith(what)


def test_a_torn_end_is_refused(home):
    for which in (0, 1):
        path = home.log(which=which)
        path.write_bytes(path.read_bytes()[:-3])
    assert all(what.startswith("ends with ") and "cut off" in what for _, what in found(home))
    assert len(found(home)) == 2


def test_hashes_of_logs_and_code(home):
    home.log(seed=1).write_bytes(home.log(seed=1).read_bytes() + b"x")
    (home.submission / "agent" / "tasteful_agent.py").write_text("x = 1\n")
    failures = refused(check, home.submission, home.root)
    wheres = [failure.where for failure in failures if "has sha256" in failure.what]
    assert wheres == ["agent/tasteful_agent.py", f"runs/{SYNTHETIC}/001/queries.jsonl.gz"]


def test_a_missing_seed(home):
    shutil.rmtree(home.submission / "runs" / LLM / "001")
    failures = refused(check, home.submission, home.root)
    assert [(failure.where, failure.what) for failure in failures] == [
        (f"runs/{LLM}/001/{log}", "is missing") for log in LOGS
    ]
    home.edit(lambda fields: fields["runs"][LLM]["files"].pop())
    failures = refused(check, home.submission, home.root)
    assert failures[0].where == f"submission.json, field runs.{LLM}.files"
    assert failures[0].what == "names 1 seeds; round 2026-spring has 2" and len(failures) == 3


@pytest.mark.parametrize("env", ROUND.ids)
def test_a_seed_that_is_a_copy_of_another(home, env):
    true = json.loads(lines_of(home.log(env, 1))[0])
    for which in (0, 1):
        shutil.copy(home.log(env, 0, which), home.log(env, 1, which))
    where, what = found(home)[0]
    copied = json.loads(lines_of(home.log(env, 0))[0])
    assert where == f"runs/{env}/001/queries.jsonl.gz, line 1"
    assert what == f"seed is {copied['seed']}; the round has {true['seed']}"

    edit_log(home.log(env, 1), lambda lines: lines.__setitem__(0, lines_of(home.log(env, 0))[0]))
    edit_line(home.log(env, 1), 1, **true)
    assert (f"runs/{env}/001/queries.jsonl.gz", "shows what seed 000 shows") in found(home)


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "runs/notes.txt",
        f"runs/{SYNTHETIC}/000/timings.jsonl",
        f"runs/{SYNTHETIC}/002/queries.jsonl.gz",
        "runs/PoolDuel-v0/000/queries.jsonl.gz",
        "agent/more.py",
        "agent/weights.pkl",
        "agent/more.zip",
        "agent/.hidden.py",
        "agent/__pycache__/tasteful_agent.cpython-311.pyc",
        "agent/" + "/".join("abcdefgh") + "/deep.py",
        ".git/config",
    ],
)
def test_a_foreign_file(home, name):
    path = home.submission / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    (failure,) = refused(check, home.submission, home.root)
    assert name.startswith(failure.where) and failure.where != "submission.json"


def test_links_and_special_files_are_not_followed(home):
    (home.submission / "agent" / "link.py").symlink_to(home.code)
    (home.submission / "runs" / "link").symlink_to(home.submission)
    os.mkfifo(home.submission / "agent" / "pipe.py")
    home.log().unlink()
    home.log().symlink_to(home.log(seed=1))
    failures = refused(check, home.submission, home.root)
    assert [(failure.where, failure.what) for failure in failures] == [
        ("agent/link.py", "is a link"),
        ("agent/pipe.py", "is no plain file"),
        ("runs/" + SYNTHETIC + "/000/queries.jsonl.gz", "is a link"),
        ("runs/link", "is a link"),
    ]
    moved = home.submission.rename(home.root / "elsewhere")
    home.submission.symlink_to(moved)
    (failure,) = refused(check, home.submission, home.root)
    assert (failure.where, failure.what) == (home.submission.name, "is no directory")


def test_a_binary_that_is_called_a_text(home):
    path = home.submission / "agent" / "notes.txt"
    path.write_bytes(gzip.compress(b"x"))
    home.edit(lambda fields: fields["code"].update({"notes.txt": "0" * 64}))
    assert found(home) == [("agent/notes.txt", "is no text in UTF-8")]


@pytest.mark.parametrize(
    "content", [b"", gzip.compress(b"x", mtime=0), b"\2\0\0\0\0\0\0\0{}more", (2**63).to_bytes(8, "little") + b"{}"]
)
def test_an_archive_that_is_called_weights(home, content):
    path = home.submission / "agent" / "weights.safetensors"
    home.edit(lambda fields: fields["code"].update({path.name: "0" * 64}))
    path.write_bytes(content)
    assert found(home) == [("agent/weights.safetensors", "is not what its name says")]
    save_file({"weights": np.zeros(3)}, path)
    home.hash_again()
    assert path.name in check(home.submission, home.root).submission.code


@pytest.mark.parametrize(
    ("factory", "what"),
    [
        ("other:taste", "is other:taste, which is not in agent/"),
        ("tasteful_agent.taste:taste", "is tasteful_agent.taste:taste, which is not in agent/"),
        ("sb3:tasteful_agent", "is sb3:tasteful_agent, which is not in agent/"),
        ("no-such-agent", "no agent is called 'no-such-agent'"),
        ("passive+no-such-model", "no "),
    ],
)
def test_the_factory_is_there(home, factory, what):
    home.edit(lambda fields: fields.update(factory=factory))
    where, said = found(home)[0]
    assert where == "submission.json, field factory" and said.startswith(what)


def test_an_agent_of_the_registry_brings_no_code(home):
    home.edit(lambda fields: fields.update(factory="ee2024-passive"))
    assert the_only(home) == ("agent", "holds code, which ee2024-passive does not need")
    shutil.rmtree(home.submission / "agent")
    home.edit(lambda fields: fields.update(code={}))
    assert check(home.submission, home.root).task(1).name == "ee2024-passive--001"


def test_settings_that_are_the_harness_own(home):
    home.edit(lambda fields: fields.update(settings={"seed": 3}))
    assert "seed cannot be a setting" in dict(found(home))["submission.json, field settings"]


def test_an_agent_that_reads_texts_leaves_out_what_has_none(home):
    def leave_out(env):
        shutil.rmtree(home.submission / "runs" / env)
        home.edit(lambda fields: fields["runs"].pop(env))

    leave_out(SYNTHETIC)
    assert list(check(home.submission, home.root).plans) == [LLM]


def test_ids_are_the_round_s(home):
    shutil.rmtree(home.submission / "runs" / LLM)
    home.edit(lambda fields: fields["runs"].pop(LLM))
    assert the_only(home)[1] == f"names {SYNTHETIC}; round 2026-spring has {SYNTHETIC}, {LLM}"
    home.edit(lambda fields: fields["runs"].update({"AlpacaEvalDuel-v0": fields["runs"][SYNTHETIC]}))
    (failure,) = refused(check, home.submission, home.root)
    assert failure.where == "submission.json, field runs"


@pytest.mark.parametrize(
    ("fields", "where", "what"),
    [
        ({"team": "other-lab"}, "submission.json", "is that of other-lab--taste--20260301"),
        ({"round": "2020-never"}, "round 2020-never", "is not known; known: 2026-spring"),
        ({"duelgym": "9.9"}, "submission.json, field duelgym", "is 9.9; round 2026-spring is bound to"),
    ],
)
def test_the_record_fits_the_folder_and_the_round(home, fields, where, what):
    home.edit(lambda record: record.update(fields))
    first = refused(check, home.submission, home.root)[0]
    assert first.where == where and first.what.startswith(what)


def test_a_leaderboard_without_rounds(home, tmp_path):
    (failure,) = refused(check, home.submission, tmp_path)
    assert (failure.where, failure.what) == (str(tmp_path), "holds no rounds") and "--leaderboard" in failure.cure
    path = home.root / "rounds" / f"{ROUND.name}.json"
    write_record(path, replace(ROUND, name="2026-other"))
    assert refused(check, home.submission, home.root)[0].what == "is called '2026-other' in its file"
    path.write_text("{}")
    assert refused(check, home.submission, home.root)[0].where == f"{ROUND.name}.json, field schema"


def test_a_folder_that_is_no_submission(home):
    (failure,) = refused(check, home.root / "nowhere", home.root)
    assert (failure.where, failure.what) == (str(home.root / "nowhere"), "does not exist")
    failures = refused(check, home.root, home.root)
    assert [(failure.where, failure.what.split()[1]) for failure in failures] == [
        ("rounds", "a"),
        ("submission.json", "missing"),
        ("submissions", "a"),
    ]


def test_all_that_is_wrong_is_named_at_once(home):
    home.edit(lambda fields: fields.update(factory="other:taste"))
    home.edit(lambda fields: fields["runs"][LLM]["claims"].update(win_rate=1.0))
    home.edit(lambda fields: fields["runs"][LLM].update(pool_sha256=None))
    edit_log(home.log(), lambda lines: lines.pop(50))
    edit_line(home.log(seed=1), 9, preference=7)
    assert [where for where, _ in found(home)] == [
        "submission.json, field factory",
        f"runs/{SYNTHETIC}/000/queries.jsonl.gz, line 51",
        f"runs/{SYNTHETIC}/001/queries.jsonl.gz, line 9",
        f"submission.json, field runs.{LLM}.pool_sha256",
        f"submission.json, field runs.{LLM}.claims.win_rate",
    ]


def test_a_team_has_two_entries_in_a_round(home):
    for day in ("20260302", "20260303"):
        there = shutil.copytree(home.submission, home.submission.with_name(f"example-lab--taste--{day}"))
        record = read_record(there / "submission.json", Submission)
        write_record(there / "submission.json", replace(record, date=f"2026-03-{day[-2:]}"))
        if day == "20260302":
            assert check(there, home.root) and check(home.submission, home.root)
    assert the_only(home) == (
        home.submission.name,
        "team example-lab has example-lab--taste--20260302, example-lab--taste--20260303 in round 2026-spring already",
    )
    (there / "submission.json").write_text("{")
    assert the_only(home)[0] == there.name and "cannot be counted" in the_only(home)[1]


def test_a_gzip_bomb_is_refused_in_bounded_memory(home):
    squeezer = zlib.compressobj(wbits=31)
    zeros = bytes(1 << 20)
    bomb = squeezer.compress(zeros) + squeezer.flush(zlib.Z_FULL_FLUSH)
    block = squeezer.compress(zeros) + squeezer.flush(zlib.Z_FULL_FLUSH)
    home.log().write_bytes(bomb + block * (9_900_000 // len(block)))
    home.log(seed=1, which=1).write_bytes(gzip.compress(zeros[:-1] + b"\n") * 9000)
    home.hash_again()
    tracemalloc.start()
    failures = refused(check, home.submission, home.root)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [failure.what for failure in failures if "holds more than" in failure.what][1:]
    assert peak < 60_000_000
