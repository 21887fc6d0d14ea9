"""The reader and writer of safetensors files agree with the library that defines them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from duelgym.errors import PoolError
from duelgym.pools.tensors import read_tensors, write_tensors

ARRAYS = {
    "b": np.arange(24, dtype=np.float16).reshape(4, 3, 2),
    "a": np.arange(5, dtype=np.int8),
    "c": np.linspace(0, 1, 6).reshape(6, 1),
    "d": np.arange(3, dtype=np.int64),
}


def test_the_library_reads_what_is_written(tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as out:
        write_tensors(out, ARRAYS)
    for name, array in load_file(tmp_path / "x").items():
        np.testing.assert_array_equal(array, ARRAYS[name])
        assert array.dtype == ARRAYS[name].dtype


def test_what_the_library_writes_is_read(tmp_path: Path) -> None:
    save_file(ARRAYS, tmp_path / "x", metadata={"made": "by a test"})
    tensors = read_tensors(tmp_path / "x")
    assert tensors.keys() == ARRAYS.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor.rows(0, tensor.shape[0]), ARRAYS[name])
        np.testing.assert_array_equal(tensor.take(np.array([2, 0, 2])), ARRAYS[name][[2, 0, 2]])
        np.testing.assert_array_equal(np.concatenate([rows for _, rows in tensor.blocks()]), ARRAYS[name])


def test_big_endian_and_strided_arrays_are_written_right(tmp_path: Path) -> None:
    array = np.arange(12, dtype=">f4").reshape(3, 4)[:, ::2]
    with (tmp_path / "x").open("wb") as out:
        write_tensors(out, {"x": array})
    np.testing.assert_array_equal(load_file(tmp_path / "x")["x"], array)


def test_bfloat16_is_refused_by_name(tmp_path: Path) -> None:
    header = b'{"x":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    (tmp_path / "x").write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0")
    with pytest.raises(PoolError, match=r"stored as BF16.*convert it \(bfloat16 to float32"):
        read_tensors(tmp_path / "x")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 7,
        b"\xff" * 20,
        (2).to_bytes(8, "little") + b"[]",
        (3).to_bytes(8, "little") + b"{nk",
        (15).to_bytes(8, "little") + b'{"x":{"shape":1',
        (55).to_bytes(8, "little") + b'{"x":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}',
        (55).to_bytes(8, "little") + b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,36]}}' + b"\0" * 36,
        (55).to_bytes(8, "little") + b'{"x":{"dtype":"F32","shape":[-9],"data_offsets":[0,3]}}' + b"\0" * 36,
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(PoolError, match="not a safetensors file"):
        read_tensors(tmp_path / "x")
