"""The golden tiny LION in every layout that its released parts come in, written as their authors' code writes them."""

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2VisionConfig,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    InstructBlipVisionConfig,
    T5Config,
    T5ForConditionalGeneration,
)

from tests.golden.fill import fill_state_dict
from tests.parity import released

VARIANTS = {"both": "ALL", "qformer": "QFORMER", "aggregator": "AGGREGATOR"}
"""Our name of the visual inputs to the released one."""


def keys(visual_inputs: str = "both") -> dict[str, dict]:
    return released.read_json("state_dict_keys.json")[VARIANTS[visual_inputs]]


def full(visual_inputs: str = "both", dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """A whole state dict, tied tensors and buffers as the released module has them."""
    entries = keys(visual_inputs)
    weights = {name: tensor.to(dtype, copy=True) for name, tensor in _filled(visual_inputs).items()}
    for name, entry in entries.items():
        if "alias_of" in entry:
            weights[name] = weights[entry["alias_of"]]
        elif "buffer" in entry:
            weights[name] = torch.arange(entry["shape"][1])[None]
    return weights


@cache
def _filled(visual_inputs: str) -> dict[str, Tensor]:
    entries = keys(visual_inputs)
    return fill_state_dict({name: entry["shape"] for name, entry in entries.items() if "alias_of" not in entry})


def learnable(visual_inputs: str = "both") -> dict[str, Tensor]:
    """What the released trainer keeps: all but frozen parameters, so tied copies and buffers stay."""
    entries = keys(visual_inputs)
    frozen = {
        name
        for name, entry in entries.items()
        if not entry.get("requires_grad") and "alias_of" not in entry and "buffer" not in entry
    }
    return {name: tensor for name, tensor in full(visual_inputs).items() if name not in frozen}


def eva() -> dict[str, Tensor]:
    """``eva_vit_g.pth``: no prefix, and the 40th block, norm and head that LION does not use."""
    prefix = "visual_encoder."
    weights = {name.removeprefix(prefix): tensor for name, tensor in full().items() if name.startswith(prefix)}
    last = {name.replace(".38.", ".39."): tensor for name, tensor in weights.items() if ".38." in name}
    return weights | last | {name: torch.ones(4) for name in ("norm.weight", "norm.bias", "head.weight", "head.bias")}


def save_flan_t5(folder: Path, safe: bool = True, shards: bool = False) -> Path:
    """FLAN-T5 as on the Hub: config, tokenizer, and weights in either format."""
    prefix = "t5_model."
    weights = {
        name.removeprefix(prefix): tensor
        for name, tensor in full().items()
        if name.startswith(prefix) and ".adapter." not in name
    }
    shutil.copytree(released.FOLDER / "tokenizer_t5", folder)
    config = T5Config(**released.config().text_config.to_dict())
    model = T5ForConditionalGeneration(config)
    # lm_head is its own: transformers ties it by default, the Hub's FLAN-T5 does not
    model.lm_head = torch.nn.Linear(config.d_model, config.vocab_size, bias=False)
    model.load_state_dict(weights)
    config.save_pretrained(folder)
    if safe:
        state = {name: tensor for name, tensor in weights.items() if "embed_tokens" not in name}
        save_safetensors(folder, state, shards=3 if shards else 1)
    else:
        save_torch_shards(folder, weights)
    return folder


def save_safetensors(folder: Path, state: dict[str, Tensor], shards: int = 1) -> None:
    """Weights as transformers saves them, with an index if there are several files."""
    names = sorted(state)
    files = [f"model-{i + 1:05}-of-{shards:05}.safetensors" for i in range(shards)]
    if shards == 1:
        files = ["model.safetensors"]
    where = {name: files[i * shards // len(names)] for i, name in enumerate(names)}
    for file in files:
        save_file({name: state[name].clone() for name in names if where[name] == file}, folder / file)
    if shards > 1:
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))


def save_torch_shards(folder: Path, state: dict[str, Tensor]) -> None:
    """Weights as older transformers saved them: two pickled files and an index."""
    names = sorted(state)
    half = len(names) // 2
    where = {}
    for number, part in enumerate((names[:half], names[half:]), start=1):
        file = f"pytorch_model-{number:05}-of-00002.bin"
        torch.save({name: state[name] for name in part}, folder / file)
        where |= dict.fromkeys(part, file)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))


def save_bert(folder: Path) -> Path:
    return Path(shutil.copytree(released.FOLDER / "tokenizer_bert", folder))


def save_instruct_blip(folder: Path) -> Path:
    """A transformers InstructBLIP with the golden ViT and Q-Former (norm, queries, projection), and some T5."""
    lion = released.model()
    model = _blip(InstructBlipForConditionalGeneration, InstructBlipConfig, InstructBlipVisionConfig)
    model.qformer.load_state_dict(lion.qformer.bert.state_dict())
    model.query_tokens.data = lion.qformer.queries.data
    model.language_projection.load_state_dict(lion.qformer.projection.state_dict())
    model.save_pretrained(folder)
    return folder


def save_blip2(folder: Path) -> Path:
    """A transformers BLIP-2 with the golden ViT and norm; its Q-Former, which knows no text, and T5 are others."""
    _blip(Blip2ForConditionalGeneration, Blip2Config, Blip2VisionConfig).save_pretrained(folder)
    return folder


def _blip(kind: Any, config: Any, vision_config: Any) -> Any:
    """A BLIP of the golden sizes with the golden ViT, and the norm behind it."""
    lion = released.model()
    model = kind(
        config(
            vision_config=vision_config(**lion.config.vision_config.to_dict()),
            qformer_config=lion.config.qformer_config.to_dict(),
            text_config=lion.config.text_config.to_dict(),
            num_query_tokens=lion.config.num_query_tokens,
        )
    )
    model.vision_model.load_state_dict(lion.vision_encoder.vit.state_dict(), strict=False)
    model.vision_model.post_layernorm.load_state_dict(lion.qformer.vision_norm.state_dict())
    return model


def save_config(path: Path, visual_inputs: str = "both") -> Path:
    released.config(visual_inputs).to_json_file(path, use_diff=False)
    return path
