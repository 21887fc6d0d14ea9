"""Pools that store less: whole numbers for embeddings, short floats for utilities; and what else may lie in a pool."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from duelgym.errors import PoolError
from duelgym.pools import CandidatePool, write_pool
from duelgym.pools.storage import quantise

ROWS = np.arange(12)
COLUMNS = np.tile(np.arange(3), (12, 1))
RNG = np.random.default_rng(2)
MATERIAL = {
    "name": "small",
    "prompts": [f"prompt {row}" for row in range(12)],
    "candidate_names": ["a", "b", "c"],
    "texts": [["x", "yy", ""]] * 12,
    "prompt_embeddings": RNG.uniform(-0.9, 0.9, (12, 5)).astype(np.float32),
    "candidate_embeddings": RNG.uniform(-0.9, 0.9, (12, 3, 4)).astype(np.float32),
    "utilities": RNG.standard_normal((12, 3)),
}


def test_quantised_by_hand() -> None:
    whole, scale = quantise(np.array([[2.0, 0.0, -0.5], [-1.0, 0.0, 0.26]], np.float32), divisor=2.0)
    np.testing.assert_allclose(scale, [1 / 127, 0, 0.25 / 127], rtol=1e-6)
    np.testing.assert_array_equal(whole, [[127, 0, -127], [-64, 0, 66]])


@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 4)),
        elements=st.floats(-8, 8, width=32),
    )
)
def test_quantised_numbers_are_near_and_within_bounds(values: np.ndarray) -> None:
    whole, scale = quantise(values, divisor=8.0)
    given_out = whole.astype(np.float32) * scale
    assert np.abs(given_out).max() <= 1
    assert (np.abs(given_out - values / 8) <= 0.501 * scale + 1e-37).all()


def test_compact_pools_give_nearly_the_same_numbers_from_memory_and_from_the_disk(tmp_path: Path) -> None:
    plain = write_pool(tmp_path / "plain", **MATERIAL, embedding_scale=1.0)
    pool = write_pool(
        tmp_path / "pool", **MATERIAL, embedding_scale=1.0, embedding_storage="int8", utility_dtype="float16"
    )
    assert (plain.manifest["schema"], pool.manifest["schema"]) == (1, 2)
    from_disk = CandidatePool.open(pool.path, cache_bytes=0)
    for name, arguments, off in (
        ("prompt_embeddings", (ROWS,), 0.9 / 254 + 1e-6),
        ("candidate_embeddings", (ROWS, COLUMNS), 0.9 / 254 + 1e-6),
        ("utilities", (ROWS,), 4 * 2**-11),
    ):
        exact, cached, read = (getattr(which, name)(*arguments) for which in (plain, pool, from_disk))
        assert exact.dtype == cached.dtype == read.dtype
        np.testing.assert_array_equal(cached, read)
        np.testing.assert_allclose(cached, exact, rtol=0, atol=off)
        assert not np.array_equal(cached, exact)
    np.testing.assert_array_equal(plain.prompt_embeddings(ROWS), MATERIAL["prompt_embeddings"])
    np.testing.assert_array_equal(plain.split("learn"), pool.split("learn"))
    sizes = [(which.path / "embeddings.safetensors").stat().st_size for which in (plain, pool)]
    assert sizes[0] - sizes[1] > 2 * 12 * 17


@pytest.mark.parametrize("storage", ["float16", "float32"])
def test_the_type_of_stored_embeddings_can_be_chosen(tmp_path: Path, storage: str) -> None:
    pool = write_pool(tmp_path / "pool", **MATERIAL, embedding_storage=storage)
    stored = MATERIAL["candidate_embeddings"].astype(storage).astype(np.float32)
    largest = max(np.abs(stored).max(), np.abs(MATERIAL["prompt_embeddings"].astype(storage)).max())
    np.testing.assert_allclose(pool.candidate_embeddings(ROWS, COLUMNS), stored / np.float32(largest), rtol=1e-6)


def test_a_pool_of_the_first_schema_keeps_its_bytes(tmp_path: Path) -> None:
    """Hashes of the files that hold numbers, as they were before there was a second schema."""
    steps = np.arange(12, dtype=np.float32)
    write_pool(
        tmp_path / "pool",
        **MATERIAL
        | {
            "prompt_embeddings": np.stack([steps, 1 - steps], axis=1),
            "candidate_embeddings": np.arange(72, dtype=np.float16).reshape(12, 3, 2),
            "utilities": np.arange(36.0).reshape(12, 3),
        },
        temperature=2.0,
    )
    found = {
        file: hashlib.sha256((tmp_path / "pool" / f"{file}.safetensors").read_bytes()).hexdigest()[:16]
        for file in ("embeddings", "utilities")
    }
    assert found == {"embeddings": "52c95630b49369c5", "utilities": "17779d5c94f6a280"}


def test_token_counts_and_ends_are_kept(tmp_path: Path) -> None:
    counts, ended = RNG.integers(-1, 48, (12, 3)), RNG.random((12, 3)) < 0.5
    pool = write_pool(tmp_path / "pool", **MATERIAL, n_tokens=counts, finished=ended)
    np.testing.assert_array_equal(pool.n_tokens(ROWS[::-1]), counts[::-1])
    np.testing.assert_array_equal(pool.finished(ROWS[2:4]), ended[2:4])
    plain = write_pool(tmp_path / "plain", **MATERIAL)
    assert plain.n_tokens(ROWS) is plain.finished(ROWS) is None
    long = write_pool(tmp_path / "long", **MATERIAL, n_tokens=counts + 40_000)
    np.testing.assert_array_equal(long.n_tokens(ROWS), counts + 40_000)


def test_raters_and_further_files_are_kept_and_verified(tmp_path: Path) -> None:
    raters = {"weights": [1, -1], "note": "signed"}
    pool = write_pool(tmp_path / "pool", **MATERIAL, raters=raters, extra_files={"projection.safetensors": b"abc"})
    assert pool.raters == raters
    assert pool.extra_files == ("projection.safetensors",)
    assert pool.extra_file("projection.safetensors").read_bytes() == b"abc"
    with pytest.raises(PoolError, match=r"no file 'other'; it has projection\.safetensors"):
        pool.extra_file("other")
    pool.extra_file("projection.safetensors").write_bytes(b"abd")
    with pytest.raises(PoolError, match=r"projection\.safetensors: sha256"):
        CandidatePool.open(pool.path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embedding_storage": "int4"}, "embedding_storage is 'int4'; allowed are float32, float16, int8"),
        ({"utility_dtype": "int8"}, "utility_dtype is 'int8'"),
        ({"utility_dtype": "float16", "utilities": np.full((12, 3), 1e5)}, "utilities has a NaN or infinite"),
        ({"embedding_scale": 0.1}, "embedding_scale is 0.1; it must be finite and at least 0.8"),
        ({"n_tokens": np.zeros((12, 2), int)}, r"n_tokens has shape \(12, 2\)"),
        ({"n_tokens": np.full((12, 3), -2)}, "whole numbers from -1"),
        ({"finished": np.zeros((12, 3), int)}, "booleans"),
        ({"extra_files": {"../x": b""}}, "called '../x'; give it a plain name"),
        ({"extra_files": {"pool.json": b""}}, "called 'pool.json'"),
    ],
)
def test_what_cannot_be_stored_is_refused_and_leaves_nothing(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(PoolError, match=message):
        write_pool(tmp_path / "pool", **MATERIAL | changes)
    assert list(tmp_path.iterdir()) == []
