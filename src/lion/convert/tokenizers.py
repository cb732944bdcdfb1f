"""LION's processor from FLAN-T5's and BERT's own tokenizers, checked against the weights they must fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from lion.convert.sources import TEXTS, find
from lion.errors import LionError
from lion.hub import LOAD_ERRORS
from lion.model import LionConfig, LionImageProcessor, LionProcessor
from lion.prompts import SOFT_TOKEN


def build_processor(llm: str, bert: str, config: LionConfig) -> LionProcessor:
    """The processor of the released LION: 128 tokens of text, boxes with three decimals.

    Raises: LionError if a tokenizer is absent, or is not the one the weights were trained with.
    """
    text, instruction = _tokenizer(llm, "--llm"), _tokenizer(bert, "--bert")
    # transformers makes an empty tokenizer of a wrong folder without a word, so each is asked for what it must know.
    soft = text.convert_tokens_to_ids(SOFT_TOKEN)
    if soft != config.soft_prompt_token_id or len(text) > config.text_config.vocab_size:
        raise LionError(
            f"the tokenizer of '{llm}' ({len(text)} pieces, {SOFT_TOKEN} is {soft}) is not this LION's "
            f"({SOFT_TOKEN} is {config.soft_prompt_token_id}); give its FLAN-T5 as --llm"
        )
    instruction.add_special_tokens({"bos_token": "[DEC]"})  # as released: the vocabulary's one more
    if len(instruction) != config.qformer_config.vocab_size:
        raise LionError(
            f"the tokenizer of '{bert}' has {len(instruction)} pieces with [DEC], and the Q-Former "
            f"{config.qformer_config.vocab_size}; give the BERT it was trained with as --bert"
        )
    return LionProcessor(LionImageProcessor(config.vision_config.image_size), text, instruction)


def _tokenizer(source: str, option: str) -> Any:
    folder = find(source, TEXTS)
    if not Path(folder).is_dir():
        raise LionError(f"{option} {source} is a file; its tokenizer is needed too, so give the folder or Hub id")
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except LOAD_ERRORS as error:
        raise LionError(f"{option} '{source}' holds no readable tokenizer; give the folder or Hub id of one") from error
