"""Safetensors files by tensor: names, shapes and dtypes from the headers, values only of the tensors that are read."""

from collections.abc import Callable, Mapping, Sized
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

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

OTHER_SHAPE = (
    "'{}' holds weights of another shape than its config.json: {}; use the config.json the weights were saved with"
)

DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor in an opened file."""

    shape: tuple[int, ...]
    dtype: str
    """As safetensors names it, such as ``BF16``."""
    read: Callable[[], Tensor]
    """Reads its values, memory-mapped."""


def shape_difference(found: Mapping[str, Tensor | StoredTensor], expected: Mapping[str, Tensor]) -> str:
    """In words the first tensor of another shape than expected, and how many more there are; empty if all are alike."""
    ours, theirs = ({name: tuple(tensor.shape) for name, tensor in of.items()} for of in (expected, found))
    wrong = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    if not wrong:
        return ""
    name = wrong[0]
    return f"{name} is {theirs.get(name, 'missing')}, not {ours.get(name, 'absent')}{and_more(wrong)}"


def and_more(names: Sized) -> str:
    """What follows the first of several names in a message."""
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def own_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers, a tied tensor once, under its first name."""
    state = module.state_dict()
    first = {name for name, _ in module.named_parameters()} | {name for name, _ in module.named_buffers()}
    return {name: tensor for name, tensor in state.items() if name in first}


def open_safetensors(file: Path, name: str | None = None) -> dict[str, StoredTensor]:
    """The tensors of one file by name. Raises: LionError, with ``name`` or the path, if it is damaged."""
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
