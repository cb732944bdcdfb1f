"""Device, processes and arithmetic of a run: alone, with DDP, or with the model sharded by FSDP2.

DDP is what several processes get: each holds the whole model, and gradients are averaged. Where accelerate's
environment asks for FSDP (`accelerate launch --config_file fsdp2.yaml`, docs/how-to/training_at_scale.md), every
process holds a part of each parameter, frozen ones included, and a block's parameters are whole only while it computes.

Precision is torch's own autocast: accelerate keeps one for the life of a process, but the runs of a chain may differ.
FSDP2's own casts are not used, so that the arithmetic is the same whatever the wrapper.
"""

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from accelerate import Accelerator
from accelerate.utils import FullyShardedDataParallelPlugin, str_to_bool
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.parallel import DistributedDataParallel

from lion.checkpoints.device import multiplies_bfloat16
from lion.distributed import Processes
from lion.errors import LionError
from lion.train.objective import Objective
from lion.train.recipe.schema import Recipe


def make_accelerator() -> Accelerator:
    """accelerate's handle on device and processes. Raises: LaunchError as `Processes.launched`."""
    several = Processes.launched(backend="nccl" if torch.cuda.is_available() else "gloo").count > 1
    # Unless it is told so, it takes each of several processes without a card for one alone.
    return Accelerator(cpu=several and not torch.accelerator.is_available(), mixed_precision="no")


def compute_dtype(recipe: Recipe, device: torch.device) -> torch.dtype:
    """The dtype of the forward pass's products."""
    bfloat16 = recipe.precision == "bf16" or (recipe.precision == "auto" and multiplies_bfloat16(device))
    return torch.bfloat16 if bfloat16 else torch.float32


@contextmanager
def autocast(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """torch's autocast to `dtype`; disabled for float32.

    A CPU gets torch's plain attention with it (scores in float32, all of them in memory): its blockwise kernel takes
    half of a step of lion-mini in bfloat16, three times what it takes in float32 (docs/log.md, 2026-11-30).
    """
    plain = sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" and dtype != torch.float32 else nullcontext()
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32), plain:
        yield


@dataclass(frozen=True)
class Parallel:
    """A model as the processes of a run train it."""

    model: nn.Module
    """What is called for a loss: the bare model, DDP around it, or the model whose parameters are sharded."""
    bare: nn.Module
    """The model without a wrapper; its parameters, sharded or not, are those that train."""
    device: torch.device
    outline: nn.Module | None = None
    """In the main process, if the model is sharded: the same on the meta device, as it was before."""

    @property
    def sharded(self) -> bool:
        """Whether parameters are sharded over processes."""
        return isinstance(self.bare, FSDPModule)

    @contextmanager
    def accumulating(self) -> Iterator[None]:
        """Within, gradients stay in their process: for all micro-batches of a step but the last."""
        if isinstance(self.model, DistributedDataParallel):
            with self.model.no_sync():
                yield
        elif isinstance(self.model, FSDPModule):
            self.model.set_requires_gradient_sync(False)
            yield
            self.model.set_requires_gradient_sync(True)
        else:
            yield

    def whole(self, device: torch.device | str | None = None) -> nn.Module | None:
        """The bare model with whole parameters, to answer with or to save: the model itself unless it is sharded.

        A sharded one is copied in the main process, on `device` (by default the run's), which has to hold all of it;
        every process has to call this, and the others get None.
        """
        if not self.sharded:
            return self.bare
        tensors = dict[int, Tensor]()
        outlined = dict(_tensors(self.outline)) if self.outline else {}
        for name, tensor in _tensors(self.bare):
            full = whole(tensor.detach())
            if name in outlined:
                kept = full.to(device or self.device, copy=full is tensor)
                meta = outlined[name]
                tensors[id(meta)] = nn.Parameter(kept, meta.requires_grad) if isinstance(meta, nn.Parameter) else kept
        return copy.deepcopy(self.outline, tensors) if self.outline else None


def parallelise(model: nn.Module, accelerator: Accelerator, objective: Objective) -> Parallel:
    """The model on this process's device, as all of the run's processes train it; `requires_grad` is set before.

    Raises: LionError for a sharding that is not FSDP2 on the cards, of a model that some batches reach in part only,
        or of weights in 8 or 4 bits.
    """
    device = accelerator.device
    if accelerator.num_processes == 1:
        model = model.to(device)
        return Parallel(model, model, device)
    if str_to_bool(os.environ.get("ACCELERATE_USE_FSDP", "false")):
        outline = _outline(model) if accelerator.is_main_process else None
        _shard(model, device, objective.unused_parameters)
        return Parallel(model, model, device, outline)
    model = model.to(device)
    devices = [device] if device.type == "cuda" else None
    wrapped = DistributedDataParallel(model, device_ids=devices, find_unused_parameters=objective.unused_parameters)
    return Parallel(wrapped, model, device)


def _shard(model: nn.Module, device: torch.device, unused_parameters: bool) -> None:
    """FSDP2 in place: each transformer block a unit, the rest another one; settings are accelerate's."""
    plugin = FullyShardedDataParallelPlugin()
    if plugin.fsdp_version != 2:
        raise LionError("LION shards by FSDP2: set fsdp_version: 2 in accelerate's file, or FSDP_VERSION=2")
    if isinstance(plugin.cpu_offload, CPUOffloadPolicy):
        raise LionError("LION keeps parameters on the cards: leave fsdp_offload_params out of accelerate's file")
    if any(type(parameter).__module__.startswith("bitsandbytes") for parameter in model.parameters()):
        raise LionError("frozen_weights: weights of 8 or 4 bits are not sharded; take bf16, or DDP")
    if unused_parameters:
        raise LionError(
            "this stage trains parameters that not every batch reaches, which FSDP2 cannot; take DDP for it"
        )
    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    blocks = set(plugin.transformer_cls_names_to_wrap or getattr(type(model), "_no_split_modules", None) or ())
    shard = partial(fully_shard, mesh=mesh)
    for module in model.modules():
        if type(module).__name__ in blocks:
            shard(module, reshard_after_forward=plugin.reshard_after_forward)
    shard(model)


def _outline(model: nn.Module) -> nn.Module:
    """A copy on the meta device, which takes no memory."""
    memo = {id(tensor): _meta(tensor) for _, tensor in _tensors(model)}
    return copy.deepcopy(model, memo)


def _meta(tensor: Tensor) -> Tensor:
    empty = torch.empty_like(tensor, device="meta")
    return nn.Parameter(empty, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Every parameter and buffer once, in the same order for every copy of a model."""
    yield from model.named_parameters()
    yield from model.named_buffers()


def whole(tensor: Tensor) -> Tensor:
    """A sharded tensor gathered (every process has to call this); any other as it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def laid_out_as(tensor: Tensor, like: Tensor) -> Tensor:
    """A whole tensor on the device of `like`, and if that is sharded this process's part; nothing is exchanged."""
    on_device = tensor.to(like.device)
    if not isinstance(like, DTensor):
        return on_device
    return distribute_tensor(on_device, like.device_mesh, like.placements, src_data_rank=None)
