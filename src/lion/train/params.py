"""Freezing by component, the optimizers with their parameter groups, and the tensors that training changes."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lion.train.muon import Muon
from lion.train.objective import NamedParameters
from lion.train.recipe.schema import OptimizerSettings

Components = Mapping[str, NamedParameters]
UNDECAYED = frozenset({"router", "tag_soft_prompt"})
"""Components without weight decay: a gate's neutral value is 1, a soft prompt's the size of a word's embedding."""
_NOT_INNER = ("embed", "shared", "lm_head", "relative_attention_bias", "position", "queries", "words")
"""Parts of the names of embeddings and output layers, which Muon is not made for."""


def freeze_all_but(model: nn.Module, components: Components) -> None:
    """Train exactly the parameters of `components`. Raises: ValueError if a component has none."""
    model.requires_grad_(False)
    for component, named in components.items():
        if not named:
            raise ValueError(f"the component {component} has no parameters in this model")
        for _, parameter in named:
            parameter.requires_grad_(True)


def train_mode(model: nn.Module) -> None:
    """Training mode, except for modules whose own parameters are all frozen, so that BatchNorm's statistics stay."""
    model.train()
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        if own and not any(parameter.requires_grad for parameter in own):
            module.training = False


def make_optimizers(
    components: Components, settings: OptimizerSettings, scales: Mapping[str, float], *, fused: bool, dtype: torch.dtype
) -> list[torch.optim.Optimizer]:
    """AdamW for all parameters, or with `settings.muon` Muon for inner matrices and AdamW for the others.

    Every parameter group carries `component`, `names` (for the checkpoint) and `lr_scale` (the factor on the
    schedule's rate). AdamW decays matrices alone; Muon's updates have the size of AdamW's and are computed in `dtype`.
    """
    adamw, muon = groups(components, settings, scales)
    optimizers: list[torch.optim.Optimizer] = []
    if adamw:
        optimizers.append(torch.optim.AdamW(adamw, lr=settings.lr, betas=settings.betas, fused=fused))
    if muon:
        optimizers.append(Muon(muon, settings.lr, dtype))
    return optimizers


def groups(
    components: Components, settings: OptimizerSettings, scales: Mapping[str, float]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Parameter groups for AdamW and for Muon, see `make_optimizers`; a component not in `scales` has the scale 1."""
    adamw: list[dict[str, Any]] = []
    muon: list[dict[str, Any]] = []
    for component, named in components.items():
        kinds = [_kind(component, name, parameter, settings.muon > 0) for name, parameter in named]
        for kind in ("inner", "matrix", "vector"):
            chosen = [pair for pair, its_kind in zip(named, kinds, strict=True) if its_kind == kind]
            group = {
                "params": [parameter for _, parameter in chosen],
                "names": [name for name, _ in chosen],
                "component": component,
                "lr_scale": scales.get(component, 1.0) * (settings.muon if kind == "inner" else 1.0),
                "weight_decay": 0.0 if kind == "vector" else settings.weight_decay,
            }
            if chosen:
                (muon if kind == "inner" else adamw).append(group)
    return adamw, muon


def _kind(component: str, name: str, parameter: nn.Parameter, muon: bool) -> str:
    """`vector`: without weight decay. `inner`: a matrix between hidden layers, for Muon. `matrix`: all others."""
    if parameter.ndim < 2 or component in UNDECAYED:
        return "vector"
    inner = muon and parameter.ndim == 2 and component != "heads" and not any(part in name for part in _NOT_INNER)
    return "inner" if inner else "matrix"


def trained_state(model: nn.Module) -> dict[str, Tensor]:
    """The tensors that training changes: parameters with gradients, and buffers of their modules (BatchNorm's)."""
    state = dict[str, Tensor]()
    for prefix, module in model.named_modules():
        own = dict(module.named_parameters(recurse=False))
        trained = {name: p for name, p in own.items() if p.requires_grad}
        if trained:
            kept = {n: b for n, b in module.named_buffers(recurse=False) if n not in module._non_persistent_buffers_set}
            dot = f"{prefix}." if prefix else ""
            state |= {dot + name: tensor.detach() for name, tensor in {**trained, **kept}.items()}
    return state


def load_trained_state(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load `trained_state`. Raises: ValueError if the model trains other tensors; names the first."""
    own = trained_state(model)
    if odd := sorted(set(own) ^ set(state)):
        raise ValueError(f"the checkpoint and the model do not train the same tensors: {odd[0]} ({len(odd)} differ)")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(state[name])
