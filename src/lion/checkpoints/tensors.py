"""Safetensors files by tensor: names, shapes and dtypes from the headers, values only of the tensors that are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from lion.errors import LionError
from lion.hub import LOAD_ERRORS

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I8": torch.int8,
    "U8": torch.uint8,
}
"""Safetensors' dtype names."""

DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor in an opened file."""

    shape: tuple[int, ...]
    dtype: str
    """As safetensors names it, such as ``BF16``."""
    read: Callable[[], Tensor]
    """Reads its values, memory-mapped."""


def open_safetensors(file: Path, name: str | None = None) -> dict[str, StoredTensor]:
    """The tensors of one file by name.

    Args:
        file: the file.
        name: what messages call it; the path unless given.

    Raises: LionError if it is damaged or no safetensors file.
    """
    try:
        opened = safe_open(file, framework="pt")
        tensors = {}
        for key in opened.keys():  # noqa: SIM118 - not a mapping
            header = opened.get_slice(key)
            tensors[key] = StoredTensor(tuple(header.get_shape()), header.get_dtype(), partial(opened.get_tensor, key))
    except LOAD_ERRORS as error:
        raise LionError(f"{name or file} is cut off or no safetensors file; download or copy it again") from error
    return tensors


def open_folder(folder: Path, name: str | None = None) -> dict[str, StoredTensor]:
    """The tensors of a model's folder by name, whether in one file or in shards.

    Raises: LionError if a file is damaged, or there is none.
    """
    tensors: dict[str, StoredTensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= open_safetensors(file)
    if not tensors:
        raise LionError(f"'{name or folder}' holds no *.safetensors; give the folder that save_pretrained wrote")
    return tensors
