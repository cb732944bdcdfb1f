"""The loop: batches in, optimiser steps out; precision, accumulation and processes by accelerate.

Knows nothing of LION: the objective brings model, data and loss (objective.py). Every step's learning rate and batches
are functions of the step's number, so the state of a run is the checkpoint's and nothing else.
"""

from __future__ import annotations

import math
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar, cast

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from lion.errors import LionError
from lion.train.checkpoint import CheckpointFolder, Progress
from lion.train.log import RunLog
from lion.train.objective import Batch, Objective
from lion.train.params import train_mode
from lion.train.progress import ProgressBars, polite_stop
from lion.train.recipe import OptimizerSettings, Recipe

T = TypeVar("T")
Watch = Callable[[int, Mapping[str, Any]], None]
"""Takes a step's number and its row of the log."""


RESUMES = "the same command, without --restart, resumes"


class Stopped(Exception):
    """The run was asked to stop (Ctrl-C or SIGTERM) and has saved a checkpoint to resume from."""


@dataclass
class Run:
    """Everything the loop works with, made by run.py."""

    recipe: Recipe
    objective: Objective
    accelerator: Accelerator
    model: nn.Module
    optimisers: Sequence[torch.optim.Optimizer]
    checkpoints: CheckpointFolder
    log: RunLog
    progress: Progress
    watch: Watch | None = None
    """Is told of every step instead of a progress bar."""
    scores: dict[str, float] = field(default_factory=dict)

    @property
    def bare_model(self) -> nn.Module:
        """The model without accelerate's wrapping."""
        return self.accelerator.unwrap_model(self.model)


def learning_rate(optimiser: OptimizerSettings, steps: int, step: int) -> float:
    """Rate at step `step` (from 0): linear warm-up, constant, then a linear or cosine fall to zero at `steps`."""
    if step < optimiser.warmup:
        return optimiser.lr * (step + 1) / optimiser.warmup
    fall = max(min(round(optimiser.decay * steps), steps - optimiser.warmup), 1)
    past = min(max((step - (steps - fall)) / fall, 0.0), 1.0) if optimiser.decay else 0.0
    return optimiser.lr * (1 - past if optimiser.shape == "linear" else 0.5 * (1 + math.cos(math.pi * past)))


def fit(run: Run) -> bool:
    """Train from the run's progress to the recipe's last step, validating and saving on the way.

    Returns: whether it was asked to stop during the last step, too late to stop before it.

    Raises:
        LionError: the loss or a gradient is NaN or infinite; names the samples of the batch.
        Stopped: after a signal, once the step in hand is done and saved.
    """
    recipe = run.recipe
    if run.progress.step >= recipe.steps:
        return False
    asked = False
    train_mode(run.model)
    batches = _batches(run)
    bars = ProgressBars(shown=run.accelerator.is_main_process and run.watch is None)
    bar = bars.add(recipe.name, recipe.steps, run.progress.step)
    watch = run.watch or partial(bars.update, bar)
    with bars, polite_stop() as stop:
        while run.progress.step < recipe.steps:
            started = time.monotonic()
            row = _step(run, batches)
            step = run.progress.step
            run.log.train(step, row)
            watch(step, row)
            last = step == recipe.steps
            if recipe.validation and (step % recipe.validation.every == 0 or last):
                validate(run)
            run.progress.seconds += time.monotonic() - started
            asked = _anyone(run.accelerator, stop.wanted)
            if step % recipe.checkpoint.every == 0 or last or asked:
                run.log.flush()
                run.checkpoints.save(run.accelerator, run.bare_model, run.optimisers, run.progress)
            if asked and not last:
                raise Stopped(f"stopped after step {step} of {recipe.steps}; {RESUMES}")
    return asked


def validate(run: Run) -> None:
    """Score on held-out samples, in the main process alone, leaving random states as they were."""
    if run.accelerator.is_main_process:
        started = time.monotonic()
        run.model.eval()
        devices = [run.accelerator.device] if run.accelerator.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), torch.no_grad(), run.accelerator.autocast():
            run.scores = run.objective.validate(run.bare_model, lambda bad: run.log.bad_sample(run.progress.step, bad))
        run.log.validation(run.progress.step, {**run.scores, "seconds": round(time.monotonic() - started, 2)})
        train_mode(run.model)
    run.accelerator.wait_for_everyone()


