"""What a recipe's `architecture` changes in a model: other taps and adapter widths, fixed gates, a hard tag prompt.

L = K = 2 task levels and adapters, D language-model width, H adapter bottleneck.
"""

import torch
from torch import Tensor

from lion.errors import LionError
from lion.model import LionForConditionalGeneration, LionProcessor
from lion.model.language_model import AdaptedT5Block
from lion.model.mixture_of_adapters import MixtureOfAdapters, Router, TaskLevel
from lion.train.recipe.architecture import Architecture


def reshape(model: LionForConditionalGeneration, architecture: Architecture) -> None:
    """Give the model, before parts are loaded into it, the taps and the adapter width of the architecture.

    Raises: LionError for taps that it cannot read, or if its adapters have been trained at another width.
    """
    config = model.config
    if (taps := architecture.taps) and taps != tuple(config.taps):
        depth = config.vision_config.num_hidden_layers
        if len(taps) != len(config.taps) or max(taps) > depth:
            raise LionError(
                f"architecture.taps: {list(taps)} must be {len(config.taps)} blocks (the stream, then one for each of "
                f"the aggregator's), of {depth}"
            )
        config.taps = model.vision_encoder.taps = taps
    if (bottleneck := architecture.adapter_bottleneck) and bottleneck != config.adapter_bottleneck:
        for stack in (model.language_model.encoder, model.language_model.decoder):
            for block in stack.block:
                assert isinstance(block, AdaptedT5Block)
                if any(_adds(each.up.weight) for each in (block.mixture.image_adapter, block.mixture.region_adapter)):
                    raise LionError(
                        "architecture.adapter_bottleneck: the adapters have been trained with "
                        f"{config.adapter_bottleneck}; start from a model whose adapters are still as they began"
                    )
                block.mixture = MixtureOfAdapters(config.text_config.d_model, bottleneck)
                block.mixture.apply(stack._init_weights)
        config.adapter_bottleneck = bottleneck


def _adds(weight: Tensor) -> bool:
    return not weight.is_meta and bool(weight.any())


@torch.no_grad()
def set_fixed_values(model: LionForConditionalGeneration, architecture: Architecture, processor: LionProcessor) -> None:
    """Set what the architecture keeps from training: gates without a router, the vector of a hard prompt.

    Raises: LionError for a word that is not one piece of the tokenizer.
    """
    if architecture.adapters != "mixture":
        for module in model.modules():
            if isinstance(module, Router):
                module.gates.copy_(fixed_gates(architecture.adapters, module.gates.shape[-1]))
    if word := architecture.soft_token_as:
        ids = processor.tokenizer(word, add_special_tokens=False).input_ids
        if len(ids) != 1 or ids[0] == processor.tokenizer.unk_token_id:
            raise LionError(
                f"architecture.soft_token_as: {word!r} is not one piece of this tokenizer; choose another word"
            )
        model.tag_soft_prompt.vector.copy_(model.language_model.shared.weight[ids[0]])


def fixed_gates(adapters: str, width: int) -> Tensor:
    """Gates (L, K, D) of `own` adapters, or of the image adapter `shared` by both levels."""
    gates_LKD = Router.initial_gates(width)
    if adapters == "shared":
        gates_LKD[TaskLevel.REGION] = gates_LKD[TaskLevel.IMAGE]
    return gates_LKD
