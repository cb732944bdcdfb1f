"""The training loop: batches in, optimizer steps out, with validation, log and checkpoints on the way.

It is independent of LION: the objective brings model, data and loss (objective.py). Learning rate and batches are
functions of the step's number, so that a checkpoint holds the whole state of a run.
"""

import math
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import nn
from torch.utils.data import DataLoader, Dataset

from lion.data.sample import BadSample
from lion.errors import LionError
from lion.train.checkpoint import CheckpointFolder, Progress
from lion.train.log import RunLog, Watch
from lion.train.metrics import NORM, Step, StepMetrics
from lion.train.objective import Batch, Objective
from lion.train.parallel import Parallel, autocast, whole
from lion.train.params import train_mode
from lion.train.recipe.schema import OptimizerSettings, Recipe
from lion.train.stopping import RESUMES, SIGNALS, Stopped, StopRequest, stop_request

WORKER_KILLED = f"a worker that read data was killed, as where memory has run out; fewer workers take less; {RESUMES}"


@dataclass
class Run:
    """A run's state, made by run.py."""

    recipe: Recipe
    objective: Objective
    accelerator: Accelerator
    dtype: torch.dtype
    parallel: Parallel
    optimizers: Sequence[torch.optim.Optimizer]
    checkpoints: CheckpointFolder
    log: RunLog
    progress: Progress
    metrics: StepMetrics
    watch: Watch | None = None

    @property
    def micro_batches(self) -> int:
        """Micro-batches of a step in this process."""
        return self.recipe.micro_batches(self.accelerator.num_processes)

    @property
    def model(self) -> nn.Module:
        """On the device; wrapped where there are several processes."""
        return self.parallel.model

    @property
    def bare_model(self) -> nn.Module:
        """The model without the wrapper of data-parallel training."""
        return self.parallel.bare

    def report(self, step: int, row: Mapping[str, Any]) -> None:
        """Call `watch`, in the main process."""
        if self.watch and self.accelerator.is_main_process:
            self.watch(self.recipe.name, step, self.recipe.steps, row)


def learning_rate(settings: OptimizerSettings, steps: int, step: int) -> float:
    """Rate at step `step` (from 0): linear warm-up, constant, then linear or cosine decay to zero at `steps`."""
    if step < settings.warmup:
        return settings.lr * (step + 1) / settings.warmup
    fall = max(min(round(settings.decay * steps), steps - settings.warmup), 1)
    past = min(max((step - (steps - fall)) / fall, 0.0), 1.0) if settings.decay else 0.0
    return settings.lr * (1 - past if settings.shape == "linear" else 0.5 * (1 + math.cos(math.pi * past)))


def fit(run: Run) -> StopRequest | None:
    """Train from the run's progress to the recipe's last step, with validation and checkpoints.

    Returns: the request to stop that arrived during the last step, too late to stop before it, if there was one.

    Raises:
        NotFinite: a loss or gradient norm is NaN or infinite; no checkpoint holds such a step.
        LionError: no sample is usable.
        Stopped: after a signal; the steps until then are saved.
    """
    recipe, progress = run.recipe, run.progress
    if progress.step >= recipe.steps:
        return None
    alone = run.accelerator.num_processes == 1
    train_mode(run.model)
    if progress.step == 0:
        if recipe.checkpoint.rewinds:
            _save(run)  # to go back to
        for bad in run.objective.skipped():
            progress.bad_samples += 1
            run.log.bad_sample(1, bad)
        if recipe.validation and recipe.validation.at_start:
            started = time.monotonic()
            validate(run)
            progress.seconds += time.monotonic() - started
    run.report(progress.step, {})
    batches = micro_batches(run.objective, recipe, progress.step, run.accelerator)
    with stop_request() as stop:
        while progress.step < recipe.steps:
            started = time.monotonic()
            if progress.step + 1 in progress.left_out:
                _leave_out(run, batches)
            else:
                _step(run, batches)
            step = progress.step
            last = step == recipe.steps
            validating = recipe.validation is not None and (last or step % recipe.validation.every == 0)
            saving = last or step % recipe.checkpoint.every == 0
            stopping = alone and stop.is_set()
            if run.metrics.steps and (validating or saving or stopping or run.metrics.due()):
                stopping = _read(run, stop.is_set())
            if validating:
                validate(run)
                stopping = stopping or (alone and stop.is_set())
            progress.seconds += time.monotonic() - started
            if saving or stopping:
                _save(run)
            if stopping and not last:
                raise Stopped(f"stopped after step {step} of {recipe.steps}; {RESUMES}", stop.interrupted)
        # Again, as the last step may have been scored and saved for minutes; and all processes have to agree.
        return stop if any(gather_object([stop.is_set()])) else None


