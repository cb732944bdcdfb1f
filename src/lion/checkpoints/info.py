"""What a checkpoint is made of, read from its configuration and file headers; no weight is loaded."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from lion.checkpoints.loading import find_checkpoint
from lion.errors import LionError, first_line
from lion.model import FROZEN, TRAINABLE, LionConfig, LionForConditionalGeneration
from lion.model.modeling_lion import component_of
from lion.tagging import RamConfig

BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "I64": 8, "I32": 4, "I8": 1, "U8": 1}
"""Bytes of one number, by safetensors' name of its type."""

RECORD = "finished.json"
"""What ``lion train`` leaves beside a model about the run that made it."""


@dataclass(frozen=True, slots=True)
class ComponentInfo:
    """One component of the model, or the tagger."""

    name: str
    parameters: int
    bytes: int
    """As stored."""
    dtypes: tuple[str, ...]
    trained: bool
    """Whether any stage of LION's tuning trains it."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A whole checkpoint."""

    model: str
    components: tuple[ComponentInfo, ...]
    tagger: ComponentInfo | None
    record: dict[str, Any]
    """The run that made it: recipe, scores, hardware, commit; empty if the folder does not say."""

    @property
    def parameters(self) -> int:
        """All parameters of the model, the tagger's apart."""
        return sum(component.parameters for component in self.components)

    @property
    def trained(self) -> int:
        """Parameters that LION's stages train."""
        return sum(component.parameters for component in self.components if component.trained)


def model_info(model: str | Path | None = None) -> ModelInfo:
    """Sum up a checkpoint folder, Hub repository (downloaded whole) or the bundled lion-mini.

    Raises: LionError if there is no such model, or its files are unreadable or do not fit its configuration.
    """
    folder, name = find_checkpoint(model)
    tensors = _headers(folder, name)
    by_component: dict[str, dict[str, tuple[tuple[int, ...], str]]] = {part: {} for part in (*FROZEN, *TRAINABLE)}
    for key in _parameters(folder, name, {key: shape for key, (shape, _) in tensors.items()}):
        by_component[component_of(key)][key] = tensors[key]
    components = tuple(_component(part, inside, part in TRAINABLE) for part, inside in by_component.items())
    tagger = folder / "tagger"
    beside = tagger_info(tagger, f"{name}/tagger") if tagger.is_dir() else None
    return ModelInfo(name, components, beside, _record(folder))


def tagger_info(folder: Path, name: str) -> ComponentInfo:
    """Sum up a tagger's own folder. Raises: LionError if its files are unreadable."""
    try:
        RamConfig.from_pretrained(folder)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise LionError(f"'{name}' holds a damaged tagger ({first_line(error)}); copy the checkpoint again") from error
    return _component("tagger", _headers(folder, name), False)


def _headers(folder: Path, name: str) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and type of every tensor in the folder's safetensors files."""
    tensors: dict[str, tuple[tuple[int, ...], str]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt") as file:
                for key in file.keys():  # noqa: SIM118 - not a mapping
                    part = file.get_slice(key)
                    tensors[key] = tuple(part.get_shape()), part.get_dtype()
        except (SafetensorError, OSError) as error:
            raise LionError(f"{path} is not a readable safetensors file; copy the checkpoint again") from error
    if not tensors:
        raise LionError(f"'{name}' holds no safetensors weights; give the folder that save_pretrained wrote")
    return tensors


def _parameters(folder: Path, name: str, stored: dict[str, tuple[int, ...]]) -> list[str]:
    """The names of the parameters; running statistics are stored too, and are none.

    Raises: LionError unless what is stored is exactly what the configuration asks for.
    """
    try:
        with torch.device("meta"):
            model = LionForConditionalGeneration(LionConfig.from_pretrained(folder, local_files_only=True))
    except (ValueError, TypeError, RuntimeError, OSError) as error:
        raise LionError(f"'{name}': its config.json does not describe a LION model ({error}); save it again") from error
    parameters = [key for key, _ in model.named_parameters()]
    buffers = [key for key, _ in model.named_buffers()]
    wanted = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items() if key in {*parameters, *buffers}}
    wrong = sorted(key for key in stored.keys() | wanted.keys() if stored.get(key) != wanted.get(key))
    if wrong:
        key = wrong[0]
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise LionError(
            f"'{name}' holds weights of another shape than its config.json: {key} is {stored.get(key, 'missing')}, not "
            f"{wanted.get(key, 'wanted')}{more}; use the config.json the weights were saved with"
        )
    return parameters


def _component(name: str, tensors: dict[str, tuple[tuple[int, ...], str]], trained: bool) -> ComponentInfo:
    counts: Counter[str] = Counter()
    for shape, dtype in tensors.values():
        counts[dtype] += torch.Size(shape).numel()
    size = sum(count * BYTES.get(dtype, 4) for dtype, count in counts.items())
    return ComponentInfo(name, counts.total(), size, tuple(sorted(counts)), trained)


def _record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / RECORD).read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}
