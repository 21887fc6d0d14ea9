"""Recording: the same bytes however it is interrupted or shared out, and nothing lost when a prompt fails."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from duelgym.errors import PoolError, SpecificationError
from duelgym.pools import CandidatePool
from duelgym.pools.prompts import read_prompts
from duelgym.pools.shards import Recipe, Shard

HERE = Path(__file__).parent


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(HERE)
    return importlib.import_module("recording_fakes")


def contents(pool: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in pool.iterdir()}


def test_what_is_generated_and_scored_is_in_the_pool(fakes, tmp_path: Path) -> None:
    pool = fakes.record(tmp_path / "pool", licence="CC0", raters={"weights": [1, -1]}, provenance={"command": "x"})
    assert (pool.n_prompts, pool.n_candidates, pool.candidate_dim) == (40, 5, 3)
    assert pool.attributes == ("letters", "spaces")
    assert pool.candidate_names == ("sample 0", "sample 1", "sample 2", "sample 3", "sample 4")
    shard = Shard.read(
        write(tmp_path / "shard", Recipe(fakes.Babbler(), fakes.Letters(), 5, 3).record(fakes.PROMPTS[7]))
    )
    row, columns = np.array([7]), np.arange(5)[None]
    assert pool.texts(7).prompt == "name 7 plants"
    assert pool.texts(7).candidates == shard.texts
    np.testing.assert_allclose(pool.prompt_embeddings(row)[0], shard.prompt_embedding, atol=0.004)
    np.testing.assert_allclose(pool.candidate_embeddings(row, columns)[0], shard.candidate_embeddings, atol=0.004)
    np.testing.assert_array_equal(pool.utilities(row)[0], [[len(text), text.count(" ")] for text in shard.texts])
    np.testing.assert_array_equal(pool.n_tokens(row)[0], shard.n_tokens)
    np.testing.assert_array_equal(pool.finished(row)[0], shard.finished)
    assert any("" in pool.texts(row).candidates for row in range(40)), "empty responses are kept"
    provenance = pool.manifest["provenance"]
    assert provenance["command"] == "x" and provenance["clipped_values"] == 40 and provenance["seed"] == 3
    assert provenance["versions"]["numpy"] == np.__version__
    assert pool.manifest["generator"] == {"name": "babbler", "settings": {}}
    assert (pool.manifest["licence"], pool.raters) == ("CC0", {"weights": [1, -1]})
    assert [path.name for path in tmp_path.iterdir() if "recording" in path.name] == []


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_processes_seeds_and_other_prompts(fakes, tmp_path: Path) -> None:
    alone = fakes.record(tmp_path / "alone")
    assert contents(fakes.record(tmp_path / "two", workers=2).path) == contents(alone.path)
    assert fakes.record(tmp_path / "other", seed=4).texts(0) != alone.texts(0)
    fewer = fakes.record(tmp_path / "fewer", prompts=fakes.PROMPTS[39:0:-1])
    assert fewer.texts(38) == alone.texts(1)


def test_killed_five_times_it_gives_the_same_bytes(fakes, tmp_path: Path) -> None:
    whole = fakes.record(tmp_path / "whole")
    out, kept = tmp_path / "out", []
    command = [sys.executable, str(HERE / "recording_fakes.py"), str(out), "0.02", "0"]
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    for kill, pause in enumerate(np.random.default_rng(int(time.time())).uniform(0.0, 0.08, 5).tolist()):
        process = subprocess.Popen(command, env=environment)
        work = tmp_path / "out.recording"
        deadline = time.monotonic() + 20
        while len(list(work.glob("*.shard"))) <= (kept[-1] if kept else 0) and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(pause)
        process.kill()
        assert process.wait() == -signal.SIGKILL, f"kill {kill} came too late"
        assert not out.exists()
        kept.append(len(list(work.glob("*.shard"))))
    assert 0 < kept[0] < kept[-1] < 40
    assert subprocess.run(command, env=environment, check=False).returncode == 0
    assert contents(out) == contents(whole.path)
    CandidatePool.open(out, verify=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "whole"]


@pytest.mark.parametrize("place", ["before the pool has its name", "before the shards are removed"])
def test_killed_at_the_very_end(fakes, tmp_path: Path, place: str) -> None:
    program = f"""
import os, signal, shutil, pathlib, sys
sys.path.insert(0, {str(HERE)!r})
import recording_fakes, duelgym.pools.recording as recording
def die(*arguments, **settings):
    os.kill(os.getpid(), signal.SIGKILL)
if {place!r} == "before the pool has its name":
    recording.refuse_existing = lambda path: die() if pathlib.Path(str(path) + ".recording").exists() else None
else:
    recording.sync_directory = die
