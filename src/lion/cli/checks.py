"""The checks of ``lion doctor``: packages, device, memory, disk, a model, the Hub.

Packages are looked up without being imported, so that a broken one can be reported.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lion.checkpoints.device import LARGE, default_dtype, find_device, free_disk, free_memory, multiplies_bfloat16
from lion.errors import LionError, first_line

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PACKAGE = "lion-vlm"

USED_BY = {
    "train": "lion train, lion finetune",
    "parquet": "Parquet in lion tag --out and --tags-from (.jsonl does without)",
    "plot": "lion explain --save, lion bench --plot, figures of lion eval report and lion gallery",
    "serve": "lion serve",
    "bulk": "Parquet and URLs in lion annotate",
    "quant": "frozen_weights int8 and nf4 in recipes",
    "ray": "lion serve --ray, lion annotate --ray",
}
"""Extra of the package to the commands that need it; other extras are for developers and not checked."""


@dataclass(frozen=True, slots=True)
class Check:
    """Result of one check; the fields are the keys of ``lion doctor --json``."""

    what: str
    state: Literal["ok", "missing", "problem"]
    """``missing``: some commands do not work; ``problem``: none does, or the model does not."""
    found: str
    fix: str = ""


def packages() -> Iterator[Check]:
    """Python and every required package, with the command that installs a missing or old one."""
    yield Check("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    try:
        from packaging.requirements import Requirement
    except ModuleNotFoundError:  # it comes with transformers
        yield Check("packaging", "problem", "not installed", "every command needs it: pip install packaging")
        return
    try:
        requirements = [Requirement(line) for line in metadata.requires(PACKAGE) or ()]
    except metadata.PackageNotFoundError:  # run from a source tree, which has no metadata
        yield Check(PACKAGE, "missing", "not installed, so its packages are not checked", "pip install PATH_TO_LION")
        return
    optional: dict[str, tuple[Requirement, str, list[str]]] = {}
    for one in requirements:
        extras = f"[{','.join(sorted(one.extras))}]" if one.extras else ""
        marker, install = one.marker, f"pip install '{one.name}{extras}{one.specifier}'"
        if marker is None or marker.evaluate({"extra": ""}):
            yield _package(one, "problem", f"every command needs it: {install}")
        for extra, users in USED_BY.items():
            if marker is not None and marker.evaluate({"extra": extra}):
                optional.setdefault(one.name, (one, install, []))[2].append(users)  # two extras may hold the same
    for one, install, users_of_it in optional.values():
        yield _package(one, "missing", f"for {'; '.join(users_of_it)}: {install}")


def _package(requirement: Requirement, otherwise: Literal["missing", "problem"], fix: str) -> Check:
    name, versions = requirement.name, requirement.specifier
    try:
        installed = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(name, otherwise, "not installed", fix)
    if not versions.contains(installed, prereleases=True):
        return Check(name, otherwise, f"{installed}, not {versions}", fix)
    return Check(name, "ok", installed)


def broken() -> Check | None:
    """The first of torch and transformers that is installed in the right version but cannot be imported."""
    for name in ("torch", "transformers"):
        try:
            import_module(name)
        except Exception as error:  # a library it needs, half an installation, ...
            fix = f"install it again: pip install --force-reinstall {name}"
            return Check(name, "problem", f"cannot be imported: {first_line(error)}", fix)
    return None


def devices() -> Iterator[Check]:
    """The default device and precision, and the device's free memory."""
    import torch

    from lion.provenance import hardware

    device = find_device(None)
    precision = "the checkpoint's precision, bfloat16 for float16"
    if device.type == "cpu" and not multiplies_bfloat16(device):
        precision = "float32; bfloat16 where memory is short of that, as this CPU is slow in it"
    elif device.type == "cpu":
        precision = f"float32; {precision}, from {LARGE // 10**9} GB of weights on"
    yield Check("device", "ok", f"{device.type}, {precision}: {hardware(device)}")
    if device.type == "cpu" and shutil.which("nvidia-smi"):
        fix = "install PyTorch's CUDA build for your driver (https://pytorch.org/get-started)"
        yield Check("GPU", "missing", f"an NVIDIA driver is here, but torch {torch.__version__} sees no GPU", fix)
    elif device.type == "cpu" and torch.backends.mps.is_available():
        yield Check("GPU", "missing", "an Apple GPU is here and is not used by default", "use it: --device mps")
    free = free_memory(device)
    yield Check("memory", "ok", "free: unknown on this system" if free is None else f"{gigabytes(free)} free")


