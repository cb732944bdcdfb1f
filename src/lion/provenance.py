"""Hardware, commit and library versions, which a measured number is reported with."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def hardware(device: torch.device) -> str:
    """The GPU's name, or threads, cores and name of the CPU."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{threads} thread{'s' * (threads > 1)} of {os.cpu_count()} CPU cores ({_cpu()})"


def _cpu() -> str:
    """What Linux calls the CPU; elsewhere, or where it does not say, the architecture."""
    try:
        found = re.search(r"^model name\s*:\s*(\S.*)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.machine()


def update_with_tensors(digest: Any, tensors: Mapping[str, torch.Tensor]) -> None:
    """Take names, types, shapes and bytes of tensors into a hash, in the order of their names."""
    import torch

    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())


def commit() -> str | None:
    """The commit of the source tree this package lies in, or None outside a checkout."""
    here = Path(__file__)
    # Installed in another project's .venv it lies in that project's checkout, and is none of its files.
    if _git(here.parent, "ls-files", "--error-unmatch", here.name) is None:
        return None
    return _git(here.parent, "rev-parse", "HEAD")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        answer = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return answer.stdout.strip() or None if answer.returncode == 0 else None


def versions() -> dict[str, str]:
    """Versions of the libraries that numbers depend on."""
    import torch
    import transformers

    return {"torch": torch.__version__, "transformers": transformers.__version__}
