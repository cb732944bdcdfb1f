"""Models built from nothing: which processor and which configuration a recipe's `model` names."""

from __future__ import annotations

from typing import Any

from lion.errors import LionError
from lion.model import LionConfig, LionImageProcessor, LionProcessor
from lion.prompts import SOFT_TOKEN
from lion.train.mini.tokenizers import bert_tokenizer, t5_tokenizer
from lion.world import vocabulary

PRESETS = {"mini": LionConfig.mini, "tiny": LionConfig.tiny}
"""Sizes that live in the drawn world, with tokenizers made from its vocabulary; the full sizes come with weights."""


def preset_config(name: str, processor: LionProcessor) -> LionConfig:
    """The configuration of that name for a processor's vocabularies. Raises: LionError for an unknown name."""
    if name not in PRESETS:
        raise LionError(f"model: {name!r} cannot be built from nothing ({', '.join(PRESETS)} can); give init.model")
    soft_token = processor.tokenizer.convert_tokens_to_ids(SOFT_TOKEN)
    return PRESETS[name](len(processor.tokenizer), len(processor.qformer_tokenizer), soft_token)


def world_processor(name: str) -> LionProcessor:
    """The processor of a preset: the world's words, its image size, boxes with two decimals.

    Raises: LionError for an unknown name.
    """
    words = vocabulary()
    tokenizer, qformer_tokenizer = t5_tokenizer(words), bert_tokenizer(words)
    processor = LionProcessor(
        LionImageProcessor(), tokenizer, qformer_tokenizer, max_text_tokens=128, max_answer_tokens=96, box_decimals=2
    )
    vision: Any = preset_config(name, processor).vision_config
    processor.image_processor.image_size = vision.image_size
    return processor