def model(name: str | None, use_network: bool) -> Iterator[Check]:
    """Whether a model is on this machine, undamaged, and fits into memory.

    Args:
        name: folder, Hub id or ``lion-mini``; None for the bundled model.
        use_network: look up the size of a Hub model that was not downloaded yet.
    """
    from huggingface_hub.constants import HF_HUB_CACHE

    from lion.checkpoints.finding import BUNDLED, find_folder, is_hub_id

    free = free_disk(Path(HF_HUB_CACHE))
    yield Check("disk", "ok", f"{gigabytes(free)} free for models of the Hub, in {HF_HUB_CACHE}")
    shown = name or BUNDLED
    cached = _cached(name) if name is not None and is_hub_id(name) else None
    if name is not None and is_hub_id(name) and cached is None:
        if use_network:
            yield _download(name, free)
        else:
            fix = f"lion doctor {name} --hub shows its size; any command with --model downloads it"
            yield Check(shown, "missing", "a Hub id, and not on this machine yet", fix)
        return
    try:
        folder, shown = (cached, shown) if cached else find_folder(name)
        yield _weights(folder, shown)
    except LionError as error:
        wrong, _, fix = str(error).partition("; ")
        yield Check(shown, "missing" if name is None else "problem", wrong, fix)


def _weights(folder: Path, name: str) -> Check:
    """A model on this machine: the memory of its loaded weights against the free memory."""
    import torch

    from lion.checkpoints.finding import is_tagger
    from lion.checkpoints.info import model_info, tagger_info

    device = find_device(None)
    if is_tagger(folder, name):
        needed, dtype = 4 * tagger_info(folder, name).parameters, torch.float32
    else:
        info, dtype = model_info(folder), default_dtype(folder, device)
        needed = info.parameters * dtype.itemsize + (4 * info.tagger.parameters if info.tagger else 0)
    free = free_memory(device)
    size = f"weights take {gigabytes(needed)} on {device.type} in {str(dtype).removeprefix('torch.')}"
    if free is not None and needed > free:
        return Check(name, "problem", f"{size}, {gigabytes(free)} are free", "free memory, or take a smaller model")
    return Check(name, "ok", size)


def _download(name: str, free: int) -> Check:
    """A model of the Hub that was not downloaded yet: its size against the free bytes of the disk."""
    from huggingface_hub import HfApi

    try:
        files = HfApi().model_info(name, files_metadata=True, timeout=10).siblings or []
    except Exception as error:  # the client raises its transport's own errors too
        return Check(name, "problem", f"no answer from the Hub: {first_line(error)}", "check the id and the network")
    size = sum(file.size or 0 for file in files if file.rfilename.endswith((".safetensors", ".json", ".model", ".txt")))
    if size > free:
        return Check(name, "problem", f"{gigabytes(size)} to fetch", "free disk, or set HF_HOME to a larger one")
    return Check(name, "ok", f"{gigabytes(size)} to fetch, by any command with --model {name}")


def hub() -> Check:
    """Whether the Hugging Face Hub answers; uses the network."""
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return Check("Hub", "problem", "not tried: HF_HUB_OFFLINE is set", "unset HF_HUB_OFFLINE")
    try:
        status = get_session().get(f"{constants.ENDPOINT}/api/models?limit=1", timeout=10).status_code
    except Exception as error:  # the client raises its transport's own errors
        fix = "check the network and its proxy (HTTPS_PROXY), or name a mirror (HF_ENDPOINT)"
        return Check("Hub", "problem", f"{constants.ENDPOINT} is out of reach: {first_line(error)}", fix)
    if status >= 400:
        fix = "try later, or name a mirror (HF_ENDPOINT)"
        return Check("Hub", "problem", f"{constants.ENDPOINT} answers {status}", fix)
    return Check("Hub", "ok", f"{constants.ENDPOINT} answers")


def gigabytes(count: int) -> str:
    """A number of bytes as text."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def _cached(name: str) -> Path | None:
    """The folder of a Hub model in the cache, None if it is not there; never uses the network."""
    from huggingface_hub import snapshot_download

    from lion.checkpoints.finding import FETCHED

    try:
        return Path(snapshot_download(name, allow_patterns=list(FETCHED), local_files_only=True))
    except Exception:  # several errors mean that it is not there
        return None
