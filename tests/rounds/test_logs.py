"""Logs: what is written, what a kill leaves, and replay."""

import gzip
import json
import os

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duelgym.cli import main
from duelgym.errors import LogError, PoolError, SpecificationError
from duelgym.rounds import MemberLog, RecordRounds, read_members, read_queries, replay


def _record(directory, env_id="SyntheticDuel-v0", batch=8, budget=64, seed=5, **kwargs):
    env = RecordRounds(gym.make_vec(env_id, num_envs=batch, budget=budget, **kwargs), directory)
    env.reset(seed=seed)
    rng = np.random.default_rng(0)
    for _ in range(budget // batch):
        env.step(rng.integers(0, env.unwrapped.n_candidates, (batch, 2)))
    env.close()
    return directory / "episode-0000.queries.jsonl.gz"


def _pool(env_id_and_kwargs):
    return env_id_and_kwargs[1].get("pool")


@pytest.mark.parametrize("batch", [1, 8])
def test_a_log_replays_bit_for_bit(env_id_and_kwargs, tmp_path, batch):
    env_id, kwargs = env_id_and_kwargs
    path = _record(tmp_path, env_id, batch=batch, **kwargs)
    report = replay(path, pool=_pool(env_id_and_kwargs))
    assert (report.queries, report.complete, report.torn) == (64, True, None)


def test_the_single_environment_writes_the_same_queries(tmp_path):
    path = _record(tmp_path / "vector", batch=1)
    env = RecordRounds(gym.make("SyntheticDuel-v0", budget=64), tmp_path / "single")
    env.reset(seed=5)
    rng = np.random.default_rng(0)
    for _ in range(64):
        env.step(rng.integers(0, 16, (1, 2))[0])
    env.close()
    assert (tmp_path / "single" / path.name).read_bytes() == path.read_bytes()


def test_every_line_by_hand(tmp_path):
    path = _record(tmp_path, batch=2, budget=4)
    lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
    assert lines[0]["schema"] == 1 and lines[0]["budget"] == 4 and lines[0]["env"] == "SyntheticDuel-v0"
    assert [line["t"] for line in lines[1:]] == [0, 1, 2, 3]
    assert ["digest" in line for line in lines[1:]] == [False, True, False, True]
    assert set(lines[1]) == {"t", "prompt", "pair", "candidates", "preference"}
    assert "utilit" not in json.dumps(lines[1:])


def test_whatever_wrappers_show_the_log_is_the_environments_own(tmp_path):
    plain = _record(tmp_path / "plain", batch=4, budget=8)
    env = gym.make_vec("SyntheticDuel-v0", num_envs=4, budget=8)
    env = RecordRounds(gym.wrappers.vector.FlattenObservation(env), tmp_path / "flat")
    env.reset(seed=5)
    rng = np.random.default_rng(0)
    for _ in range(2):
        env.step(rng.integers(0, 16, (4, 2)))
    env.close()
    assert (tmp_path / "flat" / plain.name).read_bytes() == plain.read_bytes()


def test_whole_numbers_of_numpy_are_logged_as_such(tmp_path):
    path = _record(tmp_path, dimension=np.int64(4), n_candidates=np.int32(5))
    assert replay(path).complete


def test_a_bad_seed_begins_no_log(tmp_path):
    env = RecordRounds(gym.make_vec("SyntheticDuel-v0", num_envs=2, budget=4), tmp_path)
    with pytest.raises(SpecificationError, match="share one rater"):
        env.reset(seed=[1, 2])
    assert list(tmp_path.iterdir()) == []


def test_later_episodes_get_files_of_their_own(tmp_path):
    env = RecordRounds(gym.make_vec("SyntheticDuel-v0", num_envs=2, budget=4), tmp_path)
    with pytest.raises(SpecificationError, match="reset\\(seed=...\\)"):
        env.reset()
    env.reset(seed=1)
    for _ in range(5):  # two batches, the autoreset, two batches
        env.step(np.array([[0, 1], [2, 3]]))
    env.close()
    reports = [replay(path) for path in sorted(tmp_path.iterdir())]
    assert [report.queries for report in reports] == [4, 4]
    with pytest.raises(SpecificationError, match="already holds episodes"):
        RecordRounds(gym.make("SyntheticDuel-v0"), tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A log of 32 queries in batches of 8, and where a part of it is written."""
    path = _record(tmp_path_factory.mktemp("whole"), batch=8, budget=32)
    return path.read_bytes(), path


@settings(max_examples=60)
@given(cut=st.integers(1, 10_000))
def test_a_torn_end_is_noticed_wherever_the_kill_came(whole, cut):
    data, path = whole
    kept = cut % len(data)
    path.write_bytes(data[:kept])
    ends = read_members(path).ends
    if not ends:
        with pytest.raises(LogError, match="no whole line"):
            read_queries(path)
        return
    log = read_queries(path)
    assert (log.torn is None) == (kept == ends[-1])
    assert len(log) == 8 * (len(ends) - 1)
    assert replay(path).complete is False


def _lines(path):
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def _rewrite(path, lines):
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))


def _edit(lines, row, **changes):
    lines[row] = json.dumps(json.loads(lines[row]) | changes)


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (
            lambda lines: _edit(lines, 20, preference=1 - json.loads(lines[20])["preference"]),
            "line 21: query 19 logs preference",
        ),
        (lambda lines: lines.pop(20), "line 21: query 20 where 19 must follow"),
        (lambda lines: lines.insert(20, lines[20]), "line 22: query 19 where 20 must follow"),
        (lambda lines: lines.pop(), "lines are missing at the end"),
        (lambda lines: _edit(lines, 20, candidates=[0, 0]), "line 21: query 19 logs candidates"),
        (lambda lines: _edit(lines, 20, prompt=10**6), "line 21: query 19 logs prompt"),
        (lambda lines: _edit(lines, 20, pair=[0, 99]), "illegal pair"),
        (lambda lines: _edit(lines, 24, digest="0" * 16), "line 25: digest"),
        (lambda lines: _edit(lines, 0, seed=6), "line 2: query 0"),
        (lambda lines: _edit(lines, 20, wealth=1), "has fields"),
        (lambda lines: _edit(lines, 20, prompt=10**30), "whole numbers"),
        (lambda lines: _edit(lines, 20, preference=0.5), "line 21: a field is not the whole numbers"),
        (lambda lines: _edit(lines, 20, preference=str(json.loads(lines[20])["preference"])), "whole numbers"),
        (lambda lines: _edit(lines, 20, pair=3), "whole numbers"),
        (lambda lines: _edit(lines, 0, budget=24), "holds 32 queries, more than the budget of 24"),
        (lambda lines: _edit(lines, 0, budget="32"), "line 1: budget is '32'"),
        (lambda lines: _edit(lines, 0, batch=0), "line 1: batch is 0"),
        (lambda lines: _edit(lines, 0, seed=-1), "line 1: seed is -1"),
        (lambda lines: _edit(lines, 0, specification=[]), "line 1: the header's specification"),
        (lambda lines: _edit(lines, 0, specification={"problem": "synthetic", "pool": 1}), "line 1: the header's spec"),
        (lambda lines: _edit(lines, 0, specification={"problem": "chess"}), "no problem is called 'chess'"),
        (lambda lines: _edit(lines, 0, schema=2), "reads schema 1"),
        (lambda lines: lines.__setitem__(5, "{"), "line 6: not JSON"),
    ],
)
def test_whatever_was_changed_is_named_by_its_line(tmp_path, tamper, words):
    path = _record(tmp_path, batch=8, budget=32, n_candidates=6)
    lines = _lines(path)
    tamper(lines)
    _rewrite(path, lines)
    with pytest.raises(LogError) as caught:
        replay(path)
    assert words in str(caught.value)


def test_a_simulator_of_ones_own_is_imported_only_by_leave(tmp_path):
    layers = [{"name": "bradley_terry", "temperature": 1.0}, {"name": "own_parts:Tiring", "after": 3}]
    path = _record(tmp_path, n_candidates=4, simulator=layers)
    with pytest.raises(
        LogError, match="made with the simulator 'own_parts:Tiring', .* add --simulator own_parts:Tiring"
    ):
        replay(path)
    with pytest.raises(LogError, match="add --simulator own_parts:Tiring"):
        replay(path, own=["own_parts:Certain"])
    assert replay(path, own=["own_parts:Tiring"]).complete
    assert main(["replay", str(path), "--simulator", "own_parts:Tiring"]) == 0


def test_another_pool_is_refused_and_a_missing_one_asked_for(tmp_path, pool_path):
    from duelgym.testing import make_pool

    path = _record(tmp_path / "log", "AlpacaEvalDuel-v0", pool=str(pool_path))
    with pytest.raises(LogError, match="--pool DIR"):
        replay(path)
    other = make_pool(tmp_path / "other", n_prompts=120, seed=1)
    with pytest.raises(LogError, match="give the pool that the run was made on"):
        replay(path, pool=other.path)
    with pytest.raises(PoolError):
        replay(path, pool=tmp_path / "nowhere")


def test_damage_in_the_middle_is_not_taken_for_a_torn_end(tmp_path):
    path = _record(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(LogError):
        replay(path)


def test_a_member_log_confirms_then_continues(tmp_path):
    path = tmp_path / "log.gz"
    with MemberLog(path) as log:
        log.write("a\n"), log.write("b\n")
    whole = path.read_bytes()
    with path.open("ab") as file:
        file.write(gzip.compress(b"c\n")[:7])
    with MemberLog(path) as log:
        assert log.torn_bytes == 7 and log.pending == 2
        log.write("a\n"), log.skip(1), log.write("c\n")
    assert path.read_bytes()[: len(whole)] == whole
    assert read_members(path).texts == ("a\n", "b\n", "c\n")
    with MemberLog(path) as log, pytest.raises(LogError, match="not deterministic"):
        log.write("z\n")
    with MemberLog(path) as log, pytest.raises(LogError, match="holds 3 more"):
        log.skip(4)
    assert os.path.getsize(path) > len(whole)  # noqa: PTH202


def test_a_torn_letter_of_two_bytes_is_a_torn_end(tmp_path):
    path = tmp_path / "log.gz"
    with MemberLog(path) as log:
        log.write("a\n"), log.write("é" * 5000 + "\n")
    whole = path.read_bytes()
    for cut in range(len(read_members(path).texts[0]) + 20, len(whole)):
        path.write_bytes(whole[:cut])
        assert read_members(path).texts == ("a\n",)


def test_a_disk_that_takes_half_a_member_is_noticed(tmp_path):
    with MemberLog(tmp_path / "log.gz") as log:
        real, log._file = log._file, type("Full", (), {"write": lambda self, data: len(data) // 2})()
        with pytest.raises(LogError, match="disk full"):
            log.write("a\n")
        log._file = real


def test_a_missing_log_says_so(tmp_path):
    with pytest.raises(LogError, match="no such log"):
        replay(tmp_path / "nothing.gz")