def _step(run: Run, batches: Iterator[Batch]) -> dict[str, Any]:
    """One optimiser step over the recipe's micro-batches; returns the row for the log."""
    recipe, progress = run.recipe, run.progress
    started = time.monotonic()
    rate = learning_rate(recipe.optimizer, recipe.steps, progress.step)
    for group in (group for optimiser in run.optimisers for group in optimiser.param_groups):
        group["lr"] = rate * group["lr_scale"]
    losses: list[tuple[float, dict[str, float]]] = []
    ids: list[str] = []
    for micro in range(recipe.gradient_accumulation):
        batch = next(batches)
        ids += batch.ids
        _note_bad_samples(run, batch)
        loss, parts = _backward(run, batch, last=micro == recipe.gradient_accumulation - 1)
        if not math.isfinite(loss):
            raise LionError(_not_finite("loss", loss, progress.step + 1, batch.ids))
        losses.append((loss, {task: float(value) for task, value in parts.items()}))
    norm = float(run.accelerator.clip_grad_norm_(run.model.parameters(), recipe.max_grad_norm))
    if not math.isfinite(norm):
        raise LionError(_not_finite("gradient norm", norm, progress.step + 1, ids))
    for optimiser in run.optimisers:
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    losses = _of_all(run.accelerator, losses)
    per_task: dict[str, list[float]] = defaultdict(list)
    for _, by_task in losses:
        for task, value in by_task.items():
            per_task[task].append(value)
    seconds = time.monotonic() - started
    progress.step += 1
    progress.samples += len(ids) * run.accelerator.num_processes
    return {
        "loss": sum(loss for loss, _ in losses) / len(losses),
        "per_task": {task: sum(values) / len(values) for task, values in per_task.items()},
        "lr": rate,
        "grad_norm": norm,
        "samples_per_second": round(len(ids) * run.accelerator.num_processes / seconds, 1),
    }


def _backward(run: Run, batch: Batch, last: bool) -> tuple[float, dict[str, Tensor]]:
    """Forward and backward of one micro-batch; gradients are exchanged between processes with the last one only."""
    accelerator = run.accelerator
    batch = batch.to(accelerator.device)
    exchange: AbstractContextManager[Any] = nullcontext() if last else accelerator.no_sync(run.model)
    with exchange, accelerator.autocast():
        loss = run.objective.loss(run.model, batch)
        accelerator.backward(loss.total / run.recipe.gradient_accumulation)
    return float(loss.total.detach()), dict(loss.per_task)


def _anyone(accelerator: Accelerator, wanted: bool) -> bool:
    """Whether one process of all was asked to stop: they have to leave after the same step."""
    if accelerator.num_processes == 1:
        return wanted
    return bool(accelerator.reduce(torch.tensor(int(wanted), device=accelerator.device)))


def _of_all(accelerator: Accelerator, items: list[T]) -> list[T]:
    """The items of all processes."""
    return cast(list[T], gather_object(items)) if accelerator.num_processes > 1 else items


def _note_bad_samples(run: Run, batch: Batch) -> None:
    """Count and log the bad samples of all processes."""
    for bad in _of_all(run.accelerator, list(batch.bad)):
        run.progress.bad_samples += 1
        run.log.bad_sample(run.progress.step + 1, bad)


def _not_finite(what: str, value: float, step: int, ids: Any) -> str:
    named = ", ".join(list(ids)[:8]) + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")
    return f"step {step}: the {what} is {value}; lower optimizer.lr, or look at the batch's samples: {named}"


class _Shards(Dataset[Batch | LionError]):
    """This process's micro-batches, addressed by (step, shard), so that a DataLoader's workers can build them ahead."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective

    def __getitem__(self, address: tuple[int, int]) -> Batch | LionError:
        """The batch, or why there is none: raised in a worker, the reason would come with the worker's traceback."""
        try:
            return self.objective.batch(*address)
        except LionError as error:
            return error


def _batches(run: Run) -> Iterator[Batch]:
    """Micro-batches from the run's step on, in order."""
    ranks, rank = run.accelerator.num_processes, run.accelerator.process_index
    addresses = [
        (step, micro * ranks + rank)
        for step in range(run.progress.step, run.recipe.steps)
        for micro in range(run.recipe.gradient_accumulation)
    ]
    loader: DataLoader[Any] = DataLoader(
        _Shards(run.objective),
        sampler=addresses,
        batch_size=None,
        collate_fn=_as_it_is,  # type: ignore[arg-type]  # typed for lists; without batch_size it gets one item
        num_workers=run.recipe.workers,
        worker_init_fn=_leave_stopping_to_the_loop,
        generator=torch.Generator(),  # its own, or starting the loader would advance the run's random state
    )
    return _raised(iter(loader))


def _raised(batches: Iterator[Batch | LionError]) -> Iterator[Batch]:
    for batch in batches:
        if isinstance(batch, LionError):
            raise batch
        yield batch


def _leave_stopping_to_the_loop(worker: int) -> None:
    """Ctrl-C reaches workers, too, and without them the loop could not end its step and save."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _as_it_is(batch: Batch | LionError) -> Batch | LionError:
    return batch
