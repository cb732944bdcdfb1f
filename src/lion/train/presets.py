"""Models from scratch: the processor and the model that a recipe's `model` names where `init` names no checkpoint."""

from typing import Any

import torch

from lion.errors import LionError
from lion.model import LionConfig, LionForConditionalGeneration, LionImageProcessor, LionProcessor
from lion.model.vision_encoder import sincos_positions
from lion.prompts import SOFT_TOKEN
from lion.train.tokenizers import bert_tokenizer, t5_tokenizer
from lion.world import vocabulary

PRESETS = {"mini": LionConfig.mini, "tiny": LionConfig.tiny}
"""Sizes for the drawn world, with tokenizers made from its vocabulary."""
RELEASED = {"flan-t5-xl": LionConfig.flan_t5_xl, "flan-t5-xxl": LionConfig.flan_t5_xxl}
"""Sizes that come with weights and tokenizers."""


def preset_config(name: str, processor: LionProcessor) -> LionConfig:
    """The preset's configuration for a processor's vocabularies. Raises: LionError for an unknown name."""
    if name not in PRESETS:
        raise LionError(f"model: {name!r} cannot be built from nothing ({', '.join(PRESETS)} can); give init.model")
    soft_token = processor.tokenizer.convert_tokens_to_ids(SOFT_TOKEN)
    return PRESETS[name](len(processor.tokenizer), len(processor.qformer_tokenizer), soft_token)


def world_processor(name: str) -> LionProcessor:
    """The preset's processor: the world's words, boxes with two decimals. Raises: LionError for an unknown name."""
    words = vocabulary()
    tokenizer, qformer_tokenizer = t5_tokenizer(words), bert_tokenizer(words)
    processor = LionProcessor(
        LionImageProcessor(), tokenizer, qformer_tokenizer, max_text_tokens=128, max_answer_tokens=96, box_decimals=2
    )
    vision: Any = preset_config(name, processor).vision_config
    processor.image_processor.image_size = vision.image_size
    return processor


@torch.no_grad()
def preset_model(name: str, processor: LionProcessor) -> LionForConditionalGeneration:
    """The preset's model with random weights, its queries initialised as a grid over the picture.

    Each query starts as the position code of its cell, as random ones learn slowly to tell places apart
    (``docs/log.md``); queries that form no square grid, or whose width is not the ViT's, stay random. Raises: LionError
    for an unknown name.
    """
    model = LionForConditionalGeneration(preset_config(name, processor))
    queries, vision = model.qformer.queries, model.config.vision_config
    side = round(queries.shape[1] ** 0.5)
    if side * side == queries.shape[1] and queries.shape[2] == vision.hidden_size:
        queries.copy_(sincos_positions(vision.image_size // vision.patch_size, vision.hidden_size, side)[None])
    return model
