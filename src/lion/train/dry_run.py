"""An estimate of a run: the parameters that train, memory, and, if asked for, the time of a step."""

import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from lion.checkpoints.record import read_record
from lion.train.frozen import bytes_of
from lion.train.objective import Objective
from lion.train.parallel import autocast, compute_dtype, make_accelerator
from lion.train.params import train_mode
from lion.train.recipe.schema import Recipe
from lion.train.run import build_model, check_init, make_objective

_ADAMW_BYTES = 4 + 2 * 4
"""Per trained number: its gradient and AdamW's two averages, in fp32 (Muon keeps one: this is the most)."""


@dataclass(frozen=True)
class RunEstimate:
    """What a run would train, and at what cost."""

    name: str
    stage: str
    trained: dict[str, int]
    """Number of parameters of each component that trains."""
    frozen: int
    memory_bytes: int
    """Weights as they are held, gradients and optimizer state in fp32; activations come on top."""
    steps: int
    samples: int
    missing: tuple[Path, ...]
    """Folders under `init` that runs before this one are still to make; random weights stand in for them."""
    notes: tuple[str, ...]
    """What the user should know before the first step."""
    seconds_per_step: float | None = None
    """Loss and gradients, measured here on one micro-batch, without making samples and without the optimizer, which may
    be most of a small model's step; None where it was not."""

    @property
    def hours(self) -> float | None:
        """The run's length at the measured speed, without validation."""
        return None if self.seconds_per_step is None else self.seconds_per_step * self.steps / 3600


def dry_run(recipe: Recipe, before: Collection[Recipe] = ()) -> tuple[RunEstimate, Objective]:
    """Read the data and the outline of the model; loads no weights and writes nothing.

    Args:
        recipe: the run.
        before: runs whose outputs it may take its initial weights from although they have not finished.

    Returns: the estimate, and the objective for `time_step`.

    Raises: LionError as `train`.
    """
    check_init(recipe, [each.folder for each in before])
    folders = recipe.init_folders
    unfinished = {each.folder for each in before if read_record(each.folder) is None}
    missing = tuple(dict.fromkeys(each for each in folders.values() if each in unfinished or not each.is_dir()))
    present = {part: path for part, path in recipe.init.items() if folders[part] not in missing}
    objective = make_objective(recipe.model_copy(update={"init": present}))
    model = objective.outline()
    components = objective.trainable(model)
    trained = {part: sum(parameter.numel() for _, parameter in named) for part, named in components.items()}
    total = sum(parameter.numel() for parameter in model.parameters())
    processes = make_accelerator().num_processes
    samples_per_step = recipe.micro_batches(processes) * processes * recipe.batch_size
    estimate = RunEstimate(
        name=recipe.name,
        stage=recipe.stage,
        trained=trained,
        frozen=total - sum(trained.values()),
        memory_bytes=bytes_of(model, recipe.trained, recipe.frozen_weights) + _ADAMW_BYTES * sum(trained.values()),
        steps=recipe.steps,
        samples=recipe.steps * samples_per_step,
        missing=missing,
        notes=tuple(objective.notes()),
    )
    return estimate, objective


def time_step(recipe: Recipe, objective: Objective) -> float:
    """Load the model and measure the seconds of a step's loss and gradients: the median of three, after a first."""
    accelerator = make_accelerator()
    model, _ = build_model(objective, accelerator.device)
    train_mode(model)
    batches = [objective.batch(0, shard).to(accelerator.device) for shard in range(4)]
    times = []
    for batch in batches:  # the first one warms up
        started = time.monotonic()
        with autocast(accelerator.device, compute_dtype(recipe, accelerator.device)):
            loss = objective.loss(model, batch).total
        accelerator.backward(loss)
        loss.item()
        times.append(time.monotonic() - started)
    return median(times[1:]) * recipe.micro_batches(accelerator.num_processes)
