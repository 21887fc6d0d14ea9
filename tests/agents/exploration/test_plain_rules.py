"""Rules that need no uncertainty: uniform, greedy, best against worst."""

from __future__ import annotations

import numpy as np
import pytest

from duelgym.errors import SpecificationError
from duelgym_agents.exploration import BestAgainstWorst, Greedy, UniformPair


def test_uniform_pair_draws_every_order_of_every_pair_equally_often():
    pairs = UniformPair()(np.empty((0, 24_000, 4), np.float32), np.random.default_rng(0)).pairs
    counts = np.bincount(pairs @ [4, 1], minlength=16).reshape(4, 4)
    assert (np.diag(counts) == 0).all()
    observed = counts[~np.eye(4, dtype=bool)]
    assert ((observed - 2000) ** 2 / 2000).sum() < 31.3  # the 0.1 % point with 11 degrees of freedom


def test_uniform_pair_with_replacement_meets_itself():
    rule = UniformPair(with_replacement=True)
    pairs = rule(np.empty((0, 16_000, 4), np.float32), np.random.default_rng(0)).pairs
    counts = np.bincount(pairs @ [4, 1], minlength=16)
    assert ((counts - 1000) ** 2 / 1000).sum() < 37.7  # 15 degrees of freedom
    assert (rule(np.empty((0, 3, 1), np.float32), np.random.default_rng(0)).pairs == 0).all()


def test_uniform_pair_refuses_anything_but_yes_or_no():
    with pytest.raises(SpecificationError, match="with_replacement is"):
        UniformPair(with_replacement="no")


def test_greedy_and_best_against_worst_by_hand():
    utilities = np.array([[[0.0, 3.0, 1.0, 2.0], [5.0, -1.0, 4.0, 0.0]]], np.float32)
    rng = np.random.default_rng(0)
    assert Greedy()(utilities, rng).pairs.tolist() == [[1, 3], [0, 2]]
    assert BestAgainstWorst()(utilities, rng).pairs.tolist() == [[1, 0], [0, 1]]


def test_ties_for_best_and_worst_are_drawn():
    utilities = np.repeat(np.array([[[1.0, 1.0, 0.0, 0.0]]], np.float32), 4000, axis=1)
    rng = np.random.default_rng(0)
    pairs, counts = np.unique(BestAgainstWorst()(utilities, rng).pairs, axis=0, return_counts=True)
    assert pairs.tolist() == [[0, 2], [0, 3], [1, 2], [1, 3]]
    assert counts == pytest.approx(1000, abs=4 * np.sqrt(750))
    pairs, counts = np.unique(Greedy()(utilities, rng).pairs, axis=0, return_counts=True)
    assert pairs.tolist() == [[0, 1], [1, 0]]
    assert counts == pytest.approx(2000, abs=4 * np.sqrt(1000))
