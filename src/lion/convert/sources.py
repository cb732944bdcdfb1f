"""What is converted, opened without reading it: names, shapes and types at once, a tensor's numbers when asked for.

An input is a file (``.pth``, ``.bin``, ``.safetensors``), a folder as transformers saves it (sharded or not), or the
Hub id of either. Files are memory-mapped, so that their numbers never count as this process's own memory, and nothing
that a file holds is run.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import numpy as np
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from lion.checkpoints.tensors import DTYPE_NAMES, StoredTensor, open_safetensors
from lion.errors import LionError
from lion.hub import HUB_ID, LOAD_ERRORS, fetch

AGAIN = "download or copy it again"

SUFFIXES = (".pth", ".pt", ".bin", ".safetensors")
TEXTS = ("*.json", "*.model", "*.txt")
"""Configurations and tokenizers in a Hub repository."""
SAFE_WEIGHTS, TORCH_WEIGHTS = ("*.safetensors",), ("*.pth", "*.pt", "*.bin")

# Files that a folder's weights may be, the first that is there; what ends in .json names shards.
KNOWN_WEIGHTS = (
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
)


@dataclass(frozen=True, slots=True)
class Source:
    """An opened input."""

    label: str
    """What the user called it, for messages."""
    tensors: Mapping[str, StoredTensor]


def find(source: str | Path, patterns: Sequence[str]) -> Path:
    """The file or folder that an input names; of a Hub repository the files that match are fetched.

    A Hub id is ``owner/name``, ``owner/name/file.pth`` for one file in it, or an old model's bare name.

    Raises: LionError if there is nothing of that name.
    """
    path = Path(os.path.expanduser(source))
    if path.exists():
        return path
    name = str(source)
    parts = name.split("/")
    if len(parts) >= 3 and HUB_ID.fullmatch("/".join(parts[:2])) and name.endswith(SUFFIXES):
        inside = "/".join(parts[2:])
        found = fetch("/".join(parts[:2]), [inside]) / inside
        if not found.is_file():
            raise LionError(f"the Hub repository {'/'.join(parts[:2])} holds no {inside}; check the name")
        return found
    bare = len(parts) == 1 and HUB_ID.fullmatch(f"owner/{name}")
    if name.endswith(SUFFIXES) or not (bare or HUB_ID.fullmatch(name)):
        raise LionError(f"no file or folder '{name}'; check the path")
    return fetch(name, patterns)


def find_weights(source: str | Path) -> Path:
    """As :func:`find`, with weights: a repository's safetensors where it has them, else its PyTorch files."""
    found = find(source, (*TEXTS, *SAFE_WEIGHTS))
    if found.is_dir() and not Path(os.path.expanduser(source)).exists() and not any(found.rglob("*.safetensors")):
        found = find(source, (*TEXTS, *TORCH_WEIGHTS))
    return found


def weights_file(found: Path, name: str) -> Path:
    """The file to read in what :func:`find_weights` found.

    Raises: LionError if a folder holds no weights, or several files of which none is the known one.
    """
    if found.is_file():
        return found
    for known in KNOWN_WEIGHTS:
        if (found / known).is_file():
            return found / known
    files = sorted(path for path in found.iterdir() if path.suffix in SUFFIXES)
    if len(files) == 1:
        return files[0]
    if not files:
        raise LionError(f"'{name}' holds no weights ({', '.join(SUFFIXES)}); give a checkpoint's file or its folder")
    names = ", ".join(file.name for file in files[:8])
    raise LionError(f"'{name}' holds several checkpoints ({names}); name one: {name.rstrip('/')}/{files[0].name}")


def open_source(source: str | Path) -> Source:
    """Open an input's weights.

    Raises: LionError if there are none, or they are damaged, hold code, or lack a shard.
    """
    name = str(source)
    file = weights_file(find_weights(source), name)
    if file.suffix == ".json":
        return Source(name, _open_shards(file))
    return Source(name, _open_file(file, str(file) if Path(name).is_dir() else name))


