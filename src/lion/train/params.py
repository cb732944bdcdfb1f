"""What trains and how fast: freezing by component, and the optimiser's parameter groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lion.train.objective import NamedParameters

UNDECAYED = frozenset({"router", "tag_soft_prompt"})
"""Components that weight decay must not pull to zero: a gate's neutral value is 1, a soft prompt's is a word's size."""


def freeze_all_but(model: nn.Module, components: Mapping[str, NamedParameters]) -> None:
    """Let gradients into exactly the parameters of `components`. Raises: ValueError if a component has none."""
    model.requires_grad_(False)
    for component, named in components.items():
        if not named:
            raise ValueError(f"the component {component} has no parameters in this model")
        for _, parameter in named:
            parameter.requires_grad_(True)


def train_mode(model: nn.Module) -> None:
    """Training mode, except for modules whose own parameters are all frozen: their BatchNorm statistics stay."""
    model.train()
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        if own and not any(parameter.requires_grad for parameter in own):
            module.training = False


def groups(
    components: Mapping[str, NamedParameters], weight_decay: float, lr_scale: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Parameter groups for AdamW: per component, matrices with weight decay and all else without.

    Each group carries `component`, `names` (for the checkpoint) and `lr_scale` (the factor on the schedule's rate).
    """
    result = []
    for component, named in components.items():
        for decayed in (True, False):
            chosen = [(n, p) for n, p in named if (p.ndim >= 2 and component not in UNDECAYED) == decayed]
            if chosen:
                result.append(
                    {
                        "params": [parameter for _, parameter in chosen],
                        "names": [name for name, _ in chosen],
                        "component": component,
                        "lr_scale": lr_scale.get(component, 1.0),
                        "weight_decay": weight_decay if decayed else 0.0,
                    }
                )
    return result


def trained_state(model: nn.Module) -> dict[str, Tensor]:
    """The tensors training changes: parameters with gradients, and the buffers of the modules that own such parameters.

    The buffers are BatchNorm's statistics; frozen modules keep theirs, so they are not part of it.
    """
    state = {}
    for prefix, module in model.named_modules():
        own = dict(module.named_parameters(recurse=False))
        trained = {name: p for name, p in own.items() if p.requires_grad}
        if trained:
            kept = {n: b for n, b in module.named_buffers(recurse=False) if n not in module._non_persistent_buffers_set}
            dot = f"{prefix}." if prefix else ""
            state.update({dot + name: tensor.detach() for name, tensor in {**trained, **kept}.items()})
    return state


def load_trained_state(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Copy `trained_state` back, names checked both ways. Raises: ValueError with the first name that differs."""
    own = trained_state(model)
    if odd := sorted(set(own) ^ set(state)):
        raise ValueError(f"the checkpoint and the model do not train the same tensors: {odd[0]} ({len(odd)} differ)")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(state[name])
