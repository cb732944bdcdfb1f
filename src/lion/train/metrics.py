"""Losses and gradient norms, which are read from the device every few steps.

Reading a number makes the host wait for the device, and an exchange makes processes wait for each other.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

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
LOSS, NORM = "loss", "gradient norm"


@dataclass
class Step:
    """One optimizer step of this process; `number` counts from 1."""

    number: int
    lr: float
    started: float = field(default_factory=time.monotonic)
    samples: list[str] = field(default_factory=list)
    bad: list[BadSample] = field(default_factory=list)
    values: list[tuple[str, Tensor, Sequence[str]]] = field(default_factory=list)
    """Name of a number, the number as a scalar on the device, and the samples it was computed from."""

    def add_loss(self, loss: Loss, batch: Batch) -> None:
        """Note the loss of a micro-batch."""
        self.samples += batch.ids
        self.bad += batch.bad
        self.values += [(LOSS, loss.total.detach(), batch.ids), *((*part, ()) for part in loss.per_task.items())]


class Reading(NamedTuple):
    """Steps over all processes: (step, row of train.jsonl), (step, bad sample), and whether a process has to stop."""

    rows: list[tuple[int, dict[str, Any]]]
    bad: list[tuple[int, BadSample]]
    stop: bool


class StepMetrics:
    """The steps since the last reading; `terms` are the names that `Loss.per_task` can hold."""

    def __init__(self, terms: Sequence[str], accelerator: Accelerator) -> None:
        self.accelerator, self.steps = accelerator, list[Step]()
        self._columns = {name: 2 * column for column, name in enumerate((LOSS, NORM, *map(str, terms)))}

    def due(self) -> bool:
        """Whether to read now; equal in all processes."""
        slow = self.accelerator.num_processes == 1 and time.monotonic() - self.steps[0].started > READ_SECONDS
        return slow or self.steps[-1].number % READ_EVERY == 0

    def read(self, stop: bool) -> Reading:
        """Read the steps; every process has to call this after the same one. `stop`: whether this one has to stop.

        Raises: NotFinite, in all of them, if a loss or gradient norm of any process is NaN or infinite.
        """
        table, device, processes = self._agree(), self.accelerator.device, self.accelerator.num_processes
        bad = [(step.number, bad) for step in self.steps for bad in step.bad]
        if processes > 1:
            numbers = [float(stop), float(len(bad)), *chain(*table)]
            dtype = torch.float32 if device.type == "mps" else torch.float64  # MPS has no float64
            sums: Any = self.accelerator.reduce(torch.tensor(numbers, dtype=dtype, device=device))
            stops, any_bad, *rest = sums.tolist()
            stop, width = stops > 0, len(table[0])
            table = [rest[start : start + width] for start in range(0, len(rest), width)]
            bad = sorted(gather_object(bad), key=lambda each: each[0]) if any_bad else []
        seconds = time.monotonic() - self.steps[0].started
        speed = round(processes * sum(len(step.samples) for step in self.steps) / seconds, 1)
        rows = [(step.number, self._row(step.lr, sums, speed)) for step, sums in zip(self.steps, table, strict=True)]
        self.steps = []
        return Reading(rows, bad, stop)

    def check(self) -> list[list[float]]:
        """For each step of this process: [losses' sum, count, norm, 1, a term's sum, count, ...]. Raises: as `read`."""
        scalars = [scalar.float() for step in self.steps for _, scalar, _ in step.values]
        numbers = iter(torch.stack(scalars).tolist() if scalars else ())
        table = []
        for step in self.steps:
            sums = [0.0] * 2 * len(self._columns)
            for (name, _, samples), number in zip(step.values, numbers, strict=False):
                if name in (LOSS, NORM) and not math.isfinite(number):
                    raise NotFinite(name, number, step.number, samples)
                sums[self._columns[name]] += number
                sums[self._columns[name] + 1] += 1
            table.append(sums)
        return table

    def _agree(self) -> list[list[float]]:
        """`check`, but every process raises if one has to: of the first step, and rather a loss than the norm."""
        found: list[tuple[int, bool, str, float, Sequence[str]]] = []
        table = list[list[float]]()
        try:
            table = self.check()
        except NotFinite as error:
            found = [(error.step, error.name != LOSS, error.name, error.number, error.samples)]
        if self.accelerator.num_processes > 1:
            flag: Any = torch.tensor([float(len(found))], device=self.accelerator.device)
            if not self.accelerator.reduce(flag).item():
                return table
            found = gather_object(found)
        if found:
            step, _, name, number, samples = min(found, key=lambda each: each[:2])
            raise NotFinite(name, number, step, samples, everywhere=True)
        return table

    def _row(self, lr: float, sums: Sequence[float], speed: float) -> dict[str, Any]:
        means = {name: sums[at] / sums[at + 1] for name, at in self._columns.items() if sums[at + 1]}
        loss, norm = means.pop(LOSS), means.pop(NORM)
        return {"loss": loss, "per_task": means, "lr": lr, "grad_norm": norm, "samples_per_second": speed}


class NotFinite(LionError):
    """A step's loss or gradient norm is NaN or infinite. `everywhere`: whether all processes of the run raise it."""

    def __init__(self, name: str, number: float, step: int, samples: Sequence[str], everywhere: bool = False) -> None:
        self.name, self.number, self.step, self.samples, self.everywhere = name, number, step, samples, everywhere
        shown = ", ".join(samples[:8]) + (f" and {len(samples) - 8} more" if len(samples) > 8 else "")
        super().__init__(
            f"step {step}: the {name} is {number}; lower optimizer.lr, leave such steps out (checkpoint.rewinds=1), or "
            f"check the batch's samples: {shown}"
        )
