"""What this machine can do: how much memory is free, and whether it multiplies bfloat16"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")
"""Names of such instructions on x86 (two) and Arm."""


def multiplies_bfloat16(place: torch.device) -> bool:
    """Whether bfloat16 is known to help on a device.

    A CPU without such instructions, or a torch without the library that uses them, multiplies matrices of bfloat16
    up to a hundred times slower than those of float32.
    """
    import torch

    if place.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if place.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    able = torch.cpu.get_capabilities()
    return any(able.get(one, False) for one in _BFLOAT16)


def free_memory(place: torch.device) -> int | None:
    """Bytes that a model may take on a device; None where the system does not say."""
    import torch

    if place.type == "cuda":
        return torch.cuda.mem_get_info(place)[0]
    if place.type != "cpu":
        return None
    limits = []
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            limits.append(int(line.split()[1]) * 1024)
    # A container may be allowed less than the machine has; files it has read count as used, and make room when asked.
    most, used = _read("/sys/fs/cgroup/memory.max").strip(), _read("/sys/fs/cgroup/memory.current").strip()
    if most.isdigit() and used.isdigit():
        rows = (line.split() for line in _read("/sys/fs/cgroup/memory.stat").splitlines())
        files = sum(int(row[1]) for row in rows if row[0] in ("inactive_file", "active_file"))
        limits.append(max(int(most) - int(used) + files, 0))
    return min(limits, default=None)


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
