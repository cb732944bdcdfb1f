"""Initial values of parameters that a checkpoint of stage 1 or 2 does not hold, as for training the next stage."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lion.model import LionConfig, LionForConditionalGeneration


def start_values(config: LionConfig, names: Iterable[str]) -> dict[str, Tensor]:
    """The named parameters as in a new model of that configuration.

    Only the components that contain them are allocated (the largest, a Q-Former, takes 740 MB).
    """
    names = set(names)
    with torch.device("meta"):
        model = LionForConditionalGeneration(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the same conversion gives the same checkpoint
        for component in sorted({_component(name) for name in names}):
            module = model.get_submodule(component).to_empty(device="cpu")
            _initialise(module, _owner(model, component))
    return {name: parameter.detach() for name, parameter in model.named_parameters() if name in names}


def _component(name: str) -> str:
    """The module that is initialised as a whole: one adapter or router, else a top-level part."""
    parts = name.split(".")
    return ".".join(parts[: parts.index("mixture") + 2]) if "mixture" in parts else parts[0]


def _owner(model: Any, component: str) -> Any:
    """The nearest `PreTrainedModel` around a component: its `_init_weights` applies."""
    parts = component.split(".")
    above = [model.get_submodule(".".join(parts[:depth])) for depth in range(len(parts))]
    return next(module for module in reversed(above) if isinstance(module, PreTrainedModel))


def _initialise(module: nn.Module, owner: Any) -> None:
    """Initialise children first, as transformers does: a parent may overwrite values of its children."""
    for child in module.children():
        _initialise(child, child if isinstance(child, PreTrainedModel) else owner)
    owner._init_weights(module)
