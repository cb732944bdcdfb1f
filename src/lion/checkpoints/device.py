"""Devices of this machine, the dtype to compute in, free memory and disk."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from lion.errors import LionError

if TYPE_CHECKING:
    import torch

LARGE = 4 * 10**9
"""Bytes of weights from which a CPU that multiplies bfloat16 keeps them in it: half the memory, and faster."""


def check_device_name(name: str) -> None:
    """Raise LionError for what is the name of no device, on this machine or another; torch is not needed to tell."""
    if name.partition(":")[0] not in ("auto", "cpu", "cuda", "mps", "xpu"):
        raise LionError(f"no device '{name}'; name cpu, cuda, cuda:1, mps or xpu, or leave it out")


def find_device(name: str | None) -> torch.device:
    """The device of that name; of None or ``auto`` the GPU if there is one, else the CPU.

    Raises: LionError if this machine has no such device, with those it has.
    """
    import torch

    if name is None or name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        here = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
        here += ["mps"] * torch.backends.mps.is_available()
        raise LionError(f"no device '{name}' here; there is {', '.join(here)}, or leave it out") from error
    return device


def default_dtype(folder: Path, device: torch.device) -> torch.dtype:
    """The dtype to compute a checkpoint in: its own, but bfloat16 for float16, in which T5 overflows.

    On a CPU float32 for small checkpoints, and for large ones where bfloat16 is slow and float32 fits into memory.
    """
    import torch

    stored = json.loads((folder / "config.json").read_text()).get("dtype", "float32")
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    if stored == "float32" or (device.type == "cpu" and size < LARGE):
        return torch.float32
    slow = device.type == "cpu" and not multiplies_bfloat16(device)
    float32_memory = 2.4 * size  # twice the bytes in half precision, and working memory
    return torch.float32 if slow and float32_memory < (free_memory(device) or 0) else torch.bfloat16


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for products of bfloat16, and torch uses them.

    Without, a CPU multiplies matrices of bfloat16 up to a hundred times slower than those of float32.
    """
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))  # x86 (two) and Arm


def free_memory(device: torch.device) -> int | None:
    """Free bytes of the device's memory; None where the system does not report them."""
    import torch

    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type != "cpu":
        return None
    lines = _read("/proc/meminfo").splitlines()
    limits = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    # A container may have less than the machine. The page cache counts as its use, but is released under pressure.
    limit, used = _read("/sys/fs/cgroup/memory.max").strip(), _read("/sys/fs/cgroup/memory.current").strip()
    if limit.isdigit() and used.isdigit():
        rows = (line.split() for line in _read("/sys/fs/cgroup/memory.stat").splitlines())
        cached = sum(int(row[1]) for row in rows if row[0] in ("inactive_file", "active_file"))
        limits.append(max(int(limit) - int(used) + cached, 0))
    return min(limits, default=None)


def free_disk(folder: Path) -> int:
    """Free bytes on the disk of a folder, which need not exist yet."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
