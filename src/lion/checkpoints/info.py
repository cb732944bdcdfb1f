"""Sizes of a checkpoint's components, from its configuration and file headers; no weight is loaded."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lion.checkpoints.finding import find_checkpoint
from lion.checkpoints.record import read_record
from lion.checkpoints.tensors import DTYPES, OTHER_SHAPE, StoredTensor, open_folder, own_tensors, shape_difference
from lion.errors import LionError, first_line
from lion.hub import LOAD_ERRORS
from lion.model import FROZEN, TRAINABLE, LionConfig, LionForConditionalGeneration
from lion.model.modeling_lion import component_of
from lion.tagging import RamConfig


@dataclass(frozen=True, slots=True)
class ComponentInfo:
    """One component of the model, or the tagger: sizes and dtypes (safetensors' names) as stored."""

    name: str
    parameters: int
    bytes: int
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
    """Of the run that made it (see `record`); may be empty."""

    @property
    def parameters(self) -> int:
        """All parameters of the model, without the tagger's."""
        return sum(component.parameters for component in self.components)

    @property
    def trained(self) -> int:
        """Parameters that LION's stages train."""
        return sum(component.parameters for component in self.components if component.trained)


def model_info(model: str | Path | None = None) -> ModelInfo:
    """Sum up a checkpoint folder, Hub repository (downloaded whole) or the bundled lion-mini.

    Raises: LionError if there is no such model, or its files are damaged or do not fit its configuration.
    """
    folder, name = find_checkpoint(model)
    tensors = open_folder(folder, name)
    by_component: dict[str, list[StoredTensor]] = {component: [] for component in (*FROZEN, *TRAINABLE)}
    # Names of parameters: buffers such as running statistics are stored beside them.
    for key, _ in outline(folder, name, tensors).named_parameters():
        by_component[component_of(key)].append(tensors[key])
    components = tuple(_component(part, stored, part in TRAINABLE) for part, stored in by_component.items())
    tagger = tagger_info(folder / "tagger", f"{name}/tagger") if (folder / "tagger").is_dir() else None
    return ModelInfo(name, components, tagger, read_record(folder) or {})


def tagger_info(folder: Path, name: str) -> ComponentInfo:
    """Sum up a tagger's own folder. Raises: LionError if its files are damaged."""
    try:
        RamConfig.from_pretrained(folder)
    except LOAD_ERRORS as error:
        raise LionError(f"'{name}' holds a damaged tagger ({first_line(error)}); copy the checkpoint again") from error
    return _component("tagger", open_folder(folder, name).values(), False)


def outline(folder: Path, name: str, stored: dict[str, StoredTensor] | None = None) -> LionForConditionalGeneration:
    """The model in a folder without its weights, on the meta device; `stored`: its files' tensors, if they are open.

    Raises: LionError unless names and shapes in the files are exactly those of the configuration.
    """
    try:
        with torch.device("meta"):
            model = LionForConditionalGeneration(LionConfig.from_pretrained(folder, local_files_only=True))
    except LOAD_ERRORS as error:
        raise LionError(f"'{name}': its config.json does not describe a LION model ({error}); save it again") from error
    if difference := shape_difference(stored or open_folder(folder, name), own_tensors(model)):
        raise LionError(OTHER_SHAPE.format(name, difference))
    return model


def _component(name: str, tensors: Iterable[StoredTensor], trained: bool) -> ComponentInfo:
    counts: Counter[str] = Counter()
    for tensor in tensors:
        counts[tensor.dtype] += torch.Size(tensor.shape).numel()
    size = sum(count * DTYPES.get(dtype, torch.float32).itemsize for dtype, count in counts.items())
    return ComponentInfo(name, counts.total(), size, tuple(sorted(counts)), trained)
