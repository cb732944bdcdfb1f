"""Checkpoints of a run in progress, in safetensors and JSON: a folder `step-0000200` that appears whole or not at all.

    trained.safetensors      parameters that train and their modules' buffers
    optimiser.safetensors    the optimizers' state as `parameter name/key`
    state.json               step, samples, seconds, the recipe's fingerprint
    random-<rank>.safetensors and .json   states of the random generators of torch, numpy and Python in each process

The step is also the position in the data, as every batch is a function of it. A checkpoint is resumed by as many
processes as wrote it, since each has its own shards and random states; by any number where the batches of a step do not
depend on it (`order: epochs`), with new random states (of dropout) if it is another.
"""

import json
import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object, set_seed
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lion.atomic import atomic_directory, atomic_write_json
from lion.errors import LionError
from lion.hub import LOAD_ERRORS
from lion.random import stream
from lion.train.parallel import laid_out_as, whole
from lion.train.params import load_trained_state, trained_state

Optimizers = Sequence[torch.optim.Optimizer]


@dataclass
class Progress:
    """Progress of a run; `state.json` of a checkpoint."""

    fingerprint: str
    step: int = 0
    samples: int = 0
    bad_samples: int = 0
    seconds: float = 0.0
    left_out: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    """Steps whose loss or gradient norm was not finite, with the samples of it: id and reason."""

    def __post_init__(self) -> None:
        self.left_out = {int(step): samples for step, samples in self.left_out.items()}  # JSON's keys are texts


@dataclass(frozen=True)
class CheckpointFolder:
    """The checkpoints of one run, of which the newest `keep` stay."""

    folder: Path
    keep: int

    def all(self) -> list[Path]:
        """Complete checkpoints, oldest first."""
        return sorted(self.folder.glob("step-*"))

    def save(self, accelerator: Accelerator, model: nn.Module, optimizers: Optimizers, progress: Progress) -> None:
        """Write a checkpoint (every process calls this; the main one writes), then delete all but the newest `keep`."""
        main = accelerator.is_main_process
        randoms = gather_object([_random_state()]) if accelerator.num_processes > 1 else [_random_state()]
        place = self.folder / f"step-{progress.step:07d}"
        with atomic_directory(place) if main else nullcontext() as folder:
            states = {"trained": trained_state(model), "optimiser": optimizer_state(optimizers)}
            for name, state in states.items():
                tensors = _portable(state, main)
                if folder:
                    save_file(tensors, folder / f"{name}.safetensors")
            if not folder:
                return
            for rank, (tensors, plain) in enumerate(randoms):
                save_file(_portable(tensors), folder / f"random-{rank}.safetensors")
                atomic_write_json(folder / f"random-{rank}.json", plain)
            atomic_write_json(folder / "state.json", asdict(progress))
        for old in self.all()[: -self.keep]:
            shutil.rmtree(old)

    def resume(
        self,
        accelerator: Accelerator,
        model: nn.Module,
        optimizers: Optimizers,
        fingerprint: str,
        elastic: bool = False,
    ) -> Progress:
        """Restore the newest checkpoint into model, optimizers and random states; a fresh Progress where there is none.

        `elastic`: another number of processes than wrote it may resume it.

        Raises: LionError if it belongs to another recipe or another number of processes, or is damaged; if processes
            do not see the same checkpoints.
        """
        checkpoints = self.all()
        if accelerator.num_processes > 1:
            seen = gather_object([checkpoints[-1].name if checkpoints else None])
            if len(set(seen)) > 1:
                names = ", ".join(map(str, seen))
                raise LionError(
                    f"processes see other checkpoints in {self.folder} ({names}); out has to be on a disk that all "
                    "machines share"
                )
        if not checkpoints:
            return Progress(fingerprint)
        newest = checkpoints[-1]
        with _whole(newest):
            progress = Progress(**json.loads((newest / "state.json").read_text()))
        if progress.fingerprint != fingerprint:
            raise LionError(
                f"{newest} belongs to another recipe (or to other initial weights); choose another out=FOLDER, or "
                "start over with --restart"
            )
        processes, rank = len(list(newest.glob("random-*.json"))), accelerator.process_index
        others = processes not in (0, accelerator.num_processes)
        if others and not elastic:
            raise LionError(f"{newest} was written by {processes} processes; resume it with as many, or use --restart")
        with _whole(newest):
            load_trained_state(model, _laid_out(load_file(newest / "trained.safetensors"), trained_state(model)))
            load_optimizer_state(optimizers, load_file(newest / "optimiser.safetensors"))
            if others:
                set_seed(int(stream(fingerprint, progress.step, rank).random() * 2**32))
                return progress
            plain = json.loads((newest / f"random-{rank}.json").read_text())
            _set_random_state(load_file(newest / f"random-{rank}.safetensors"), plain)
        return progress


