"""From hidden states to numbers in [-1, 1]."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duelgym.errors import GeneratorError
from duelgym.generators.projection import Projection, unprojected
from duelgym.pools.tensors import write_tensors


def _example():
    return Projection(np.array([[1, 0], [0, 2], [1, 1]], np.float32), np.array([1, 0, -1], np.float32), 4.0)


def test_a_projection_by_hand():
    features, cut = _example().apply(np.array([[[2, 1, 0], [1, -3, 4]]], np.float32))
    # (1, 1, 1) @ matrix = (2, 3); (0, -3, 5) @ matrix = (5, -1)
    assert np.allclose(features, [[[0.5, 0.75], [1.0, -0.25]]]) and cut == 1 and features.dtype == np.float32


def test_without_one_the_size_goes_and_the_direction_stays():
    hidden = np.array([[3.0, -4.0, 0.0, 0.0]], np.float32)  # root mean square 2.5
    features, cut = unprojected(hidden)
    assert np.allclose(features, hidden / 10) and cut == 0
    peak = np.zeros((1, 100), np.float32)
    peak[0, 7] = -5.0  # root mean square 0.5: ten times 4 of them hold 2.5 of it
    features, cut = unprojected(peak)
    assert features[0, 7] == -1.0 and cut == 1
    assert np.array_equal(unprojected(np.zeros((2, 3), np.float32))[0], np.zeros((2, 3)))


@given(st.floats(1e-3, 1e3), st.integers(0, 1000))
def test_the_scale_of_hidden_states_does_not_matter_without_one(factor, seed):
    hidden = np.random.default_rng(seed).standard_normal((4, 8)).astype(np.float32)
    assert np.allclose(unprojected(hidden)[0], unprojected(hidden * np.float32(factor))[0], atol=1e-5)


def test_saved_and_loaded_it_is_the_same(tmp_path):
    projection, path = _example(), tmp_path / "projection.safetensors"
    projection.save(path)
    projection.save(path)  # an existing one is replaced
    loaded = Projection.load(path)
    hidden = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    assert np.array_equal(loaded.apply(hidden)[0], projection.apply(hidden)[0])
    assert loaded.sha256() == projection.sha256() and (loaded.hidden_dim, loaded.embedding_dim) == (3, 2)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_any_number_changed_changes_the_hash():
    one = _example()
    for other in (
        Projection(one.matrix + 1, one.offset, one.scale),
        Projection(one.matrix, one.offset + 1, one.scale),
        Projection(one.matrix, one.offset, one.scale + 1),
    ):
        assert other.sha256() != one.sha256()


def test_what_is_no_projection_is_one_line(tmp_path):
    for name, arrays in (
        ("lacking", {"matrix": np.ones((2, 2), np.float32)}),
        ("scales", {"matrix": np.ones((2, 1), np.float32), "offset": np.ones(2, np.float32), "scale": np.ones(2)}),
    ):
        with (tmp_path / name).open("wb") as file:
            write_tensors(file, arrays)
    (tmp_path / "text").write_text("hello")
    for name in ("lacking", "text", "nowhere"):
        with pytest.raises(GeneratorError, match="not a projection"):
            Projection.load(tmp_path / name)
    with pytest.raises(GeneratorError, match=r"'scale' has shape \(2,\)"):
        Projection.load(tmp_path / "scales")
    with pytest.raises(GeneratorError, match="must be"):
        Projection(np.ones((2, 2), np.float32), np.ones(3, np.float32), 1.0)
    for scale in (0.0, -1.0, float("nan")):
        with pytest.raises(GeneratorError, match="scale"):
            Projection(np.ones((2, 2), np.float32), np.ones(2, np.float32), scale)
