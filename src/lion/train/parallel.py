"""Device, processes and arithmetic of a run.

Precision is torch's own autocast: accelerate keeps one for the life of a process, but the runs of a chain may differ.
"""

import torch
from accelerate import Accelerator, InitProcessGroupKwargs
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from lion.checkpoints.device import multiplies_bfloat16
from lion.distributed import BARRIER_TIMEOUT
from lion.train.recipe.schema import Recipe


def make_accelerator() -> Accelerator:
    """accelerate's handle on device and processes."""
    return Accelerator(mixed_precision="no", kwargs_handlers=[InitProcessGroupKwargs(timeout=BARRIER_TIMEOUT)])


def compute_dtype(recipe: Recipe, device: torch.device) -> torch.dtype:
    """The dtype of the forward pass's products."""
    bfloat16 = recipe.precision == "bf16" or (recipe.precision == "auto" and multiplies_bfloat16(device))
    return torch.bfloat16 if bfloat16 else torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """torch's autocast to `dtype`; disabled for float32."""
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


def data_parallel(model: nn.Module, accelerator: Accelerator, unused_parameters: bool) -> nn.Module:
    """The model, wrapped to average gradients where there are several processes (see `Objective.unused_parameters`)."""
    if accelerator.num_processes == 1:
        return model
    devices = [accelerator.device] if accelerator.device.type == "cuda" else None
    return DistributedDataParallel(model, device_ids=devices, find_unused_parameters=unused_parameters)
