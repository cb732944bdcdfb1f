"""The released LION at tiny size in our classes, from golden data: weights from their names, inputs from files."""

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import (
    AutoTokenizer,
    InstructBlipQFormerConfig,
    InstructBlipVisionConfig,
    PreTrainedTokenizerBase,
    T5Config,
)

from lion.convert.key_map import join, our_name
from lion.model import (
    LionConfig,
    LionForConditionalGeneration,
    LionImageProcessor,
    LionProcessor,
    TaskLevel,
    VisionAggregatorConfig,
)
from tests.golden.fill import fill_state_dict

GOLDEN = Path(__file__).parent.parent / "golden"
FOLDER = GOLDEN / "lion_tiny"
LEVELS = {"region_level": TaskLevel.REGION, "image_level": TaskLevel.IMAGE}


def read_json(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


@cache
def tensors(name: str) -> dict[str, Tensor]:
    return load_file(FOLDER / f"{name}.safetensors")


def config(visual_inputs: str = "both") -> LionConfig:
    """The golden model's shapes in our configuration."""
    golden = read_json("config.json")
    vit, bert, fusion, t5 = golden["vit"], golden["qformer"], golden["fusion_adapter"], golden["t5"]
    return LionConfig(
        vision_config=InstructBlipVisionConfig(
            hidden_size=vit["embed_dim"],
            intermediate_size=vit["mlp_hidden"],
            num_hidden_layers=vit["depth"],
            num_attention_heads=vit["num_heads"],
            image_size=vit["img_size"],
            patch_size=vit["patch_size"],
        ),
        qformer_config=InstructBlipQFormerConfig(
            vocab_size=bert["vocab_size_after_DEC_token"],
            hidden_size=bert["hidden_size"],
            num_hidden_layers=bert["num_hidden_layers"],
            num_attention_heads=bert["num_attention_heads"],
            intermediate_size=bert["intermediate_size"],
            max_position_embeddings=bert["max_position_embeddings"],
        ),
        aggregator_config=VisionAggregatorConfig(
            num_attention_heads=fusion["num_attention_heads"], intermediate_size=fusion["intermediate_size"]
        ),
        text_config=T5Config(
            vocab_size=t5["vocab_size"],
            d_model=t5["d_model"],
            d_kv=t5["d_kv"],
            d_ff=t5["d_ff"],
            num_layers=t5["num_layers"],
            num_heads=t5["num_heads"],
            feed_forward_proj=t5["feed_forward_proj"],
            tie_word_embeddings=False,
            decoder_start_token_id=0,
        ),
        num_query_tokens=golden["num_query_token"],
        visual_inputs=visual_inputs,
        soft_prompt_token_id=golden["soft_prompt_token_id"],
    )


@cache
def released_weights() -> dict[str, Tensor]:
    """Every tensor of the golden model under its released name; not to be changed."""
    keys = read_json("state_dict_keys.json")["ALL"]
    shapes = {name: entry["shape"] for name, entry in keys.items()}
    aliases = {name: entry["alias_of"] for name, entry in keys.items() if "alias_of" in entry}
    return fill_state_dict(shapes, salt=read_json("config.json")["salt"], alias=aliases)


def golden_weights() -> dict[str, Tensor]:
    """The golden weights under our names, biases fused and router rows stacked."""
    groups: dict[str, dict[str, Tensor]] = {}
    for name, tensor in released_weights().items():
        if ours := our_name(name):
            groups.setdefault(ours, {})[name] = tensor
    return {ours: join(ours, parts) for ours, parts in groups.items()}


def model(visual_inputs: str = "both") -> LionForConditionalGeneration:
    """Ours with the golden weights.

    The one-adapter variants have ``adapters.0`` alone and no router: it plays the image adapter behind the Q-Former
    (stage 1) and the region adapter behind the aggregator (stage 2), and our router keeps its start values.
    """
    return copy.deepcopy(_model(visual_inputs))


@cache
def _model(visual_inputs: str) -> LionForConditionalGeneration:
    ours = LionForConditionalGeneration(config(visual_inputs)).eval()
    weights = golden_weights()
    if visual_inputs != "both":
        weights = {name: tensor for name, tensor in weights.items() if ".router." not in name}
    if visual_inputs == "qformer":
        for name in [name for name in weights if ".region_adapter." in name]:
            weights[name.replace("region_adapter", "image_adapter")] = weights[name]
    missing, unexpected = ours.load_state_dict(weights, strict=False)
    assert not unexpected
    assert all(".router." in name or name.endswith("embed_tokens.weight") for name in missing), missing
    return ours


def processor() -> LionProcessor:
    """A processor of its own, with tokenizers that all of them share."""
    return LionProcessor(LionImageProcessor(56), *_tokenizers())


@cache
def _tokenizers() -> tuple[PreTrainedTokenizerBase, PreTrainedTokenizerBase]:
    t5, bert = (AutoTokenizer.from_pretrained(FOLDER / f"tokenizer_{name}") for name in ("t5", "bert"))
    bert.add_special_tokens({"bos_token": "[DEC]"})
    return t5, bert


def batch(level: str, tags: bool = True, **limits: int) -> dict[str, Tensor]:
    """The golden rows at one task level, through our processor."""
    inputs = read_json("inputs.json")
    rows = inputs if not limits else inputs["notags_trunc"]
    ours = processor()
    for name, value in limits.items():
        setattr(ours, name, value)
    encoded = dict(
        ours(
            text=rows["question"],
            tags=[line.split(", ") for line in inputs["tags"]] if tags else None,
            answers=rows["answer"],
            truncation=True,
        )
    )
    encoded["pixel_values"] = tensors("inputs")["image"]
    encoded["task_levels"] = torch.full((3,), int(LEVELS[level]))
    return encoded
