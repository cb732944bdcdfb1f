"""From a model's name to a loaded model: the bundled lion-mini, a folder, or a Hub repository.

Only a Hub id (``owner/name``) uses the network. Weights must fit the configuration exactly: what transformers would
re-initialise with a warning is an error here.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import GenerationConfig
from transformers.utils import GENERATION_CONFIG_NAME

from lion.checkpoints.device import free_memory, multiplies_bfloat16
from lion.errors import LionError, first_line
from lion.hub import HUB_ID, fetch
from lion.model import LionForConditionalGeneration, LionProcessor
from lion.tagging import RamConfig, RamTagger, Tagger

BUNDLED = "lion-mini"
"""Name of the model inside the package: the default, and what ``--model lion-mini`` means."""

LARGE = 4 * 10**9
"""Bytes of weights from which a CPU that multiplies bfloat16 keeps them in it: half the memory, and faster."""

_ROOM = 2.4
"""Free memory that float32 weights want, in bytes of those stored in half precision: twice that, and some to work."""

WANTED = ("*.json", "*.safetensors", "*.model", "*.txt", "README.md")
"""What is fetched of a Hub repository."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """Everything a pipeline is made of."""

    model: LionForConditionalGeneration
    processor: LionProcessor
    tagger: Tagger | None
    name: str


def load(model: str | Path | None, device: str | None = None, dtype: torch.dtype | None = None) -> LoadedModel:
    """Load model, processor and tagger; arguments and errors as :meth:`LionPipeline.from_pretrained`."""
    folder, name = find_checkpoint(model)
    place = find_device(device)
    lion = load_model(folder, name, dtype or default_dtype(folder, place)).to(place)
    processor = load_processor(folder, name)
    tagger = RamTagger.from_pretrained(folder / "tagger", device=place) if (folder / "tagger").is_dir() else None
    return LoadedModel(lion, processor, tagger, name)


def load_processor(folder: Path, name: str) -> LionProcessor:
    """The processor beside a model's weights.

    Raises: LionError if there is none, or it cannot be read.
    """
    try:
        return LionProcessor.from_pretrained(folder, local_files_only=True)
    except LionError:
        raise
    except Exception as error:  # tokenizers raises this very class
        raise LionError(f"'{name}' holds no readable LionProcessor ({first_line(error)}); save one there") from error


def load_tagger(model: str | Path | None, device: str | None = None) -> tuple[RamTagger, str]:
    """A tagger alone, from its own folder or Hub repository or from that of a LION; and the model's name.

    Raises: LionError as `load`, or if the model has no tagger.
    """
    folder, name = find_folder(model)
    kind = kind_of(folder, name)
    if kind == RamConfig.model_type:
        home = folder
    else:
        _check_is_lion(kind, name)
        home = folder / "tagger"
        if not home.is_dir():
            raise LionError(f"'{name}' has no tagger: put one in its sub-folder tagger/, or name another model")
    return RamTagger.from_pretrained(home, device=find_device(device)), name


def find_checkpoint(model: str | Path | None) -> tuple[Path, str]:
    """The folder of a LION model, fetched from the Hub if need be, and the name to call it by.

    Raises: LionError if there is no such model, or it is not a LION checkpoint.
    """
    folder, name = find_folder(model)
    _check_is_lion(kind_of(folder, name), name)
    return folder, name


def find_folder(model: str | Path | None) -> tuple[Path, str]:
    """As `find_checkpoint`, whatever kind of model the folder holds."""
    name = BUNDLED if model is None else str(model)
    path = Path(os.path.expanduser(name))
    if model is None or (name == BUNDLED and not path.is_dir()):
        folder = Path(str(files("lion"))) / "bundled" / BUNDLED
        if not (folder / "config.json").is_file():
            raise LionError(f"this installation holds no {BUNDLED}; name a model: --model, or from_pretrained(path)")
    elif path.is_dir():
        folder = path
    elif is_hub_id(name):
        folder = fetch(name, WANTED)
    else:
        raise LionError(f"no model folder '{name}'; give a folder with a config.json, or a Hub id like owner/name")
    return folder, name


def is_hub_id(name: str) -> bool:
    """Whether a model of this name would be looked for on the Hub."""
    return bool(HUB_ID.fullmatch(name)) and not os.path.exists(os.path.expanduser(name))


def kind_of(folder: Path, name: str) -> str | None:
    """What config.json says the folder's model is.

    Raises: LionError if there is none, or it cannot be read.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise LionError(f"'{name}' holds no config.json; give the folder that save_pretrained or lion train wrote")
    try:
        return json.loads(path.read_text()).get("model_type")
    except (ValueError, AttributeError, UnicodeDecodeError) as error:
        raise LionError(f"{path} is not readable JSON; copy or save the checkpoint again") from error


def _check_is_lion(kind: str | None, name: str) -> None:
    if kind == RamConfig.model_type:
        raise LionError(f"'{name}' is a tagger alone, for lion tag; name a LION checkpoint")
    if kind != "lion":
        raise LionError(f"'{name}' is a {kind or 'nameless'} model, not LION; name a LION checkpoint")


def load_model(folder: Path, name: str, dtype: torch.dtype | str) -> LionForConditionalGeneration:
    """The model with weights that fit its configuration name by name and shape by shape.

    Raises: LionError if they do not, or cannot be read.
    """
    try:
        if (folder / GENERATION_CONFIG_NAME).is_file():  # transformers passes over one it cannot read
            GenerationConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError) as error:
        raise LionError(
            f"'{name}' holds no readable {GENERATION_CONFIG_NAME} ({first_line(error)}); "
            "save or copy the checkpoint again"
        ) from error
    try:
        model, report = LionForConditionalGeneration.from_pretrained(
            folder, dtype=dtype, local_files_only=True, output_loading_info=True, ignore_mismatched_sizes=True
        )
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        raise LionError(f"cannot load '{name}': {first_line(error)}; save or copy the checkpoint again") from error
    if mismatched := sorted(report["mismatched_keys"]):
        key, stored, wanted = mismatched[0]
        raise LionError(
            f"'{name}' holds weights of another shape than its config.json: {key} is {tuple(stored)}, not "
            f"{tuple(wanted)}{_and_more(mismatched)}; use the config.json the weights were saved with"
        )
    for what, keys in (("lacks", report["missing_keys"]), ("has no use for", report["unexpected_keys"])):
        if keys:
            raise LionError(f"'{name}' {what} {min(keys)}{_and_more(keys)}; its weights do not fit its config.json")
    return model


def find_device(device: str | None) -> torch.device:
    """The device of that name, by default a GPU if there is one.

    Raises: LionError if there is no such device here.
    """
    if device is None or device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise LionError(f"no device '{device}' here; use cpu, cuda, cuda:0, mps or leave it out") from error
    return place


def default_dtype(folder: Path, place: torch.device) -> torch.dtype:
    """What the checkpoint says, but bfloat16 for float16, in which T5 overflows.

    On a CPU float32 for small ones, and for large ones too if it is slow in bfloat16 and they fit into its memory.
    """
    stored = json.loads((folder / "config.json").read_text()).get("dtype", "float32")
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    if stored == "float32" or (place.type == "cpu" and size < LARGE):
        return torch.float32
    if place.type == "cpu" and not multiplies_bfloat16(place) and _ROOM * size < (free_memory(place) or 0):
        return torch.float32
    return torch.bfloat16


def _and_more(keys: object) -> str:
    count = len(keys) - 1  # type: ignore[arg-type]
    return f" (and {count} more)" if count else ""
