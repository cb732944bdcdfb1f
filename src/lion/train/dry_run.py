"""An estimate of a run: the parameters that train, memory, and the time of a step."""

import time
from dataclasses import dataclass
from pathlib import Path

from lion.train.parallel import autocast, compute_dtype, make_accelerator
from lion.train.params import train_mode
from lion.train.recipe.schema import Recipe
from lion.train.run import build_model, make_objective

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
    """Weights, gradients and optimizer state in fp32; activations come on top."""
    seconds_per_step: float
    """Measured here on one micro-batch, without reading pictures."""
    steps: int
    samples: int
    missing: tuple[Path, ...]
    """Folders under `init` that do not exist yet; random weights stood in for them."""

    @property
    def hours(self) -> float:
        """The run's length at the measured speed, without validation."""
        return self.seconds_per_step * self.steps / 3600


def dry_run(recipe: Recipe) -> RunEstimate:
    """Build the model and time one step here; writes nothing. Raises: LionError as `train`, missing runs aside."""
    folders = recipe.init_folders
    missing = tuple(dict.fromkeys(folder for folder in folders.values() if not folder.is_dir()))
    present = {part: path for part, path in recipe.init.items() if folders[part] not in missing}
    startable = recipe.model_copy(update={"init": present})
    objective, accelerator = make_objective(startable), make_accelerator()
    model, components = build_model(objective, accelerator.device)
    train_mode(model)
    trained = {part: sum(parameter.numel() for _, parameter in named) for part, named in components.items()}
    total = sum(parameter.numel() for parameter in model.parameters())
    batches = [objective.batch(0, shard).to(accelerator.device) for shard in range(2)]
    for batch in batches:  # the first one warms up
        started = time.monotonic()
        with autocast(accelerator.device, compute_dtype(recipe, accelerator.device)):
            loss = objective.loss(model, batch).total
        accelerator.backward(loss)
        loss.item()
        seconds = time.monotonic() - started
    samples_per_step = recipe.gradient_accumulation * recipe.batch_size * accelerator.num_processes
    return RunEstimate(
        name=recipe.name,
        stage=recipe.stage,
        trained=trained,
        frozen=total - sum(trained.values()),
        memory_bytes=4 * total + _ADAMW_BYTES * sum(trained.values()),
        seconds_per_step=seconds * recipe.gradient_accumulation,
        steps=recipe.steps,
        samples=recipe.steps * samples_per_step,
        missing=missing,
    )
