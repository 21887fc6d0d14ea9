"""Parts follow from the texts of the prompts, and from nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duelgym.errors import PoolError
from duelgym.pools import CandidatePool
from duelgym.pools.splits import (
    TUNE,
    assign_explicit_groups,
    assign_groups,
    near_duplicate_keys,
    prompt_hash,
    select_part,
)
from duelgym.testing import make_pool


@given(
    texts=st.lists(st.text(max_size=8), min_size=1, max_size=30, unique=True),
    seed=st.integers(0, 10_000),
    dim=st.integers(1, 3),
)
@settings(max_examples=60)
def test_permuting_the_prompts_moves_none_to_another_part(texts: list[str], seed: int, dim: int) -> None:
    """In one to three dimensions many prompts are near-duplicates, in chains."""
    rng = np.random.default_rng(seed)
    embeddings = rng.standard_normal((len(texts), dim)).astype(np.float32)
    order = rng.permutation(len(texts))
    groups = assign_groups(near_duplicate_keys(texts, embeddings))
    permuted = assign_groups(near_duplicate_keys([texts[place] for place in order], embeddings[order]))
    np.testing.assert_array_equal(groups[order], permuted)


def test_near_duplicates_hang_together_in_chains() -> None:
    """At 0, 15, 30 and 90 degrees: cos 15° = .966 joins the first three, of which the ends are .866 apart."""
    degrees = np.deg2rad([0, 15, 30, 90])
    embeddings = 7 * np.stack([np.cos(degrees), np.sin(degrees)], axis=1)
    prompts = ["a", "b", "c", "d"]
    keys = near_duplicate_keys(prompts, embeddings)
    assert keys[0] == keys[1] == keys[2] == min(prompt_hash(prompt) for prompt in "abc")
    assert keys[3] == prompt_hash("d")
    assert near_duplicate_keys(prompts, embeddings, cosine=0.97) == [prompt_hash(prompt) for prompt in prompts]
    assert len(set(near_duplicate_keys(prompts, np.zeros((4, 2))))) == 4


def test_blocks_do_not_change_near_duplicates(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings = np.random.default_rng(3).standard_normal((60, 3))
    prompts = [str(number) for number in range(60)]
    whole = near_duplicate_keys(prompts, embeddings)
    assert 1 < len(set(whole)) < 60
    monkeypatch.setattr("duelgym.pools.splits._BLOCK", 7)
    assert near_duplicate_keys(prompts, embeddings) == whole


def test_a_fifth_is_for_tuning_and_the_folds_are_even() -> None:
    n_prompts = 20_000
    groups = assign_groups([prompt_hash(f"prompt {number}") for number in range(n_prompts)])
    for group, share in ((TUNE, 0.2), *((fold, 0.16) for fold in range(5))):
        error = np.sqrt(share * (1 - share) / n_prompts)
        assert abs((groups == group).mean() - share) < 4 * error


def test_the_key_decides_by_its_second_and_third_eight_bytes() -> None:
    def key(second: int, third: int) -> bytes:
        return b"\0" * 8 + second.to_bytes(8, "big") + third.to_bytes(8, "big") + b"\0" * 8

    fifth = int(0.2 * 2**64)
    assert assign_groups([key(fifth - 1, 3), key(fifth + 1, 3), key(2**64 - 1, 9)]).tolist() == [TUNE, 3, 4]


def test_parts_of_a_pool_are_disjoint_and_the_folds_cover_all_but_tune(shared_pool: CandidatePool) -> None:
    tune = shared_pool.split("tune")
    assert shared_pool.n_folds == 5
    assessed = []
    for fold in range(5):
        learn, assess = shared_pool.split("learn", fold), shared_pool.split("assess", fold)
        np.testing.assert_array_equal(shared_pool.split("tune", fold), tune)
        np.testing.assert_array_equal(np.sort(np.concatenate([tune, learn, assess])), shared_pool.split("all", fold))
        assessed.append(assess)
    np.testing.assert_array_equal(np.sort(np.concatenate([tune, *assessed])), np.arange(40))


def test_from_2000_prompts_on_there_is_one_fold(tmp_path: Path) -> None:
    pool = make_pool(tmp_path / "pool", n_prompts=2000, n_candidates=2, dim=16)
    assert pool.n_folds == 1
    learn, assess = pool.split("learn"), pool.split("assess")
    assert 0.17 < len(assess) / (len(learn) + len(assess)) < 0.23
    with pytest.raises(PoolError, match="folds 0 to 0"):
        pool.split("learn", 1)


def test_explicit_assessment_prompts() -> None:
    groups = assign_explicit_groups(["a", "b", "c"], ["c"])
    assert select_part(groups, "assess", 0, n_folds=1, explicit=True).tolist() == [2]
    assert select_part(groups, "learn", 0, n_folds=1, explicit=True).tolist() == [0, 1]
    with pytest.raises(PoolError, match="no 'tune' part; tune on another pool"):
        select_part(groups, "tune", 0, n_folds=1, explicit=True)
    with pytest.raises(PoolError, match="assessment prompt 'z' is not in the pool"):
        assign_explicit_groups(["a", "b"], ["a", "z"])
    for named in ([], ["a", "b"]):
        with pytest.raises(PoolError, match="named for assessment"):
            assign_explicit_groups(["a", "b"], named)


@pytest.mark.parametrize(
    ("part", "fold", "message"),
    [
        ("train", 0, "part is 'train'; allowed are tune, learn, assess, all"),
        ("learn", 5, "fold is 5; this pool has folds 0 to 4"),
        ("learn", -1, "fold is -1"),
        ("learn", 1.0, "fold is 1.0"),
    ],
)
def test_unknown_parts_and_folds_are_refused(shared_pool: CandidatePool, part, fold, message: str) -> None:
    with pytest.raises(PoolError, match=message):
        shared_pool.split(part, fold)


def test_an_empty_part_is_an_error_that_says_why(tmp_path: Path) -> None:
    pool = make_pool(tmp_path / "pool", n_prompts=2)
    with pytest.raises(PoolError, match="is empty: the pool has 2 prompts"):
        for fold in range(5):
            pool.split("assess", fold)
