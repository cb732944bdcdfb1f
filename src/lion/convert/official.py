"""Writes a planned conversion (`plan.py`), tensor by tensor, as a folder for `from_pretrained`."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, GenerationConfig

from lion.atomic import atomic_directory, atomic_write, unfinished
from lion.checkpoints.device import free_disk
from lion.convert.card import model_card
from lion.convert.plan import Plan
from lion.convert.ram import convert_ram
from lion.convert.sources import TEXTS, TORCH_WEIGHTS, find, weights_file
from lion.convert.writer import write_sharded
from lion.errors import LionError
from lion.hub import LOAD_ERRORS
from lion.model import LionConfig, LionForConditionalGeneration, LionImageProcessor, LionProcessor
from lion.prompts import SOFT_TOKEN

SPARE_BYTES = 100_000_000
"""Disk space for tokenizers and the file system, beside the weights."""


def write_plan(plan: Plan, out: str | Path, progress: Callable[[int], None] = lambda size: None) -> None:
    """Write model, configuration, processor, tagger, model card and report.

    Args:
        plan: of `plan_official`.
        out: a folder that does not exist yet, or is empty; it appears whole or not at all.
        progress: called after each tensor with its number of bytes.

    Raises: LionError if tensors are missing, unknown or not finite, tokenizers do not fit, or the disk is too full.
    """
    plan.report.check()
    target = Path(os.path.expanduser(out)).resolve()  # the disk that a link leads to
    _check_target(target, plan.bytes)
    processor = build_processor(plan.llm, plan.inputs.bert, plan.config)
    with atomic_directory(target) as folder:
        if ram := plan.inputs.ram:
            convert_ram(weights_file(find(ram, TORCH_WEIGHTS), ram), folder / "tagger")
        _write_configs(folder, plan.config, plan.dtype)
        processor.save_pretrained(folder)
        atomic_write(folder / "README.md", model_card(target.name, plan))
        atomic_write(folder / "conversion.txt", plan.report.text())
        write_sharded(folder, plan.tensors, progress=progress)


def build_processor(llm: str, bert: str, config: LionConfig) -> LionProcessor:
    """The processor of the released LION. Raises: LionError if a tokenizer is absent, or does not fit the weights."""
    text, instruction = _tokenizer(llm, "--llm"), _tokenizer(bert, "--bert")
    # transformers silently makes an empty tokenizer from a wrong folder; its special tokens and size show that.
    soft = text.convert_tokens_to_ids(SOFT_TOKEN)
    if soft != config.soft_prompt_token_id or len(text) > config.text_config.vocab_size:
        raise LionError(
            f"the tokenizer of '{llm}' ({len(text)} pieces, {SOFT_TOKEN} is {soft}) is not this LION's "
            f"({SOFT_TOKEN} is {config.soft_prompt_token_id}); give its FLAN-T5 as --llm"
        )
    instruction.add_special_tokens({"bos_token": "[DEC]"})  # the released vocabulary has one more than BERT's
    if len(instruction) != config.qformer_config.vocab_size:
        raise LionError(
            f"the tokenizer of '{bert}' has {len(instruction)} pieces with [DEC], and the Q-Former "
            f"{config.qformer_config.vocab_size}; give the BERT it was trained with as --bert"
        )
    return LionProcessor(LionImageProcessor(config.vision_config.image_size), text, instruction)


def _tokenizer(source: str, option: str) -> Any:
    folder = find(source, TEXTS)
    if not folder.is_dir():
        raise LionError(f"{option} {source} is a file; its tokenizer is needed too, so give the folder or Hub id")
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except LOAD_ERRORS as error:
        raise LionError(f"{option} '{source}' holds no readable tokenizer; give the folder or Hub id of one") from error


def _write_configs(folder: Path, config: LionConfig, dtype: torch.dtype) -> None:
    config.architectures = [LionForConditionalGeneration.__name__]
    for part in (config, *(getattr(config, name) for name in config.sub_configs)):
        part.dtype = str(dtype).removeprefix("torch.")
    config.save_pretrained(folder)
    text = config.text_config
    GenerationConfig(
        num_beams=5,
        max_new_tokens=256,
        decoder_start_token_id=text.decoder_start_token_id,
        eos_token_id=text.eos_token_id,
        pad_token_id=text.pad_token_id,
    ).save_pretrained(folder)


def _check_target(target: Path, size: int) -> None:
    """Raise LionError unless the folder can be written whole and its disk has `size` bytes free."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise LionError(f"{target} is there already; name a new folder, or remove it")
    if os.path.ismount(target):
        raise LionError(f"{target} is a disk of its own, and cannot be put in place whole; name a folder in it")
    free = free_disk(target.parent)
    if free < size + SPARE_BYTES:
        left = unfinished(target)
        hint = f"remove {left}, which a stopped conversion left" if left else "make room"
        raise LionError(f"{target.parent} has {free / 1e9:.1f} GB free, the model takes {size / 1e9:.1f} GB; {hint}")
