"""The projection: whitened directions in which answers to one prompt differ."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import make_model

from duelgym.errors import SpecificationError
from duelgym.generators.language_model import LanguageModel
from duelgym.world import projection
from duelgym.world.projection import CLIPPED_AT, fit_projection, hidden_states, whitened_within_prompts


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = make_model(tmp_path_factory.mktemp("models") / "tiny")
    return LanguageModel(str(folder), revision=None, device="cpu", dtype="float32")


@pytest.fixture
def few(monkeypatch):
    """A tiny model needs few answers."""
    monkeypatch.setattr(projection, "hidden_states", partial(hidden_states, n_prompts=10, each=6))


def _within(features):
    """Return the covariance of features within prompts."""
    centred = (features - features.mean(axis=1, keepdims=True)).reshape(-1, features.shape[2])
    return centred.T @ centred / (features.shape[0] * (features.shape[1] - 1))


def test_by_hand():
    """Two answers each, (10 ± 3, -7) and (20, -7 ± 1): variances 9 and 1 over two degrees of freedom, the mean (15, -7)."""
    answers = np.array([[[13.0, -7.0], [7.0, -7.0]], [[20.0, -6.0], [20.0, -8.0]]])
    fitted = whitened_within_prompts(answers, 2)
    assert fitted.matrix == pytest.approx(np.diag([1 / 3, 1.0])) and fitted.matrix.dtype == np.float32
    assert fitted.offset.tolist() == [15.0, -7.0] and fitted.scale == CLIPPED_AT == 4.0
    shown, clipped = fitted.apply(np.array([[15.0 + 6.0, -7.0 + 2.0], [15.0, -7.0 - 5.0]], np.float32))
    assert shown == pytest.approx(np.array([[2 / 4, 2 / 4], [0.0, -1.0]])) and clipped == 1
    assert whitened_within_prompts(answers, 1).matrix == pytest.approx(np.array([[1 / 3], [0.0]]))


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_features_are_white_within_prompts_and_signs_are_fixed(seed, dim):
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    answers = rng.standard_normal((12, 7, 5)) * (5, 3, 2, 1, 0.5) @ turn + 9 * rng.standard_normal((12, 1, 5))
    fitted = whitened_within_prompts(answers, dim)
    features = (answers - fitted.offset) @ fitted.matrix.astype(np.float64)
    assert _within(features) == pytest.approx(np.eye(dim), abs=1e-3)
    # The largest entry of the unit eigenvectors, and so of the columns, is positive; the first columns vary most.
    largest = fitted.matrix[np.abs(fitted.matrix).argmax(axis=0), np.arange(dim)]
    assert (largest > 0).all()
    lengths = np.linalg.norm(fitted.matrix, axis=0)
    assert (np.diff(lengths) >= 0).all()
    reordered = whitened_within_prompts(answers[::-1, ::-1], dim)
    assert reordered.matrix == pytest.approx(fitted.matrix, rel=1e-3, abs=1e-4)


def test_differences_between_prompts_do_not_count():
    rng = np.random.default_rng(1)
    answers = rng.standard_normal((8, 6, 4))
    moved = answers + 100 * rng.standard_normal((8, 1, 4))
    assert whitened_within_prompts(moved, 4).matrix == pytest.approx(
        whitened_within_prompts(answers, 4).matrix, rel=1e-4, abs=1e-5
    )


@pytest.mark.parametrize("dim", [0, -1, 3, 64])
def test_more_features_than_directions_are_refused(dim):
    """Hidden states of three units that lie in a plane."""
    answers = np.random.default_rng(0).standard_normal((5, 4, 2)) @ np.array([[1.0, 0.0, 1.0], [0.0, 2.0, 1.0]])
    with pytest.raises(SpecificationError, match=f"dim is {dim}; answers differ in 2 directions only"):
        whitened_within_prompts(answers, dim)


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_a_models_answers_become_white_features(model, few, pooling):
    fitted = fit_projection(model, dim=6, pooling=pooling, seed=3)
    assert (fitted.hidden_dim, fitted.embedding_dim) == (32, 6)
    asked, answered = projection.hidden_states(model, pooling=pooling, seed=3)
    assert asked.shape == (10, 32) and answered.shape == (10, 6, 32)
    features = (answered.astype(np.float64) - fitted.offset) @ fitted.matrix.astype(np.float64)
    assert _within(features) == pytest.approx(np.eye(6), abs=1e-3)
    assert features.mean(axis=(0, 1)) == pytest.approx(np.zeros(6), abs=1e-4)


def test_both_poolings_give_half_of_the_features_each(model, few):
    fitted = fit_projection(model, dim=5, pooling="both", seed=3)
    last, mean = (
        fit_projection(model, dim=dim, pooling=pooling, seed=3) for dim, pooling in ((3, "last"), (2, "mean"))
    )
    assert (fitted.hidden_dim, fitted.embedding_dim) == (64, 5)
    assert np.array_equal(fitted.matrix[:32, :3], last.matrix) and np.array_equal(fitted.matrix[32:, 3:], mean.matrix)
    assert not fitted.matrix[:32, 3:].any() and not fitted.matrix[32:, :3].any()
    assert fitted.offset.tolist() == [*last.offset.tolist(), *mean.offset.tolist()]


def test_the_seed_decides_the_projection_and_pooling_matters(model, few):
    fitted = fit_projection(model, dim=4, seed=3).sha256()
    assert fit_projection(model, dim=4, seed=3).sha256() == fitted
    assert fit_projection(model, dim=4, seed=4).sha256() != fitted
    assert fit_projection(model, dim=4, pooling="mean", seed=3).sha256() != fitted


def test_more_features_than_hidden_units_are_refused(model, few):
    with pytest.raises(SpecificationError, match="dim is 64; answers differ in"):
        fit_projection(model)