def micro_batches(objective: Objective, recipe: Recipe, first: int, accelerator: Accelerator) -> Iterator[Batch]:
    """This process's micro-batches from step `first` (from 0) on. Raises: LionError if one cannot be built."""
    each = recipe.micro_batches(accelerator.num_processes)
    loader: DataLoader[Any] = DataLoader(
        _Addresses(first, recipe.steps, each, accelerator.num_processes, accelerator.process_index),
        batch_size=None,
        collate_fn=partial(_batch_or_error, objective),
        num_workers=recipe.workers,
        pin_memory=accelerator.device.type == "cuda",
        worker_init_fn=_ignore_signals,
        generator=torch.Generator(),  # its own, or starting the loader would advance the run's random state
    )
    try:
        for batch in loader:
            if isinstance(batch, LionError):
                raise batch
            yield batch
    except (ConnectionError, EOFError) as error:
        if not recipe.workers or str(error).startswith("Caught "):  # in a worker, which lives
            raise
        raise LionError(WORKER_KILLED) from error  # while a batch was taken from it


@dataclass(frozen=True)
class _Addresses(Dataset[tuple[int, int]]):
    """(step, shard) of this process's micro-batches; millions of them in a long run, so that they are no list."""

    first: int
    steps: int
    each: int
    processes: int
    rank: int

    def __len__(self) -> int:
        return (self.steps - self.first) * self.each

    def __getitem__(self, number: int) -> tuple[int, int]:
        step, micro = divmod(number, self.each)
        return self.first + step, micro * self.processes + self.rank


def _batch_or_error(objective: Objective, address: tuple[int, int]) -> Batch | LionError:
    """The micro-batch of (step, shard); an error is returned, since raised in a worker it would carry its traceback."""
    try:
        return objective.batch(*address)
    except LionError as error:
        return error


def _ignore_signals(worker: int) -> None:
    """Ctrl-C reaches the workers as well, but without them the loop could not end its step and save."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def validate(run: Run) -> None:
    """Score on held-out samples, in the main process alone, leaving random states as they were."""
    started, device = time.monotonic(), run.accelerator.device
    model = run.parallel.whole()
    if run.accelerator.is_main_process and model:
        model.eval()
        kept = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
        with kept, torch.no_grad(), autocast(device, run.dtype):
            scores = run.objective.validate(model, lambda bad: run.log.bad_sample(run.progress.step, bad))
        how = {"decoding": run.objective.decoding} if run.objective.decoding else {}
        if settings := run.recipe.validation:
            how["questions"] = settings.model_dump_json(include={"samples", "data"})
        seconds = round(time.monotonic() - started, 2)
        run.log.write("validation", run.progress.step, {**scores, **how, "seconds": seconds})
        run.log.examples(run.progress.step, run.objective.examples())
        train_mode(run.model)
    run.accelerator.wait_for_everyone()


def _save(run: Run) -> None:
    run.log.flush()
    run.checkpoints.save(run.accelerator, run.bare_model, run.optimizers, run.progress)


def _leave_out(run: Run, batches: Iterator[Batch]) -> None:
    """Go past the micro-batches of a step that was not finite, and log the samples that made it so."""
    for _ in range(run.micro_batches):
        next(batches)
    run.progress.step += 1
    for bad in run.progress.left_out[run.progress.step]:
        run.progress.bad_samples += 1
        run.log.bad_sample(run.progress.step, BadSample(*bad))


def _step(run: Run, batches: Iterator[Batch]) -> None:
    """One optimizer step over the recipe's micro-batches."""
    recipe, progress, accelerator = run.recipe, run.progress, run.accelerator
    step = Step(progress.step + 1, learning_rate(recipe.optimizer, recipe.steps, progress.step))
    for group in (group for optimizer in run.optimizers for group in optimizer.param_groups):
        group["lr"] = step.lr * group["lr_scale"]
    try:
        for micro in range(run.micro_batches):
            started = time.monotonic()
            batch = next(batches)
            step.waited += time.monotonic() - started
            _backward(run, step, batch, last=micro == run.micro_batches - 1)
    except Exception:
        run.metrics.check()  # weights that an earlier step's loss made NaN may be the cause
        raise
    run.metrics.gauge(step, run.bare_model, run.optimizers, recipe.steps)
    norm = whole(torch.as_tensor(accelerator.clip_grad_norm_(run.model.parameters(), recipe.max_grad_norm)))
    step.values.append((NORM, norm, step.samples))
    for optimizer in run.optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    progress.step += 1
    progress.samples += len(step.samples) * accelerator.num_processes
    run.metrics.steps.append(step)


def _backward(run: Run, step: Step, batch: Batch, last: bool) -> None:
    """Forward and backward of one micro-batch; processes average their gradients with the last one."""
    batch = batch.to(run.accelerator.device)
    exchange = nullcontext() if last else run.parallel.accumulating()
    with exchange, autocast(run.accelerator.device, run.dtype), run.metrics.counting(step, batch):
        loss = run.objective.loss(run.model, batch)
        run.accelerator.backward(loss.total / run.micro_batches)
    step.add_loss(loss, batch)


def _read(run: Run, stop: bool) -> bool:
    """Log the steps since the last reading. Returns: whether a process has received a signal to stop."""
    reading = run.metrics.read(stop)
    run.progress.bad_samples += len(reading.bad)
    for number, bad in reading.bad:
        run.log.bad_sample(number, bad)
    for number, row in reading.rows:
        run.log.write("train", number, row)
    run.report(*reading.rows[-1])
    return reading.stop
