"""Model, processor and tagger out of a checkpoint's folder.

Weights must fit the configuration exactly: what transformers would re-initialise with a warning is an error here.
"""

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import GenerationConfig
from transformers.utils import GENERATION_CONFIG_NAME, logging

from lion.checkpoints.adapters import Adapters
from lion.checkpoints.device import default_dtype, find_device
from lion.checkpoints.finding import check_is_lion, find_checkpoint, find_folder, is_tagger, no_tagger
from lion.checkpoints.tensors import OTHER_SHAPE, and_more
from lion.errors import LionError, LionWarning, first_line, warn_of_domain
from lion.hub import LOAD_ERRORS
from lion.model import LionForConditionalGeneration, LionProcessor
from lion.tagging import RamTagger, Tagger

WORTH_A_BAR = 10**9
"""Bytes of weights that a disk does not read in a second or two."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """What a pipeline is made of; `tagger` is None for a checkpoint without one."""

    model: LionForConditionalGeneration
    processor: LionProcessor
    tagger: Tagger | None
    name: str

    def warn(self, stacklevel: int) -> None:
        """Tell whoever loads it what it cannot do."""
        if self.tagger is None:
            warnings.warn(no_tagger(self.name), LionWarning, stacklevel=stacklevel)


def load(
    model: str | Path | None,
    device: str | None = None,
    dtype: torch.dtype | None = None,
    tagger: str | Path | None = None,
    adapters: str | Path | None = None,
) -> LoadedModel:
    """Load model, processor and tagger; arguments and errors as :meth:`LionPipeline.from_pretrained`."""
    kind = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if dtype is not None and not (isinstance(kind, torch.dtype) and kind.is_floating_point):
        raise LionError(f"dtype={dtype!r} is no floating dtype of torch; give torch.float32 or torch.bfloat16")
    trained = adapters and Adapters.read(adapters)  # a mistake is reported before the model is loaded
    folder, name = find_checkpoint(model)
    target = find_device(device)
    with _bars(folder):
        lion = load_model(folder, name, kind or default_dtype(folder, target)).to(target)
        processor = load_processor(folder, name)
        own = RamTagger.from_pretrained(folder / "tagger", device=target) if (folder / "tagger").is_dir() else None
    if trained:
        lion, name = trained.on(lion), f"{name}:{trained.name}"
    return LoadedModel(lion, processor, load_tagger(tagger, device)[0] if tagger else own, name)


@contextmanager
def _bars(folder: Path) -> Iterator[None]:
    """Show transformers' progress bars only for weights that take their time to load."""
    shown = logging.is_progress_bar_enabled()
    if sum(file.stat().st_size for file in folder.glob("**/*.safetensors")) < WORTH_A_BAR:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def load_processor(folder: Path, name: str) -> LionProcessor:
    """The processor beside a model's weights. Raises: LionError if there is none, or it cannot be read."""
    try:
        return LionProcessor.from_pretrained(folder, local_files_only=True)
    except LionError:
        raise
    except Exception as error:  # tokenizers raises this very class
        raise LionError(f"'{name}' holds no readable LionProcessor ({first_line(error)}); save one there") from error


def load_tagger(model: str | Path | None, device: str | None = None) -> tuple[RamTagger, str]:
    """A tagger alone and its model's name, from its own folder or Hub repository or from those of a LION.

    Raises: LionError as `load`, or if the model has no tagger.
    """
    folder, name = find_folder(model)
    if not is_tagger(folder, name):
        check_is_lion(folder, name)
        folder = folder / "tagger"
        if not folder.is_dir():
            raise LionError(f"'{name}' has no tagger: put one in its sub-folder tagger/, or name another model")
    with _bars(folder):
        return RamTagger.from_pretrained(folder, device=find_device(device)), name


def load_model(folder: Path, name: str, dtype: torch.dtype | str) -> LionForConditionalGeneration:
    """The model with weights that fit its configuration name by name and shape by shape.

    Raises: LionError if they do not, or cannot be read.
    """
    try:
        if (folder / GENERATION_CONFIG_NAME).is_file():  # from_pretrained would ignore one that it cannot read
            GenerationConfig.from_pretrained(folder, local_files_only=True)
        model, report = LionForConditionalGeneration.from_pretrained(
            folder, dtype=dtype, local_files_only=True, output_loading_info=True, ignore_mismatched_sizes=True
        )
    except LOAD_ERRORS as error:
        raise LionError(f"cannot load '{name}': {first_line(error)}; save or copy the checkpoint again") from error
    if mismatched := sorted(report["mismatched_keys"]):
        key, stored, expected = mismatched[0]
        difference = f"{key} is {tuple(stored)}, not {tuple(expected)}{and_more(mismatched)}"
        raise LionError(OTHER_SHAPE.format(name, difference))
    for verb, keys in (("lacks", report["missing_keys"]), ("has no use for", report["unexpected_keys"])):
        if keys:
            raise LionError(f"'{name}' {verb} {min(keys)}{and_more(keys)}; its weights do not fit its config.json")
    if model.config.domain is None and _descends_from_lion_mini(model):
        model.config.domain = "drawn scenes"
        warn_of_domain(model.config.domain)
    return model


def _descends_from_lion_mini(model: LionForConditionalGeneration) -> bool:
    """Whether a layer of the frozen language model is that of the lion-mini whose configuration had no `domain`."""
    weight = model.language_model.encoder.final_layer_norm.weight.detach().to("cpu", torch.bfloat16)
    return hashlib.blake2b(weight.view(torch.uint8).numpy(), digest_size=8).hexdigest() == "251b0385beb882d5"
