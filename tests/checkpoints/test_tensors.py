"""Safetensors files by tensor, whole and in shards."""

import pytest
import torch
from safetensors.torch import save_file

from lion.checkpoints.tensors import open_folder
from lion.errors import LionError


def test_shards_are_one_table_of_tensors(tmp_path):
    save_file({"a": torch.arange(6.0).reshape(2, 3)}, tmp_path / "model-00001-of-00002.safetensors")
    save_file({"b": torch.ones(4, dtype=torch.bfloat16)}, tmp_path / "model-00002-of-00002.safetensors")
    tensors = open_folder(tmp_path)
    assert {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()} == {
        "a": ((2, 3), "F32"),
        "b": ((4,), "BF16"),
    }
    assert torch.equal(tensors["a"].read(), torch.arange(6.0).reshape(2, 3))


def test_a_damaged_file_and_a_folder_without_weights_are_errors(tmp_path):
    with pytest.raises(LionError, match=r"'someone/lion' holds no \*\.safetensors"):
        open_folder(tmp_path, "someone/lion")
    save_file({"a": torch.ones(100)}, tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes()[:-4])
    with pytest.raises(LionError, match=r"model\.safetensors is cut off"):
        open_folder(tmp_path)