@contextmanager
def _whole(checkpoint: Path) -> Iterator[None]:
    """Errors of reading and of names or shapes that do not fit become a LionError: the checkpoint is damaged."""
    try:
        yield
    except LOAD_ERRORS as error:
        raise LionError(f"{checkpoint} is damaged; delete it to go on from the last before it, or --restart") from error


def optimizer_state(optimizers: Optimizers) -> dict[str, Tensor]:
    """Per-parameter state under `name/key`, scalars as 0-d tensors; hyper-parameters come from the recipe."""
    return {
        f"{name}/{key}": torch.as_tensor(value)
        for optimizer, _, name, parameter in _parameters(optimizers)
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def load_optimizer_state(optimizers: Optimizers, state: Mapping[str, Tensor]) -> None:
    """Load `optimizer_state`, tensors on their parameters' device (AdamW keeps its step counter on the CPU)."""
    by_name: dict[str, dict[str, Tensor]] = {}
    for path, value in state.items():
        name, key = path.rsplit("/", 1)
        by_name.setdefault(name, {})[key] = value
    for optimizer, group, name, parameter in _parameters(optimizers):
        on_device = group.get("fused") or group.get("capturable")
        optimizer.state[parameter] = {
            key: laid_out_as(value, parameter) if value.ndim else value.to(parameter.device) if on_device else value
            for key, value in by_name.get(name, {}).items()
        }


def _parameters(optimizers: Optimizers) -> Iterator[tuple[torch.optim.Optimizer, dict[str, Any], str, nn.Parameter]]:
    """(optimizer, parameter group, name, parameter) of every parameter."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for name, parameter in zip(group["names"], group["params"], strict=True):
                yield optimizer, group, name, parameter


def _portable(tensors: Mapping[str, Tensor], keep: bool = True) -> dict[str, Tensor]:
    """Contiguous CPU copies that share no memory, as safetensors needs them; of sharded tensors, the whole ones.

    `keep`: False in processes that only help to gather, one tensor at a time.
    """
    portable = dict[str, Tensor]()
    for name, tensor in tensors.items():
        full = whole(tensor.detach())
        if keep:
            portable[name] = full.to("cpu", copy=True).contiguous()
    return portable


def _laid_out(state: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Whole tensors as those of the same names in `like` are laid out over processes."""
    return {name: laid_out_as(tensor, like[name]) if name in like else tensor for name, tensor in state.items()}


def _random_state() -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["cuda"] = torch.cuda.get_rng_state()
    twister: Any = np.random.get_state(legacy=False)
    twister["state"]["key"] = twister["state"]["key"].tolist()
    return tensors, {"python": random.getstate(), "numpy": twister}


def _set_random_state(tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
    torch.set_rng_state(tensors["torch"])
    if "cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["cuda"])
    version, internal, gauss = plain["python"]
    random.setstate((version, tuple(internal), gauss))
    np.random.set_state(plain["numpy"])
