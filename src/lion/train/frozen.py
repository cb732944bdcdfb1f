"""Frozen weights in fewer bits than the trained ones (a recipe's `frozen_weights`).

Only matrices of frozen linear layers are held otherwise; embeddings, norms, biases and adapters stay in float32, as
does all that trains. Autocast would convert those matrices to bfloat16 for every product: held in it they give the same
losses and gradients, to the bit. `int8` and `nf4` round those of the ViT and the language model further
(bitsandbytes), except for what transformers keeps in float32 there, the head and the feed-forward's last matrix, which
are then held in bfloat16; their products are of bfloat16, too.

What a run exports are the frozen weights as `init` has them, whatever they were held in.
"""

from collections.abc import Collection, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import init_empty_weights
from torch import Tensor, nn
from transformers import GenerationConfig
from transformers.utils import GENERATION_CONFIG_NAME

from lion.checkpoints.info import outline
from lion.checkpoints.tensors import open_folder
from lion.errors import LionError
from lion.model import FROZEN, LionForConditionalGeneration
from lion.model.modeling_lion import component_of
from lion.train.params import trained_state

FrozenWeights = Literal["fp32", "bf16", "int8", "nf4"]
_NOT_QUANTISED = (".wo", ".lm_head")
_BLOCK = 64
"""Weights of `nf4` that share a scale."""


def frozen_matrices(model: nn.Module, trained: Collection[str]) -> dict[str, nn.Linear]:
    """The linear layers, by name, whose matrices may be held otherwise: frozen, and outside of the mixtures."""
    return {
        name: module
        for name, module in model.named_modules()
        if type(module) is nn.Linear and ".mixture." not in name and component_of(name) not in trained
    }


def _quantised(name: str) -> bool:
    return component_of(name) in FROZEN and not name.endswith(_NOT_QUANTISED)


def bytes_of(model: nn.Module, trained: Collection[str], held: FrozenWeights) -> int:
    """Bytes of the model's weights, of a model that was not converted, with or without values."""
    total = 4 * sum(parameter.numel() for parameter in model.parameters())
    if held == "fp32":
        return total
    for name, module in frozen_matrices(model, trained).items():
        rows, width = module.weight.shape
        quantised = {"int8": rows * (width + 4), "nf4": rows * width // 2 + rows * width // _BLOCK}
        total += (quantised[held] if held != "bf16" and _quantised(name) else 2 * rows * width) - 4 * rows * width
    return total


def load_in_bfloat16(folder: Path, name: str, trained: Collection[str]) -> LionForConditionalGeneration:
    """As `load_model` in float32, with frozen matrices in bfloat16; one tensor at a time, so that no more is taken.

    Raises: LionError if names and shapes in the files are not those of the configuration.
    """
    stored = open_folder(folder, name)
    config = outline(folder, name, stored).config
    for part in (config, *(getattr(config, each) for each in config.sub_configs)):
        part.dtype = torch.float32
    with init_empty_weights(include_buffers=False), torch.random.fork_rng(devices=[]):  # as if nothing were drawn
        model = LionForConditionalGeneration(config)
    halved = {f"{layer}.weight" for layer in frozen_matrices(model, trained)}
    state = {
        key: tensor.read().to(torch.bfloat16 if key in halved else torch.float32, copy=True)
        for key, tensor in stored.items()
    }
    model.load_state_dict(state, strict=False, assign=True)
    model.tie_weights()  # names that the files leave out
    if (folder / GENERATION_CONFIG_NAME).is_file():
        model.generation_config = GenerationConfig.from_pretrained(folder, local_files_only=True)
    return model


def quantise(model: nn.Module, trained: Collection[str], held: Literal["int8", "nf4"]) -> None:
    """Replace the layers to be quantised by those of bitsandbytes, which round once they are moved to a device.

    Raises: LionError if bitsandbytes is not installed.
    """
    if find_spec("bitsandbytes") is None:
        raise LionError(f"frozen_weights: {held} needs bitsandbytes: pip install bitsandbytes")
    from bitsandbytes.nn import modules as bnb

    other: Any
    for name, layer in frozen_matrices(model, trained).items():
        if not _quantised(name):
            continue
        bias, weight = layer.bias is not None, layer.weight.data
        with torch.device("meta"):  # its start values would be drawn, and thrown away
            if held == "int8":
                other = bnb.Linear8bitLt(layer.in_features, layer.out_features, bias, has_fp16_weights=False)
                other.weight = bnb.Int8Params(weight, requires_grad=False, has_fp16_weights=False)
            else:
                other = bnb.Linear4bit(layer.in_features, layer.out_features, bias, torch.bfloat16, quant_type="nf4")
                other.support_avx512bf16_for_cpu = False  # a validation on the CPU would round the scales for good
                other.weight = bnb.Params4bit(weight, requires_grad=False, quant_type="nf4", blocksize=_BLOCK)
        other.bias = layer.bias
        parent, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(parent), attribute, other)


def whole_state(model: nn.Module, init_folders: Mapping[str, Path]) -> dict[str, Tensor]:
    """The model's tensors as a user loads them: what trained, and all else as the folders under `init` have it."""
    trained = trained_state(model)
    opened = {part: open_folder(folder) for part, folder in init_folders.items() if part != "tagger"}
    return {
        name: trained[name] if name in trained else opened.get(component_of(name), opened["model"])[name].read()
        for name in opened["model"]
    }
