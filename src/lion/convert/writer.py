"""Sharded safetensors, written tensor by tensor: at no time is more than one tensor in this process's own memory.

safetensors' own writer wants a whole shard at once. The format is simple enough to stream: eight bytes with the length
of a JSON header, the header (type, shape and place of each tensor), then the numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lion.atomic import atomic_write_json
from lion.checkpoints.tensors import DTYPE_NAMES

SHARD_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Planned:
    """A tensor to be written."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Callable[[], Tensor]
    """Its numbers, in any floating-point type."""

    @property
    def numbers(self) -> int:
        """How many numbers it holds."""
        return torch.Size(self.shape).numel()

    @property
    def bytes(self) -> int:
        """Its size in the file."""
        return self.numbers * self.dtype.itemsize


def write_sharded(
    folder: Path,
    tensors: Sequence[Planned],
    shard_bytes: int = SHARD_BYTES,
    progress: Callable[[int], None] | None = None,
) -> list[Path]:
    """Write tensors in order to as many files of at most ``shard_bytes`` as they need, and the index that names them.

    A tensor larger than a shard gets one of its own. ``progress`` is told the bytes of each tensor written.

    Returns: the shards, named as transformers names them.
    """
    shards = _split(tensors, shard_bytes)
    if len(shards) == 1:
        names = ["model.safetensors"]
    else:
        names = [f"model-{number:05}-of-{len(shards):05}.safetensors" for number in range(1, len(shards) + 1)]
        total = {
            "total_parameters": sum(tensor.numbers for tensor in tensors),
            "total_size": sum(tensor.bytes for tensor in tensors),
        }
        where = {tensor.name: name for name, shard in zip(names, shards, strict=True) for tensor in shard}
        atomic_write_json(folder / "model.safetensors.index.json", {"metadata": total, "weight_map": where})
    for name, shard in zip(names, shards, strict=True):
        _write_shard(folder / name, shard, progress or (lambda count: None))
    return [folder / name for name in names]


def _split(tensors: Sequence[Planned], shard_bytes: int) -> list[list[Planned]]:
    shards: list[list[Planned]] = [[]]
    size = 0
    for tensor in tensors:
        if shards[-1] and size + tensor.bytes > shard_bytes:
            shards.append([])
            size = 0
        shards[-1].append(tensor)
        size += tensor.bytes
    return shards


def _write_shard(path: Path, tensors: Sequence[Planned], progress: Callable[[int], None]) -> None:
    # Wide numbers first: each tensor then starts at a multiple of its number's size, as the format demands.
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
            numbers = tensor.read().detach().to(tensor.dtype).contiguous()
            assert tuple(numbers.shape) == tensor.shape, tensor.name
            file.write(numbers.reshape(-1).view(torch.uint8).numpy().data)
            progress(tensor.bytes)
