"""What goes into a pool comes out of it, from memory or from the disk."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

from duelgym.errors import DuelgymError, PoolError
from duelgym.pools import CandidatePool, PromptTexts, write_pool
from duelgym.testing import make_pool

ROWS = np.array([7, 0, 39, 7])
COLUMNS = np.array([[5, 0], [1, 1], [2, 4], [0, 5]])


def material(n_prompts: int = 12, n_candidates: int = 3, **changes) -> dict:
    rng = np.random.default_rng(1)
    return {
        "name": "small",
        "prompts": [f"prompt {row}" for row in range(n_prompts)],
        "candidate_names": [f"model {column}" for column in range(n_candidates)],
        "texts": [["é" * (row + column) for column in range(n_candidates)] for row in range(n_prompts)],
        "prompt_embeddings": rng.standard_normal((n_prompts, 5)).astype(np.float32),
        "candidate_embeddings": rng.standard_normal((n_prompts, n_candidates, 4)).astype(np.float16),
        "utilities": rng.standard_normal((n_prompts, n_candidates, 1)),
        **changes,
    }


def test_round_trip(tmp_path: Path) -> None:
    given = material(reference={"name": "house", "utility": 0.0}, licence="CC0")
    pool = write_pool(tmp_path / "pool", **given)
    rows, columns = np.arange(12), np.tile(np.arange(3), (12, 1))
    largest = max(np.abs(given["prompt_embeddings"]).max(), np.abs(given["candidate_embeddings"]).max())
    np.testing.assert_array_equal(pool.prompt_embeddings(rows), given["prompt_embeddings"] / largest)
    np.testing.assert_array_equal(
        pool.candidate_embeddings(rows, columns), given["candidate_embeddings"].astype(np.float32) / largest
    )
    np.testing.assert_array_equal(pool.utilities(rows), given["utilities"])
    np.testing.assert_array_equal(pool.characters(rows), np.add.outer(np.arange(12), np.arange(3)))
    assert pool.texts(4) == PromptTexts("prompt 4", ("éééé", "ééééé", "éééééé"))
    assert (pool.n_prompts, pool.n_candidates, pool.prompt_dim, pool.candidate_dim) == (12, 3, 5, 4)
    assert pool.candidate_names == ("model 0", "model 1", "model 2")
    assert pool.reference == {"name": "house", "utility": 0.0}
    assert pool.attributes == ("utility",)
    assert pool.manifest["licence"] == "CC0"


def test_embeddings_lie_in_minus_one_to_one_and_reach_it(shared_pool: CandidatePool) -> None:
    rows = np.arange(shared_pool.n_prompts)
    columns = np.tile(np.arange(shared_pool.n_candidates), (len(rows), 1))
    prompts, candidates = shared_pool.prompt_embeddings(rows), shared_pool.candidate_embeddings(rows, columns)
    assert prompts.dtype == candidates.dtype == np.float32
    assert max(np.abs(prompts).max(), np.abs(candidates).max()) == 1.0


def test_positioned_reads_equal_the_cached_path(shared_pool: CandidatePool) -> None:
    from_disk = CandidatePool.open(shared_pool.path, cache_bytes=0)
    for read in (
        lambda pool: pool.prompt_embeddings(ROWS),
        lambda pool: pool.candidate_embeddings(ROWS, COLUMNS),
        lambda pool: pool.utilities(ROWS),
        lambda pool: pool.characters(ROWS),
        lambda pool: pool.split("learn", 2),
    ):
        cached, read_by_row = read(shared_pool), read(from_disk)
        assert cached.dtype == read_by_row.dtype
        np.testing.assert_array_equal(cached, read_by_row)
    assert from_disk.texts(3) == shared_pool.texts(3)


@pytest.mark.parametrize("cache_bytes", [0, 2**29])
def test_every_call_gives_a_fresh_array(shared_pool: CandidatePool, cache_bytes: int) -> None:
    pool = CandidatePool.open(shared_pool.path, cache_bytes=cache_bytes)
    for read in (
        lambda: pool.prompt_embeddings(ROWS),
        lambda: pool.candidate_embeddings(ROWS, COLUMNS),
        lambda: pool.utilities(ROWS),
        lambda: pool.characters(ROWS),
    ):
        first = read()
        kept = first.copy()
        first[:] = 9
        np.testing.assert_array_equal(read(), kept)


def test_pools_opened_twice_share_their_arrays(shared_pool: CandidatePool) -> None:
    again = CandidatePool.open(shared_pool.path)
    assert again._candidates.whole() is shared_pool._candidates.whole()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda pool: pickle.loads(pickle.dumps(pool))])
def test_pools_can_be_copied_and_pickled(shared_pool: CandidatePool, copied) -> None:
    shared_pool.texts(0)
    shared_pool.candidate_embeddings(ROWS, COLUMNS)
    other = copied(shared_pool)
    assert other.texts(5) == shared_pool.texts(5)
    np.testing.assert_array_equal(
        other.candidate_embeddings(ROWS, COLUMNS), shared_pool.candidate_embeddings(ROWS, COLUMNS)
    )
    assert len(pickle.dumps(shared_pool)) < 10_000


def test_a_pool_replaced_under_its_name_is_read_anew(tmp_path: Path) -> None:
    old = make_pool(tmp_path / "pool", seed=1).utilities(ROWS)
    (tmp_path / "pool").rename(tmp_path / "gone")
    assert not np.array_equal(make_pool(tmp_path / "pool", seed=2).utilities(ROWS), old)


def test_the_same_material_gives_the_same_bytes(tmp_path: Path) -> None:
    one, other = make_pool(tmp_path / "one", seed=3), make_pool(tmp_path / "other", seed=3)
    assert one.sha256 == other.sha256
    for file in one.path.iterdir():
        assert file.read_bytes() == (other.path / file.name).read_bytes()
    assert make_pool(tmp_path / "third", seed=4).sha256 != one.sha256


def test_float64_is_stored_as_float32_and_zero_embeddings_are_allowed(tmp_path: Path) -> None:
    pool = write_pool(
        tmp_path / "pool", **material(prompt_embeddings=np.zeros((12, 2)), candidate_embeddings=np.zeros((12, 3, 2)))
    )
    assert not pool.prompt_embeddings(np.arange(12)).any()


def test_several_attributes_have_no_temperature(tmp_path: Path) -> None:
    several = material(utilities=np.random.default_rng(0).standard_normal((12, 3, 2)), attributes=("brief", "kind"))
    pool = write_pool(tmp_path / "pool", **several)
    assert pool.attributes == ("brief", "kind")
    assert pool.utilities(np.array([3])).shape == (1, 3, 2)
    with pytest.raises(PoolError, match="name a rater"):
        _ = pool.temperature
    with pytest.raises(PoolError, match="belongs to each rater"):
        write_pool(tmp_path / "other", **several, temperature=1.0)


def test_one_candidate_needs_a_temperature(tmp_path: Path) -> None:
    with pytest.raises(PoolError, match="two candidates"):
        write_pool(tmp_path / "pool", **material(n_candidates=1))
    pool = write_pool(tmp_path / "pool", **material(n_candidates=1), temperature=2.0)
    assert (pool.n_candidates, pool.temperature) == (1, 2.0)


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda pool: pool.utilities(np.array([40])), "0 to 39; got 40 to 40"),
        (lambda pool: pool.prompt_embeddings(np.array([-1])), "0 to 39"),
        (lambda pool: pool.prompt_embeddings(np.array([0.5])), "whole numbers"),
        (lambda pool: pool.candidate_embeddings(np.array([0]), np.array([[6]])), "0 to 5; got 6"),
        (lambda pool: pool.candidate_embeddings(np.array([0, 1]), np.array([[1]])), r"expected \(2, n\)"),
        (lambda pool: pool.texts(40), "0 to 39"),
    ],
)
def test_rows_and_columns_out_of_range_are_refused(shared_pool: CandidatePool, read, message: str) -> None:
    with pytest.raises(PoolError, match=message):
        read(shared_pool)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompts": ["same"] * 12}, "'same' twice"),
        ({"candidate_names": ["a", "b", "a"]}, "candidate_names holds 'a' twice"),
        ({"candidate_names": ["a", "b"]}, "2 responses"),
        ({"texts": [["a", "b", "c"]]}, "1 entries for 12 prompts"),
        ({"texts": [["a", "b", None]] * 12}, "not a string"),
        ({"utilities": np.zeros((12, 4, 1))}, r"utilities has shape \(12, 4, 1\); expected \(12, 3, 1\)"),
        ({"prompt_embeddings": np.zeros((11, 5))}, r"prompt_embeddings has shape \(11, 5\)"),
        ({"prompt_embeddings": np.zeros((12, 5), int)}, "type int64"),
        ({"candidate_embeddings": np.full((12, 3, 4), np.nan)}, "NaN or infinite number for prompt 'prompt 0'"),
        ({"prompt_embeddings": np.full((12, 5), 1e300)}, "infinite"),
        ({"utilities": np.full((12, 3, 1), np.inf)}, "utilities has a NaN or infinite"),
        ({"utilities": np.zeros((12, 3, 1))}, "exactly tied"),
        ({"prompts": []}, "at least one of each"),
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"reference": {"name": "house"}}, "reference is {'name': 'house'}"),
        ({"near_duplicate_cosine": 0.0}, "cosine is 0.0"),
    ],
)
def test_inconsistent_material_is_refused_and_leaves_nothing(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(DuelgymError, match=message):
        write_pool(tmp_path / "pool", **material(**changes))
    assert list(tmp_path.iterdir()) == []


def test_an_existing_directory_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    with pytest.raises(PoolError, match="exists already"):
        write_pool(tmp_path / "pool", **material())
    (tmp_path / "file").touch()
    with pytest.raises(PoolError, match="file is not a directory; name another place"):
        write_pool(tmp_path / "file" / "pool", **material())


def test_folders_above_a_pool_are_made(tmp_path: Path) -> None:
    write_pool(tmp_path / "new" / "pools" / "one", **material())
    assert [path.name for path in (tmp_path / "new" / "pools").iterdir()] == ["one"]
