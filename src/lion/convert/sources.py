"""Opens the inputs of a conversion without reading them: names, shapes and dtypes at once, values on demand.

An input is a file (``.pth``, ``.bin``, ``.safetensors``), a folder as transformers saves it (sharded or not), or the
Hub id of either. Files are memory-mapped (not this process's own memory), and no code in them is run.
"""

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
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

WEIGHTS = ("model.safetensors.index.json", "model.safetensors", "pytorch_model.bin.index.json", "pytorch_model.bin")
"""Weights of a folder in order of preference; those in .json are an index of shards."""


@dataclass(frozen=True, slots=True)
class Source:
    """An opened input."""

    label: str
    """The path or Hub id as given, for messages."""
    tensors: Mapping[str, StoredTensor]


def open_source(source: str | Path) -> Source:
    """Open an input. Raises: LionError if it has no weights, or they are damaged, hold code, or lack a shard."""
    name = str(source)
    found = find(source, (*TEXTS, *SAFE_WEIGHTS))
    if found.is_dir() and not Path(os.path.expanduser(source)).exists() and not any(found.rglob("*.safetensors")):
        found = find(source, (*TEXTS, *TORCH_WEIGHTS))  # a Hub repository without safetensors
    file = weights_file(found, name)
    if file.suffix == ".json":
        return Source(name, _open_shards(file))
    return Source(name, open_file(file, str(file) if Path(name).is_dir() else name))


def find(source: str | Path, patterns: Sequence[str]) -> Path:
    """The local file or folder of an input; from a Hub repository the files that match a pattern are downloaded.

    A Hub id is ``owner/name``, ``owner/name/file.pth`` for one file in it, or an old model's bare name.

    Raises: LionError if there is no such input.
    """
    path = Path(os.path.expanduser(source))
    if path.exists():
        return path
    name = str(source)
    parts = name.split("/")
    if len(parts) >= 3 and HUB_ID.fullmatch("/".join(parts[:2])) and name.endswith(SUFFIXES):
        repository, file = "/".join(parts[:2]), "/".join(parts[2:])
        found = fetch(repository, [file]) / file
        if not found.is_file():
            raise LionError(f"the Hub repository {repository} holds no {file}; check the name")
        return found
    bare = len(parts) == 1 and HUB_ID.fullmatch(f"owner/{name}")
    if name.endswith(SUFFIXES) or not (bare or HUB_ID.fullmatch(name)):
        raise LionError(f"no file or folder '{name}'; check the path")
    return fetch(name, patterns)


def weights_file(found: Path, name: str) -> Path:
    """The file with the weights, or their index, in what `find` returned.

    Raises: LionError if a folder holds no weights, or several files none of which has a known name.
    """
    if found.is_file():
        return found
    files = [found / known for known in WEIGHTS if (found / known).is_file()]
    files = files[:1] or sorted(path for path in found.iterdir() if path.suffix in SUFFIXES)
    if len(files) == 1:
        return files[0]
    if not files:
        raise LionError(f"'{name}' holds no weights ({', '.join(SUFFIXES)}); give a checkpoint's file or its folder")
    names = ", ".join(file.name for file in files[:8])
    raise LionError(f"'{name}' holds several checkpoints ({names}); name one: {name.rstrip('/')}/{files[0].name}")


def _open_shards(index: Path) -> dict[str, StoredTensor]:
    folder = index.parent
    try:
        shard_of: dict[str, str] = json.loads(index.read_text())["weight_map"]
        shards = sorted(set(shard_of.values()))
        missing = [shard for shard in shards if not (folder / shard).is_file()]
    except LOAD_ERRORS as error:
        raise LionError(f"{index} is not a readable index of shards; {AGAIN}") from error
    if missing:
        more = f" (and {len(missing) - 1} more of {len(shards)})" if len(missing) > 1 else f" (of {len(shards)} shards)"
        raise LionError(f"{folder} lacks the shard {missing[0]}{more}; {AGAIN}")
    opened = {shard: open_file(folder / shard, str(folder / shard)) for shard in shards}
    for name, shard in shard_of.items():
        if name not in opened[shard]:
            raise LionError(f"{folder / shard} lacks {name}, which the index promises; {AGAIN}")
    return {name: opened[shard][name] for name, shard in shard_of.items()}


def open_file(file: Path, name: str) -> dict[str, StoredTensor]:
    """The tensors of a safetensors or PyTorch file by their names, at its top or under ``model``.

    Raises: LionError, with `name` for the file, if it is damaged or holds anything but tensors.
    """
    if file.suffix == ".safetensors":
        return open_safetensors(file, name)
    try:
        # torch.load would map the file writable and so reserve memory for all of it. Fake tensors know the offsets of
        # their values, and a read-only mapping reserves nothing.
        with ZipFile(file) as entries:
            packed = any(entry.compress_type != ZIP_STORED for entry in entries.infolist())
        with FakeTensorMode():
            held = torch.load(file, map_location="cpu", weights_only=True)
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # that the tensor is not writable
            content = torch.from_numpy(np.memmap(file, np.uint8, "r"))
    except Exception as error:  # unzipping and unpickling a damaged file may raise anything
        raise LionError(_reason(file, name, error)) from error
    if packed:
        raise LionError(f"{name} was compressed and cannot be mapped into memory; load and save it again with PyTorch")
    if isinstance(held, Mapping) and isinstance(held.get("model"), Mapping):
        held = held["model"]
    if not isinstance(held, Mapping) or not held or not any(isinstance(value, Tensor) for value in held.values()):
        raise LionError(f"{name} holds no tensors by name, neither at its top nor under 'model'; is it a checkpoint?")
    for key, value in held.items():
        if not isinstance(key, str) or not isinstance(value, Tensor) or value.layout is not torch.strided:
            raise LionError(f"{name} holds {key!r} among its tensors, which is none, or sparse; is it a checkpoint?")
    return {key: _stored(tensor, content) for key, tensor in held.items()}


def _stored(tensor: Tensor, content: Tensor) -> StoredTensor:
    """A fake tensor, to be read from the bytes of its file."""
    storage = tensor.untyped_storage()
    start = storage._checkpoint_offset  # set by torch.load: offset of the storage in the file
    assert start is not None

    def read() -> Tensor:
        values = content[start : start + storage.nbytes()].view(tensor.dtype)  # torch aligns storages in its files
        return values.as_strided(tensor.shape, tensor.stride(), values.storage_offset() + tensor.storage_offset())

    return StoredTensor(tuple(tensor.shape), DTYPE_NAMES.get(tensor.dtype, ""), read)


def _reason(file: Path, name: str, error: Exception) -> str:
    """Why torch does not read a file."""
    if isinstance(error, PermissionError):
        return f"cannot read {name}: {error.strerror}; check the path and its permissions"
    if isinstance(error, OSError) and error.strerror:  # of the system, such as memory, rather than of the file
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
