"""The streamed safetensors: read back by safetensors itself, never more than one tensor at a time."""

import json
import weakref

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from lion.convert.writer import OutputTensor, write_sharded


def planned(name, tensor, dtype=None):
    return OutputTensor(name, tuple(tensor.shape), dtype or tensor.dtype, lambda: tensor)


def test_numbers_and_types_come_back(tmp_path):
    odd = torch.randn(3, 5, dtype=torch.bfloat16)  # an odd number of half words before a whole one
    turned = torch.randn(4, 6).T
    write_sharded(
        tmp_path, [planned("odd", odd), planned("turned", turned), planned("one", torch.ones(1)),
                   planned("rounded", turned, torch.bfloat16)]
    )  # fmt: skip
    (file,) = tmp_path.iterdir()
    assert file.name == "model.safetensors"
    read = load_file(file)
    assert torch.equal(read["odd"], odd) and torch.equal(read["turned"], turned) and read["one"] == 1
    assert torch.equal(read["rounded"], turned.bfloat16())
    with safe_open(file, framework="pt") as opened:
        assert opened.metadata() == {"format": "pt"}


def test_shards_and_their_index(tmp_path):
    tensors = [planned(f"t{number}", torch.full((100,), float(number))) for number in range(7)]
    tensors.insert(3, planned("large", torch.zeros(1000)))  # larger than a shard: one of its own
    written = []
    write_sharded(tmp_path, tensors, shard_bytes=1000, progress=written.append)
    files = sorted(tmp_path.glob("*.safetensors"))
    assert [file.name for file in files] == [f"model-{number:05}-of-00005.safetensors" for number in range(1, 6)]
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"] == {"total_parameters": 1700, "total_size": 6800} and sum(written) == 6800
    read = {name: load_file(tmp_path / file)[name] for name, file in index["weight_map"].items()}
    assert set(read) == {tensor.name for tensor in tensors}
    assert all(torch.equal(read[tensor.name], tensor.read()) for tensor in tensors)
    sizes = [sum(tensor.nbytes for tensor in load_file(file).values()) for file in files]
    assert sizes == [800, 4000, 800, 800, 400]


def test_one_tensor_at_a_time(tmp_path):
    alive, most = 0, []

    def gone():
        nonlocal alive
        alive -= 1

    def read(number):
        nonlocal alive
        numbers = np.full(1000, number, dtype=np.float32)  # lives as long as a tensor over it
        weakref.finalize(numbers, gone)
        alive += 1
        most.append(alive)
        return torch.from_numpy(numbers)

    def make(number):
        return OutputTensor(f"t{number}", (1000,), torch.float32, lambda: read(number))

    write_sharded(tmp_path, [make(number) for number in range(20)])
    assert len(most) == 20 and max(most) <= 2  # the one being read, and the one before it until its name is taken over


def test_a_wrong_shape_is_our_own_fault(tmp_path):
    with pytest.raises(AssertionError, match="odd"):
        write_sharded(tmp_path, [OutputTensor("odd", (2,), torch.float32, lambda: torch.ones(3))])
