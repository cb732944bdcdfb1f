"""What ``lion doctor`` looks at, a finding each: packages, device, memory, disk, a model, the Hub.

A finding is ``ok``; ``missing`` where something can do without it, ``problem`` where nothing can; with the fix.
Packages are looked up without being imported, so that a broken one can be reported.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Literal

from lion.checkpoints.device import free_memory, multiplies_bfloat16
from lion.errors import LionError, first_line

NEEDED = (
    "torch>=2.11",
    "transformers>=5.17,<6",
    "tokenizers",
    "safetensors>=0.4.3",
    "pillow>=10",
    "numpy>=1.26",
    "pyyaml>=6",
    "pydantic>=2.7",
    "typer>=0.15",
    "rich>=13",
)
"""What every verb needs, as pyproject.toml has it."""

EXTRAS = {
    "train": (("accelerate>=1.10", "tensorboard>=2.17"), "lion train"),
    "parquet": (("pyarrow>=15",), "Parquet in lion tag --out and --tags-from (.jsonl does without)"),
}
"""Extra of the package to what it installs and who needs it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    what: str
    state: Literal["ok", "missing", "problem"]
    found: str
    fix: str = ""


def packages() -> Iterator[Finding]:
    """Python and every package, with what to install where one is missing or too old."""
    yield Finding("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    for requirement in NEEDED:
        yield _package(requirement, "problem", f"every verb needs it: pip install '{requirement}'")
    for requirements, users in EXTRAS.values():
        for requirement in requirements:
            yield _package(requirement, "missing", f"for {users}: pip install '{requirement}'")


def _package(requirement: str, state: Literal["missing", "problem"], fix: str) -> Finding:
    name = requirement.split(">")[0]
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(name, state, "not installed", fix)
    if not _fits(version, requirement.removeprefix(name)):
        return Finding(name, state, f"{version}, not {requirement.removeprefix(name)}", fix)
    return Finding(name, "ok", version)


def _fits(version: str, wanted: str) -> bool:
    try:
        from packaging.specifiers import SpecifierSet
    except ModuleNotFoundError:  # it comes with transformers; without that there is worse to report
        return True
    return SpecifierSet(wanted).contains(version, prereleases=True)


def broken() -> Finding | None:
    """The first package that cannot be imported, though its version would do, of those that all else stands on."""
    for name in ("torch", "transformers"):
        try:
            import_module(name)
        except Exception as error:  # a library it needs, half an installation, ...
            fix = f"install it again: pip install --force-reinstall {name}"
            return Finding(name, "problem", f"cannot be imported: {first_line(error)}", fix)
    return None


def device() -> Iterator[Finding]:
    """The device and precision that verbs use unless told otherwise, and its free memory."""
    import torch

    from lion.checkpoints.loading import LARGE, find_device
    from lion.provenance import hardware

    place = find_device(None)
    precision = "the checkpoint's precision, bfloat16 for float16"
    if place.type == "cpu" and not multiplies_bfloat16(place):
        precision = "float32; bfloat16 where memory is short of that, as this CPU is slow in it"
    elif place.type == "cpu":
        precision = f"float32; {precision}, from {LARGE // 10**9} GB of weights on"
    yield Finding("device", "ok", f"{place.type}, {precision}: {hardware(place)}")
    if place.type == "cpu" and shutil.which("nvidia-smi"):
        fix = "install PyTorch's CUDA build for your driver (https://pytorch.org/get-started)"
        yield Finding("GPU", "missing", f"an NVIDIA driver is here, but torch {torch.__version__} sees no GPU", fix)
    elif place.type == "cpu" and torch.backends.mps.is_available():
        yield Finding("GPU", "missing", "an Apple GPU is here and is not used unasked", "say --device mps")
    free = free_memory(place)
    yield Finding("memory", "ok", "free: unknown on this system" if free is None else f"{gigabytes(free)} free")


def model(name: str | None, ask_hub: bool) -> Iterator[Finding]:
    """Whether a model is here, is whole and fits into memory; one of the Hub that is not here only when it is asked."""
    from huggingface_hub.constants import HF_HUB_CACHE

    from lion.checkpoints.loading import find_folder, is_hub_id

    room = free_disk(Path(HF_HUB_CACHE))
    yield Finding("disk", "ok", f"{gigabytes(room)} free for models of the Hub, in {HF_HUB_CACHE}")
    shown = name or "lion-mini"
    here = _cached(name) if name is not None and is_hub_id(name) else None
    if name is not None and is_hub_id(name) and here is None:
        if ask_hub:
            yield _download(name, room)
        else:
            fix = f"lion doctor {name} --hub asks how large it is; any verb with --model fetches it"
            yield Finding(shown, "missing", "a Hub id, and not on this machine yet", fix)
        return
    try:
        folder, shown = (here, shown) if here else find_folder(name)
        yield _weights(folder, shown)
    except LionError as error:
        yield Finding(shown, "missing" if name is None else "problem", *_split(str(error)))


def _weights(folder: Path, name: str) -> Finding:
    """A model on this machine: its memory as it would be loaded, against what is free."""
    import torch

    from lion.checkpoints.info import model_info, tagger_info
    from lion.checkpoints.loading import default_dtype, find_device, kind_of
    from lion.tagging import RamConfig

    place = find_device(None)
    if kind_of(folder, name) == RamConfig.model_type:
        needed, precision = 4 * tagger_info(folder, name).parameters, torch.float32
    else:
        found, precision = model_info(folder), default_dtype(folder, place)
        needed = found.parameters * precision.itemsize + (4 * found.tagger.parameters if found.tagger else 0)
    free = free_memory(place)
    words = f"weights take {gigabytes(needed)} on {place.type} in {str(precision).removeprefix('torch.')}"
    if free is not None and needed > free:
        fix = "free memory, or take a smaller model"
        return Finding(name, "problem", f"{words}, {gigabytes(free)} are free", fix)
    return Finding(name, "ok", words)


def _download(name: str, room: int) -> Finding:
    """A model of the Hub that is not here: its size against the disk."""
    from huggingface_hub import HfApi

    try:
        files = HfApi().model_info(name, files_metadata=True, timeout=10).siblings or []
    except Exception as error:  # the client raises its transport's own errors too
        return Finding(name, "problem", f"the Hub does not tell: {first_line(error)}", "check the id and the network")
    size = sum(file.size or 0 for file in files if file.rfilename.endswith((".safetensors", ".json", ".model", ".txt")))
    if size > room:
        return Finding(name, "problem", f"{gigabytes(size)} to fetch", "free disk, or set HF_HOME to a larger one")
    return Finding(name, "ok", f"{gigabytes(size)} to fetch, by any verb with --model {name}")


def hub() -> Finding:
    """Whether the Hugging Face Hub answers; uses the network."""
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return Finding("Hub", "problem", "not asked: HF_HUB_OFFLINE is set", "unset HF_HUB_OFFLINE")
    try:
        status = get_session().get(f"{constants.ENDPOINT}/api/models?limit=1", timeout=10).status_code
    except Exception as error:  # the client raises its transport's own errors
        fix = "check the network and its proxy (HTTPS_PROXY), or name a mirror (HF_ENDPOINT)"
        return Finding("Hub", "problem", f"{constants.ENDPOINT} is out of reach: {first_line(error)}", fix)
    if status >= 400:
        fix = "try later, or name a mirror (HF_ENDPOINT)"
        return Finding("Hub", "problem", f"{constants.ENDPOINT} answers {status}", fix)
    return Finding("Hub", "ok", f"{constants.ENDPOINT} answers")


def free_disk(folder: Path) -> int:
    """Free bytes where a folder is, or would be made."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def gigabytes(count: int) -> str:
    """Bytes in words."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def _cached(name: str) -> Path | None:
    """The folder of a Hub model that a verb has fetched, None if there is none; the network is left alone."""
    from huggingface_hub import snapshot_download

    from lion.checkpoints.loading import WANTED

    try:
        return Path(snapshot_download(name, allow_patterns=list(WANTED), local_files_only=True))
    except Exception:  # not there, in one of several errors
        return None


def _split(message: str) -> tuple[str, str]:
    """A mistake's line as what is wrong and how to mend it."""
    wrong, _, fix = message.partition("; ")
    return wrong, fix