def _open_shards(index: Path) -> dict[str, StoredTensor]:
    try:
        where: dict[str, str] = json.loads(index.read_text())["weight_map"]
        shards = sorted(set(where.values()))
        missing = [shard for shard in shards if not (index.parent / shard).is_file()]
    except LOAD_ERRORS as error:
        raise LionError(f"{index} is not a readable index of shards; {AGAIN}") from error
    if missing:
        more = f" (and {len(missing) - 1} more of {len(shards)})" if len(missing) > 1 else f" (of {len(shards)} shards)"
        raise LionError(f"{index.parent} lacks the shard {missing[0]}{more}; {AGAIN}")
    opened = {shard: _open_file(index.parent / shard, str(index.parent / shard)) for shard in shards}
    for name, shard in where.items():
        if name not in opened[shard]:
            raise LionError(f"{index.parent / shard} lacks {name}, which the index promises; {AGAIN}")
    return {name: opened[shard][name] for name, shard in where.items()}


def _open_file(file: Path, name: str) -> dict[str, StoredTensor]:
    return open_safetensors(file, name) if file.suffix == ".safetensors" else _open_torch(file, name)


def _open_torch(file: Path, name: str) -> dict[str, StoredTensor]:
    """A file that torch.save wrote: tensors by name, at the top or under ``model``."""
    try:
        # torch.load's own mapping is writable, so the system wants memory for all of it, which XXL is larger than. Fake
        # tensors know where their numbers lie in the file, and a read-only mapping costs nothing.
        with ZipFile(file) as entries:
            packed = any(entry.compress_type != ZIP_STORED for entry in entries.infolist())
        with FakeTensorMode():
            held = torch.load(file, map_location="cpu", weights_only=True)
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # that the numbers cannot be written to
            numbers = torch.from_numpy(np.memmap(file, np.uint8, "r"))
    except Exception as error:  # a damaged file fails in every way that unpacking and unpickling know
        raise LionError(_why(file, name, error)) from error
    if packed:
        raise LionError(f"{name} was compressed and cannot be mapped into memory; load and save it again with PyTorch")
    if isinstance(held, Mapping) and isinstance(held.get("model"), Mapping):
        held = held["model"]
    if not isinstance(held, Mapping) or not held or not any(isinstance(value, Tensor) for value in held.values()):
        raise LionError(f"{name} holds no tensors by name, neither at its top nor under 'model'; is it a checkpoint?")
    for key, value in held.items():
        if not isinstance(key, str) or not isinstance(value, Tensor) or value.layout is not torch.strided:
            raise LionError(f"{name} holds {key!r} among its tensors, which is none, or sparse; is it a checkpoint?")
    return {key: _stored(tensor, numbers) for key, tensor in held.items()}


def _stored(tensor: Tensor, numbers: Tensor) -> StoredTensor:
    """A fake tensor's place among a file's bytes."""
    storage = tensor.untyped_storage()
    start = storage._checkpoint_offset  # where torch.load says they begin
    assert start is not None

    def read() -> Tensor:
        own = numbers[start : start + storage.nbytes()].view(tensor.dtype)  # torch aligns what it writes
        return own.as_strided(tensor.shape, tensor.stride(), own.storage_offset() + tensor.storage_offset())

    return StoredTensor(tuple(tensor.shape), DTYPE_NAMES.get(tensor.dtype, ""), read)


def _why(file: Path, name: str, error: Exception) -> str:
    """What is wrong with a file that torch does not read."""
    if isinstance(error, PermissionError):
        return f"cannot read {name}: {error.strerror}; check the path and its permissions"
    if isinstance(error, OSError) and error.strerror:  # the system's trouble, such as memory, and not the file's
        return f"cannot read {name}: {error.strerror}; check the disk, and the memory that is free"
    with file.open("rb") as opened:
        zipped = opened.read(4) == b"PK\x03\x04"
    if type(error).__name__ == "UnpicklingError" and zipped:
        return f"{name} holds more than tensors and was not opened, as it might run code; get it from its authors"
    if zipped:
        return f"{name} is cut off or damaged; {AGAIN}"
    return (
        f"{name} is no checkpoint that can be mapped into memory: damaged, of another kind, or in the format before "
        f"PyTorch 1.6 (then load and save it again with a newer PyTorch); else {AGAIN}"
    )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object in a file.

    Raises: LionError if it is none.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except LOAD_ERRORS as error:
        raise LionError(f"{path} is not readable JSON; check the path, or {AGAIN}") from error
    if not isinstance(value, dict):
        raise LionError(f"{path} holds no JSON object; is it a config.json?")
    return value
