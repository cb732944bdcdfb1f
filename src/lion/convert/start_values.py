"""Start values of tensors that a checkpoint of stage 1 or 2 does not hold: those its next stage would begin with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lion.model import LionConfig, LionForConditionalGeneration

SEED = 0
"""Start values are drawn; the same conversion gives the same checkpoint."""


def start_values(config: LionConfig, names: Iterable[str]) -> dict[str, Tensor]:
    """Tensors by our names, as a new model of that configuration would hold them.

    Only the components that hold these tensors come to lie in memory (the largest, a Q-Former, takes 740 MB).
    """
    wanted = set(names)
    with torch.device("meta"):
        model = LionForConditionalGeneration(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        for component in sorted({_component(name) for name in wanted}):
            module = model.get_submodule(component).to_empty(device="cpu")
            _start(module, _owner(model, component))
    return {name: parameter.detach() for name, parameter in model.named_parameters() if name in wanted}


def _component(name: str) -> str:
    """The module that starts together: one adapter or router, else a top-level part."""
    parts = name.split(".")
    return ".".join(parts[: parts.index("mixture") + 2]) if "mixture" in parts else parts[0]


def _owner(model: Any, component: str) -> Any:
    """The pretrained model next above a component: its rules apply."""
    parts = component.split(".")
    above = [model.get_submodule(".".join(parts[:depth])) for depth in range(len(parts))]
    return next(module for module in reversed(above) if isinstance(module, PreTrainedModel))


def _start(module: nn.Module, owner: Any) -> None:
    """Children first, as transformers does it: a parent may correct what its children got."""
    for child in module.children():
        _start(child, child if isinstance(child, PreTrainedModel) else owner)
    owner._init_weights(module)
