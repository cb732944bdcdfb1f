"""Device, processes and arithmetic of a run.

accelerate finds device and processes. Precision is torch's own autocast: accelerate keeps one as long as the process
lives, but the runs of a chain may differ.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import parse_flag_from_env
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from lion.checkpoints.device import multiplies_bfloat16
from lion.distributed import BARRIER_TIMEOUT
from lion.train.recipe.schema import Recipe


def make_accelerator() -> Accelerator:
    """accelerate's handle on device and processes."""
    PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"), timeout=BARRIER_TIMEOUT)
    return Accelerator(mixed_precision="no")


def compute_dtype(recipe: Recipe, device: torch.device) -> torch.dtype:
    """The type that the forward pass multiplies in."""
    bfloat16 = recipe.precision == "bf16" or (recipe.precision == "auto" and multiplies_bfloat16(device))
    return torch.bfloat16 if bfloat16 else torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    """torch's autocast to `dtype`; none for float32."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


def data_parallel(model: nn.Module, accelerator: Accelerator, unused_parameters: bool) -> nn.Module:
    """The model, wrapped to average gradients where there are several processes (see `Objective.unused_parameters`)."""
    if accelerator.num_processes == 1:
        return model
    devices = [accelerator.device] if accelerator.device.type == "cuda" else None
    return DistributedDataParallel(model, device_ids=devices, find_unused_parameters=unused_parameters)
