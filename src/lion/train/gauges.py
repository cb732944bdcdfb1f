"""What is logged of a step beside its losses: gradient norms, the router's gates, arithmetic, memory.

Norms and gates stay on the device until a step is read (metrics.py). L = 2 task levels, K = 2 adapters, N blocks.
"""

import re
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry
from torch.utils.module_tracker import ModuleTracker

from lion.model import TaskLevel
from lion.model.mixture_of_adapters import Router
from lion.train.parallel import whole
from lion.train.plan.cards import CARDS

Keys = Sequence[tuple[str, ...]]
"""Paths into a row of train.jsonl, one for each number of a tensor."""
ADAPTERS = ("region", "image")
"""In the order of the router's gates."""


def gradient_norms(optimizers: Sequence[torch.optim.Optimizer]) -> tuple[Keys, Tensor] | None:
    """The norm of the gradients of each component that has any; None where none has."""
    gradients: dict[str, list[Tensor]] = {}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            here = [parameter.grad for parameter in group["params"] if parameter.grad is not None]
            gradients.setdefault(group["component"], []).extend(here)
    norms = {name: whole(nn.utils.get_total_norm(each)).float() for name, each in gradients.items() if each}
    return ([("grad_norms", name) for name in norms], torch.stack(list(norms.values()))) if norms else None


def gates(model: nn.Module) -> tuple[Keys, Tensor] | None:
    """Mean over channels of the gates that train, for each block, level and adapter (N x L x K); None without any."""
    routers = [(name, each) for name, each in model.named_modules() if isinstance(each, Router)]
    routers = [(name, router) for name, router in routers if router.gates.requires_grad]
    if not routers:
        return None
    pairs = [f"{level.name.lower()}/{adapter}" for level in TaskLevel for adapter in ADAPTERS]
    keys = [("gates", _block(name), pair) for name, _ in routers for pair in pairs]
    return keys, torch.stack([whole(router.gates.detach().float().mean(-1)) for _, router in routers]).flatten()


def _block(name: str) -> str:
    """`encoder 1` for the module name of that block's router."""
    found = re.search(r"(encoder|decoder)\.block\.(\d+)\.", name)
    return f"{found[1]} {int(found[2]) + 1}" if found else name


def learning_rates(optimizers: Sequence[torch.optim.Optimizer], rate: float) -> dict[str, float]:
    """The learning rates that are not the run's `rate`, by component and, where it is not AdamW, optimizer."""
    rates = dict[str, float]()
    for optimizer in optimizers:
        kind = "" if isinstance(optimizer, torch.optim.AdamW) else f" ({type(optimizer).__name__.lower()})"
        rates |= {group["component"] + kind: group["lr"] for group in optimizer.param_groups if group["lr"] != rate}
    return rates


def peak_memory(device: torch.device) -> int | None:
    """Most bytes so far: of a GPU those of its tensors, else of the process; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def peak_flops(device: torch.device, dtype: torch.dtype) -> float | None:
    """Operations a second in `dtype` by the data sheet of the device; None where the table has none."""
    if device.type != "cuda" or dtype != torch.bfloat16:
        return None
    return _listed(torch.cuda.get_device_name(device))


def _listed(name: str) -> float | None:
    """The table's figure for a device of that name, as `NVIDIA H100 80GB HBM3`; slower variants are not in it."""
    words = set(re.findall(r"[a-z0-9]+", name.lower()))
    if words & {"pcie", "nvl", "laptop", "d", "mig"}:
        return None
    return next((card.flops for card in CARDS.values() if card.name.removeprefix("rtx") in words), None)


class FlopCount(TorchDispatchMode):
    """Counts multiplications and additions while it is entered, without what checkpointing computes again.

    Each operator runs as it would without, so that results stay equal to the bit.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0
        self._tracker = ModuleTracker()  # for its `is_bw` alone, which needs none of its hooks

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        # Within a backward pass gradients are recorded only while a checkpointed block is computed again.
        again = self._tracker.is_bw and torch.is_grad_enabled()
        if not again and (rule := flop_registry.get(func._overloadpacket)):
            self.flops += rule(*args, **(kwargs or {}), out_val=out)
        return out
