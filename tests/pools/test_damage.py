"""Whatever happens to a pool's files is noticed, and writing is all or nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import duelgym.pools.writing as writing
from duelgym.errors import PoolError
from duelgym.pools import CandidatePool
from duelgym.pools.files import HashedFile
from duelgym.pools.manifest import FILES, checksum
from duelgym.testing import make_pool

ALL_FILES = ("pool.json", *FILES)


@pytest.fixture
def damaged(shared_pool: CandidatePool, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(shared_pool.path, tmp_path / "copy"))


@pytest.mark.parametrize("name", ALL_FILES)
@pytest.mark.parametrize("place", [0.1, 0.5, 0.98])
def test_a_flipped_byte_is_caught_at_opening(damaged: Path, name: str, place: float) -> None:
    content = bytearray((damaged / name).read_bytes())
    content[int(place * len(content))] ^= 1
    (damaged / name).write_bytes(content)
    with pytest.raises(PoolError, match=name):
        CandidatePool.open(damaged)


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_is_caught_by_verify_in_an_open_pool(damaged: Path, name: str) -> None:
    pool = CandidatePool.open(damaged)
    content = bytearray((damaged / name).read_bytes())
    content[-1] ^= 1
    (damaged / name).write_bytes(content)
    with pytest.raises(PoolError, match=name):
        pool.verify()


def test_large_files_are_left_to_verify(damaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duelgym.pools.pool.VERIFIED_AT_OPENING_BYTES", 100)
    content = bytearray((damaged / "texts.jsonl.gz").read_bytes())
    content[15] ^= 1
    (damaged / "texts.jsonl.gz").write_bytes(content)
    pool = CandidatePool.open(damaged)
    with pytest.raises(PoolError, match=r"texts\.jsonl\.gz: the text of row 0 is damaged"):
        pool.texts(0)
    with pytest.raises(PoolError, match=r"texts\.jsonl\.gz: sha256"):
        CandidatePool.open(damaged, verify=True)


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_or_missing_file_is_caught_by_its_size(damaged: Path, name: str) -> None:
    content = (damaged / name).read_bytes()
    (damaged / name).write_bytes(content[:-1])
    with pytest.raises(PoolError, match=f"{name}: has {len(content) - 1} bytes, expected {len(content)}"):
        CandidatePool.open(damaged)
    (damaged / name).unlink()
    with pytest.raises(PoolError, match=f"{name}: missing"):
        CandidatePool.open(damaged)


@pytest.mark.parametrize("name", ["embeddings", "utilities"])
def test_a_nan_is_refused_even_where_the_hash_agrees(damaged: Path, name: str) -> None:
    file = damaged / f"{name}.safetensors"
    content = bytearray(file.read_bytes())
    content[-8:] = np.array([np.nan]).tobytes() if name == "utilities" else np.array([0, np.nan], np.float32).tobytes()
    out = HashedFile(file.open("wb"))
    out.write(bytes(content))
    out._file.close()
    rewrite_manifest(damaged, lambda manifest: manifest["files"].update({file.name: out.entry()}))
    with pytest.raises(PoolError, match=rf"{file.name}: .* has a NaN or infinite number in row 39"):
        CandidatePool.open(damaged)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda manifest: manifest.update(schema=3), "schema version is 3; this duelgym reads 1 and 2"),
        (lambda manifest: manifest.update(schema=2, raters=[1]), "'raters' is of the wrong type"),
        (
            lambda manifest: (manifest.update(schema=2), manifest["files"].update({"../other": {}})),
            "further files need plain names",
        ),
        (lambda manifest: manifest.pop("splits"), "'splits' is missing"),
        (lambda manifest: manifest.update(name=3), "'name' is missing or of the wrong type"),
        (lambda manifest: manifest["shape"].update(prompts=41), "pool.json says"),
        (lambda manifest: manifest["shape"].pop("candidates"), "'shape' is"),
        (lambda manifest: manifest["files"].update({"../other": {}}), "a pool has exactly"),
        (lambda manifest: manifest["files"]["texts.jsonl.gz"].pop("bytes"), "lacks 'bytes'"),
    ],
)
def test_a_manifest_that_says_the_impossible_is_refused(damaged: Path, change, message: str) -> None:
    rewrite_manifest(damaged, change)
    with pytest.raises(PoolError, match=message):
        CandidatePool.open(damaged)


def test_what_is_no_pool_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(PoolError, match="is not a pool"):
            CandidatePool.open(path)
    (tmp_path / "pool.json").write_text("[]")
    with pytest.raises(PoolError, match="schema version is None"):
        CandidatePool.open(tmp_path)


@pytest.mark.parametrize("failing", range(5))
def test_a_failure_while_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int) -> None:
    """The disk is full at the first, second, … file."""
    real, calls = writing.hashed_file, []

    def hashed_file(path: Path):
        calls.append(path)
        if len(calls) > failing:
            raise OSError(28, "No space left on device")
        return real(path)

    monkeypatch.setattr(writing, "hashed_file", hashed_file)
    with pytest.raises(OSError, match="No space left"):
        make_pool(tmp_path / "pool")
    assert list(tmp_path.iterdir()) == []


def test_a_kill_while_writing_leaves_nothing_under_the_final_name(tmp_path: Path) -> None:
    program = """
import os, signal, sys
import duelgym.pools.writing as writing
from duelgym.testing import make_pool
real = writing.write_tensors
def write_tensors(out, arrays):
    real(out, arrays)
    if "utilities" in arrays:
        os.kill(os.getpid(), signal.SIGKILL)
writing.write_tensors = write_tensors
make_pool(sys.argv[1])
"""
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path / "pool")], check=False)
    assert killed.returncode == -9
    assert not (tmp_path / "pool").exists()
    assert [path.name.startswith(".pool.") for path in tmp_path.iterdir()] == [True]
    assert make_pool(tmp_path / "pool").n_prompts == 40


def rewrite_manifest(folder: Path, change) -> None:
    """Change a manifest as someone would who makes pools by other means: with a checksum that agrees."""
    manifest = json.loads((folder / "pool.json").read_text())
    change(manifest)
    manifest["checksum"] = checksum(manifest)
    (folder / "pool.json").write_text(json.dumps(manifest))
