"""Sharded safetensors, written tensor by tensor: this process's own memory never holds more than one.

The library's writer needs a whole shard in memory. The format can be streamed: eight bytes with the length of a JSON
header, the header (dtype, shape and offsets of each tensor), then the values.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub import StateDictSplit, split_state_dict_into_shards_factory
from torch import Tensor

from lion.atomic import atomic_write_json
from lion.checkpoints.tensors import DTYPE_NAMES

SHARD_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True)
class OutputTensor:
    """A tensor to be written; ``read`` gives its values in any floating-point dtype."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Callable[[], Tensor]

    @property
    def parameters(self) -> int:
        """Number of values."""
        return torch.Size(self.shape).numel()

    @property
    def bytes(self) -> int:
        """Size in the file."""
        return self.parameters * self.dtype.itemsize


def write_sharded(
    folder: Path,
    tensors: Sequence[OutputTensor],
    shard_bytes: int = SHARD_BYTES,
    progress: Callable[[int], None] = lambda size: None,
) -> None:
    """Write tensors to files of at most ``shard_bytes`` (a larger tensor gets its own), named as by transformers.

    Several files get an index. ``progress`` is called after each tensor with its bytes.
    """
    split = split_shards(tensors, shard_bytes)
    if split.is_sharded:
        metadata = {"total_parameters": sum(tensor.parameters for tensor in tensors), **split.metadata}
        index = {"metadata": metadata, "weight_map": split.tensor_to_filename}
        atomic_write_json(folder / "model.safetensors.index.json", index)
    by_name = {tensor.name: tensor for tensor in tensors}
    for file, names in split.filename_to_tensors.items():
        _write_shard(folder / file, [by_name[name] for name in names], progress)


def split_shards(tensors: Sequence[OutputTensor], shard_bytes: int) -> StateDictSplit:
    """Assign tensors in order to files of at most ``shard_bytes``."""
    return split_state_dict_into_shards_factory(
        {tensor.name: tensor for tensor in tensors},
        get_storage_size=lambda tensor: tensor.bytes,
        filename_pattern="model{suffix}.safetensors",
        max_shard_size=shard_bytes,
    )


def _write_shard(path: Path, tensors: Sequence[OutputTensor], progress: Callable[[int], None]) -> None:
    # Wide dtypes first: each tensor then starts at a multiple of its item size, as the format requires.
    ordered = sorted(tensors, key=lambda tensor: -tensor.dtype.itemsize)
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for tensor in ordered:
        header[tensor.name] = {
            "dtype": DTYPE_NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + tensor.bytes],
        }
        offset += tensor.bytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in ordered:
            values = tensor.read().detach().to(tensor.dtype).contiguous()
            assert tuple(values.shape) == tensor.shape, tensor.name
            file.write(values.reshape(-1).view(torch.uint8).numpy().data)
            progress(tensor.bytes)