recording_fakes.record(sys.argv[1])
"""
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path / "out")], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "out").exists() == (place == "before the shards are removed")
    pool = fakes.record(tmp_path / "out", generator=fakes.Babbler(context=0))  # nothing is left to generate
    assert contents(pool.path) == contents(fakes.record(tmp_path / "whole").path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "whole"]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_prompt_that_fails_is_named_and_the_others_are_kept(fakes, tmp_path: Path, workers: int) -> None:
    prompts = [*fakes.PROMPTS[:6], "long " * 30, *fakes.PROMPTS[6:]]
    with pytest.raises(PoolError, match=r"prompt 'long .*…' cannot be recorded: .* more than the context of 100"):
        fakes.record(tmp_path / "out", prompts=prompts, workers=workers)
    done = len(list((tmp_path / "out.recording").glob("*.shard")))
    assert 6 <= done <= 8
    pool = fakes.record(tmp_path / "out")
    assert contents(pool.path) == contents(fakes.record(tmp_path / "whole").path)


def test_a_killed_worker_is_one_line(fakes, tmp_path: Path) -> None:
    class_in_module = fakes.Babbler(pause=30.0)

    def kill_children() -> None:
        while not multiprocessing.active_children():
            time.sleep(0.01)
        for child in multiprocessing.active_children():
            child.kill()

    import threading

    killer = threading.Thread(target=kill_children)
    killer.start()
    with pytest.raises(PoolError, match="prompt 'name 0 plants' ended without a result"):
        fakes.record(tmp_path / "out", generator=class_in_module, workers=1)
    killer.join()
    assert list(tmp_path.iterdir()) == []


def test_a_scorer_is_known_by_its_hash_wherever_it_lies(fakes, tmp_path: Path) -> None:
    class Model(fakes.Letters):
        def __init__(self, model: str, sha256: str) -> None:
            self.given = {"name": "reward_model", "model": model, "sha256": sha256}

        def specification(self):
            return self.given

    class Stops(Model):
        calls = 0

        def score(self, prompts, responses):
            self.calls += 1
            if self.calls == 2:
                raise KeyboardInterrupt
            return super().score(prompts, responses)

    with pytest.raises(KeyboardInterrupt):
        fakes.record(tmp_path / "out", scorer=Stops("/there/judge", "ab"))
    with pytest.raises(PoolError, match=r'scorer.sha256 was "ab", is "cd"'):
        fakes.record(tmp_path / "out", scorer=Model("/there/judge", "cd"))
    pool = fakes.record(tmp_path / "out", scorer=Model("elsewhere/judge", "ab"))
    assert pool.manifest["provenance"]["scorer"] == {"name": "reward_model", "model": "judge", "sha256": "ab"}


def test_other_settings_and_a_second_recorder_are_refused(fakes, tmp_path: Path) -> None:
    with pytest.raises(PoolError, match="cannot be recorded"):
        fakes.record(tmp_path / "out", prompts=["a", "long " * 30])
    with pytest.raises(PoolError, match=r"begun with other settings: generator\.settings\.heat was null, is 2"):
        fakes.record(tmp_path / "out", generator=fakes.Babbler(heat=2))
    with pytest.raises(PoolError, match="n was 5, is 6; seed was 3, is 4; go back"):
        fakes.record(tmp_path / "out", n=6, seed=4)

    class Nosy(fakes.Babbler):
        def generate(self, prompts, n, *, rng):
            with pytest.raises(PoolError, match="another process is recording here"):
                fakes.record(tmp_path / "out")
            return super().generate(prompts, n, rng=rng)

    assert fakes.record(tmp_path / "out", generator=Nosy(), prompts=["a", *fakes.PROMPTS[:38]]).n_prompts == 39
    for place in (tmp_path / "out", "."):
        with pytest.raises(PoolError, match="exists already; pools are never overwritten"):
            fakes.record(place)


def test_finished_prompts_that_are_taken_out_are_kept(fakes, tmp_path: Path) -> None:
    with pytest.raises(PoolError, match="cannot be recorded"):
        fakes.record(tmp_path / "out", prompts=[*fakes.PROMPTS[:3], "long " * 30])
    others = {"prompts": fakes.PROMPTS[2:9]}
    assert fakes.record(tmp_path / "out", **others).n_prompts == 7
    assert len(list((tmp_path / "out.recording").glob("*.shard"))) == 2
    assert fakes.record(tmp_path / "out", **others).n_prompts == 7  # the same call once more changes nothing
    with pytest.raises(PoolError, match="not the pool of these prompts; move it away"):
        fakes.record(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "seven")
    pool = fakes.record(tmp_path / "out")
    assert contents(pool.path) == contents(fakes.record(tmp_path / "whole").path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "seven", "whole"]


def test_a_scorer_that_is_none_is_refused_before_anything_is_generated(fakes, tmp_path: Path) -> None:
    class Nobody(fakes.Letters):
        @property
        def attributes(self):
            raise SpecificationError("not a reward model")

    with pytest.raises(SpecificationError, match="not a reward model"):
        fakes.record(tmp_path / "out", scorer=Nobody())
    assert list(tmp_path.iterdir()) == []


def test_workers_are_deaf_to_interrupts_from_the_start(fakes, tmp_path: Path, monkeypatch) -> None:
    kind = multiprocessing.get_context("spawn").Process
    start, handlers = kind.start, []

    def watched(process) -> None:
        handlers.append(signal.getsignal(signal.SIGINT))
        start(process)

    monkeypatch.setattr(kind, "start", watched)
    before = signal.getsignal(signal.SIGINT)
    fakes.record(tmp_path / "out", workers=1)
    assert handlers == [signal.SIG_IGN] and signal.getsignal(signal.SIGINT) is before


def test_a_damaged_shard_is_named(fakes, tmp_path: Path) -> None:
    with pytest.raises(PoolError, match="cannot be recorded"):
        fakes.record(tmp_path / "out", prompts=["name 0 plants", "long " * 30])
    (shard,) = (tmp_path / "out.recording").glob("*.shard")
    shard.write_bytes(shard.read_bytes()[:-3])
    with pytest.raises(PoolError, match=r"\.shard: damaged; remove it"):
        fakes.record(tmp_path / "out")
    shard.unlink()
    assert fakes.record(tmp_path / "out").n_prompts == 40


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 1}, "n is 1; it must be a whole number of at least 2"),
        ({"seed": -1}, "seed is -1"),
        ({"workers": 1.5}, "workers is 1.5"),
        ({"near_duplicate_cosine": 2}, "near_duplicate_cosine is 2; it must be a number above 0 and at most 1"),
        ({"prompts": []}, "0 prompts"),
        ({"prompts": ["a", "a"]}, "2 prompts, 1 of them different"),
        ({"temperature": 1.0}, "2 attributes: it belongs to each rater"),
        ({"embedding_storage": "int3"}, "embedding_storage is 'int3'"),
        ({"assess_prompts": ["unknown"]}, "assessment prompt 'unknown' is not in the pool"),
        ({"extra_files": {"../x": b""}}, "give it a plain name"),
    ],
)
def test_what_cannot_be_recorded_is_refused_before_anything_is(fakes, tmp_path: Path, changes, message: str) -> None:
    with pytest.raises(PoolError, match=message):
        fakes.record(tmp_path / "out", **changes)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda scores: scores[:, :4], r"scores have shape \(1, 4, 2\), expected \(1, 5, 2\)"),
        (lambda scores: scores * np.nan, "scores hold a NaN"),
        (lambda scores: 1 / 0, "ZeroDivisionError: division by zero"),
    ],
)
def test_scores_that_cannot_be_are_refused_with_the_first_prompt(fakes, tmp_path: Path, change, message: str) -> None:
    class Wrong(fakes.Letters):
        def score(self, prompts, responses):
            return change(super().score(prompts, responses))

    with pytest.raises(PoolError, match=message):
        fakes.record(tmp_path / "out", scorer=Wrong())
    assert list(tmp_path.iterdir()) == []


def test_prompt_files(tmp_path: Path) -> None:
    text, lines = tmp_path / "a.txt", tmp_path / "b.jsonl"
    for mark in (b"", b"\xef\xbb\xbf"):  # of byte order, which some editors write
        text.write_bytes(mark + "one\r\n zwei é \nthree".encode())
        assert read_prompts(text) == ["one", " zwei é ", "three"]
    lines.write_text('{"prompt": "one\\ntwo", "id": 3}\n{"prompt": "x"}\n')
    assert read_prompts(lines) == ["one\ntwo", "x"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", "holds no prompts"),
        ("a.txt", b"one\n\nthree\n", "line 2: the prompt is empty"),
        ("a.txt", b"one\n  \n", "line 2: the prompt is empty"),
        ("a.txt", b"one\ntwo\none\n", "line 3: 'one' is already on line 1"),
        ("a.txt", b"\xff\n", "not text in UTF-8"),
        ("a.jsonl", b'{"prompt": "a"}\nb\n', "line 2: must be a JSON object"),
        ("a.jsonl", b'{"prompt": 3}\n', "line 1: must be a JSON object"),
        ("a.jsonl", b'{"prompt": "a \\ud800"}\n', "line 1: .* half of a surrogate pair"),
    ],
)
def test_prompt_files_with_faults_are_refused_naming_the_line(tmp_path: Path, name, content, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PoolError, match=message):
        read_prompts(tmp_path / name)
