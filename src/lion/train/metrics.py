"""Losses and gradient norms of the steps: they stay on the device for some steps and are then read all at once.

Reading a number makes the host wait until the device has computed it, and an exchange makes processes wait for each
other; both once in some steps let the host run ahead.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from lion.data.sample import BadSample
from lion.errors import LionError
from lion.train.objective import Batch, Loss

READ_EVERY = 5
"""Steps between two readings."""
READ_SECONDS = 1.0
"""Seconds after which a single process reads although fewer steps are done."""
_LOSS, _NORM = "loss", "gradient norm"


@dataclass
class Step:
    """One optimizer step of this process."""

    number: int
    """Counted from 1."""
    lr: float
    samples: list[str] = field(default_factory=list)
    bad: list[BadSample] = field(default_factory=list)
    values: list[tuple[str, Tensor, Sequence[str]]] = field(default_factory=list)
    """Name of a number, the number as a scalar on the device, and the samples it was computed from."""
    seconds: float = 0.0
    """Time that the host spent on the step."""

    def add_loss(self, loss: Loss, batch: Batch) -> None:
        """Note the loss of a micro-batch."""
        self.samples += batch.ids
        self.bad += batch.bad
        self.values += [(_LOSS, loss.total.detach(), batch.ids), *((*part, ()) for part in loss.per_task.items())]

    def add_norm(self, norm: Tensor) -> None:
        """Note the norm of the step's gradients."""
        self.values.append((_NORM, norm.detach(), self.samples))


@dataclass(frozen=True)
class Reading:
    """The steps since the reading before, over all processes."""

    rows: list[tuple[int, dict[str, Any]]]
    """Steps and their rows of train.jsonl; `samples_per_second` is the mean over these steps."""
    bad: list[tuple[int, BadSample]]
    """Steps and their bad samples."""
    stop: bool
    """Whether any process has received a signal to stop."""


class StepMetrics:
    """The steps since the last reading.

    Args:
        terms: every name that `Loss.per_task` can hold.
        accelerator: gives device and processes.
    """

    def __init__(self, terms: Sequence[str], accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        self._columns = {name: column for column, name in enumerate((_LOSS, _NORM, *terms))}
        self._steps: list[Step] = []
        self._read_at = time.monotonic()

    def add(self, step: Step) -> None:
        """Keep a step until the next reading."""
        self._steps.append(step)

    def due(self, step: int) -> bool:
        """Whether to read after step number `step`; equal in all processes."""
        slow = self.accelerator.num_processes == 1 and time.monotonic() - self._read_at > READ_SECONDS
        return step % READ_EVERY == 0 or slow

    def read(self, stop: bool) -> Reading:
        """Read the steps; every process has to call this after the same step.

        Args:
            stop: whether this process has received a signal to stop.

        Raises:
            LionError: a loss or gradient norm of this process is NaN or infinite.
        """
        started, steps, processes = time.monotonic(), self._steps, self.accelerator.num_processes
        table = self.check()
        bad = [(step.number, bad) for step in steps for bad in step.bad]
        if processes > 1 and steps:
            numbers = [float(stop), float(len(bad)), *chain(*table)]
            dtype = torch.float32 if self.accelerator.device.type == "mps" else torch.float64  # MPS has no float64
            sums: Any = self.accelerator.reduce(torch.tensor(numbers, dtype=dtype, device=self.accelerator.device))
            stops, found, *rest = sums.tolist()
            stop, width = stops > 0, len(table[0])
            table = [rest[start : start + width] for start in range(0, len(rest), width)]
            if found:
                bad = sorted(gather_object(bad), key=lambda each: each[0])
        self._steps, self._read_at = [], time.monotonic()
        seconds = sum(step.seconds for step in steps) + self._read_at - started
        speed = round(processes * sum(len(step.samples) for step in steps) / seconds, 1)
        rows = [(step.number, self._row(step.lr, sums, speed)) for step, sums in zip(steps, table, strict=True)]
        return Reading(rows, bad, stop)

    def check(self) -> list[list[float]]:
        """Sum and count of every column, for each step of this process: [loss, count, norm, count, term, count, ...].

        Raises:
            LionError: a loss or gradient norm is NaN or infinite; names the first such step and its samples.
        """
        scalars = [scalar.float() for step in self._steps for _, scalar, _ in step.values]
        numbers = iter(torch.stack(scalars).tolist() if scalars else ())
        table = []
        for step in self._steps:
            sums = [0.0] * 2 * len(self._columns)
            for (name, _, samples), number in zip(step.values, numbers, strict=False):
                if name in (_LOSS, _NORM) and not math.isfinite(number):
                    raise LionError(_not_finite(name, number, step.number, samples))
                column = 2 * self._columns[name]
                sums[column] += number
                sums[column + 1] += 1
            table.append(sums)
        return table

    def _row(self, lr: float, sums: Sequence[float], speed: float) -> dict[str, Any]:
        means = {
            name: sums[2 * column] / count for name, column in self._columns.items() if (count := sums[2 * column + 1])
        }
        loss, norm = means.pop(_LOSS), means.pop(_NORM)
        return {"loss": loss, "per_task": means, "lr": lr, "grad_norm": norm, "samples_per_second": speed}


def _not_finite(name: str, number: float, step: int, samples: Sequence[str]) -> str:
    shown = ", ".join(samples[:8]) + (f" and {len(samples) - 8} more" if len(samples) > 8 else "")
    return f"step {step}: the {name} is {number}; lower optimizer.lr, or look at the batch's samples: {shown}"
