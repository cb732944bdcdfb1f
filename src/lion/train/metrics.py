"""The numbers of each step, which are read from the device every few steps, and how fast the steps were.

Reading a number makes the host wait for the device, and an exchange makes processes wait for each other.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn

from lion.data.sample import BadSample
from lion.errors import LionError
from lion.train import gauges
from lion.train.objective import Batch, Loss

READ_EVERY = 5
"""Steps between two readings."""
READ_SECONDS = 1.0
"""Seconds after which a single process reads although fewer steps are done."""
GATES = 200
"""Most rows of a run with the router's gates: a large model has hundreds of them."""
COUNT_EVERY = 100
"""Steps between two whose arithmetic is counted."""
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
    tokens: int = 0
    waited: float = 0.0
    """Seconds until the batches were there."""
    extra: list[tuple[gauges.Keys, Tensor]] = field(default_factory=list)
    """Places in the row, and their numbers on the device; the same in all processes."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """Learning rates of components that have another than `lr`."""
    read: Mapping[str, Any] = field(default_factory=dict)
    """What `extra` and `rates` have become in the row."""

    def add_loss(self, loss: Loss, batch: Batch) -> None:
        """Note the loss of a micro-batch."""
        self.samples += batch.ids
        self.tokens += batch.tokens
        self.bad += batch.bad
        self.values += [(LOSS, loss.total.detach(), batch.ids), *((*part, ()) for part in loss.per_task.items())]


class Reading(NamedTuple):
    """Steps over all processes: (step, row of train.jsonl), (step, bad sample), and whether a process has to stop."""

    rows: list[tuple[int, dict[str, Any]]]
    bad: list[tuple[int, BadSample]]
    stop: bool


class StepMetrics:
    """The steps since the last reading; `terms` are the names that `Loss.per_task` can hold.

    `peak`: operations a second of this process's device, as `gauges.peak_flops`.
    """

    def __init__(self, terms: Sequence[str], accelerator: Accelerator, peak: float | None = None) -> None:
        self.accelerator, self.peak, self.steps = accelerator, peak, list[Step]()
        self._columns = {name: 2 * column for column, name in enumerate((LOSS, NORM, *map(str, terms)))}
        self._flops, self._counted = 0, 0

    def gauge(self, step: Step, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer], last: int) -> None:
        """Note gradient norms and gates now and then, before gradients are clipped; `last`: the run's last step."""
        if step.number % READ_EVERY and step.number not in (1, last):
            return
        step.rates = gauges.learning_rates(optimizers, step.lr)
        found = [gauges.gradient_norms(optimizers)]
        apart = READ_EVERY * -(-last // (GATES * READ_EVERY))
        if step.number % apart == 0 or step.number in (1, last):
            found.append(gauges.gates(model))
        step.extra = [one for one in found if one]

    def counting(self, step: Step, batch: Batch) -> AbstractContextManager[Any]:
        """Around a pass: counts its arithmetic in some steps where the device's speed is known, for the MFU."""
        if self.peak is None or (self._counted and step.number % COUNT_EVERY):
            return nullcontext()
        return self._count(len(batch.ids))

    @contextmanager
    def _count(self, samples: int) -> Iterator[None]:
        with gauges.FlopCount() as count:
            yield
        self._flops, self._counted = self._flops + count.flops, self._counted + samples

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
        tokens, waited = sum(step.tokens for step in self.steps), sum(step.waited for step in self.steps)
        if processes > 1:
            own = [float(stop), float(len(bad)), float(tokens), waited, *chain(*table)]
            dtype = torch.float32 if device.type == "mps" else torch.float64  # MPS has no float64
            sums: Any = self.accelerator.reduce(torch.tensor(own, dtype=dtype, device=device))
            stops, any_bad, tokens, waited, *rest = sums.tolist()
            stop, width = stops > 0, len(table[0])
            table = [rest[start : start + width] for start in range(0, len(rest), width)]
            bad = sorted(gather_object(bad), key=lambda each: each[0]) if any_bad else []
        speed = self._speed(tokens, waited)
        rows = [
            (step.number, {**self._row(step.lr, sums), **speed, **step.read})
            for step, sums in zip(self.steps, table, strict=True)
        ]
        self.steps = []
        return Reading(rows, bad, stop)

    def _speed(self, tokens: float, waited: float) -> dict[str, float]:
        """What the steps since the last reading have in common; `tokens` and seconds `waited` are of all processes."""
        seconds, processes = time.monotonic() - self.steps[0].started, self.accelerator.num_processes
        rate = processes * sum(len(step.samples) for step in self.steps) / seconds
        speed = {"samples_per_second": round(rate, 1)}
        if tokens:
            speed["tokens_per_second"] = round(tokens / seconds, 1)
        speed["input_wait"] = round(waited / processes / seconds, 4)
        if self.peak and self._counted:
            speed["mfu"] = round(self._flops / self._counted * rate / (self.peak * processes), 4)
        if memory := gauges.peak_memory(self.accelerator.device):
            speed["peak_memory_gb"] = round(memory / 1e9, 3)
        return speed

    def check(self) -> list[list[float]]:
        """For each step of this process: [losses' sum, count, norm, 1, a term's sum, count, ...]. Raises: as `read`."""
        scalars = [scalar.float().reshape(1) for step in self.steps for _, scalar, _ in step.values]
        gauged = [tensor for step in self.steps for _, tensor in step.extra]
        numbers = iter(torch.cat([*scalars, *gauged]).tolist() if scalars else ())
        table = []
        for step in self.steps:
            sums = [0.0] * 2 * len(self._columns)
            for (name, _, samples), number in zip(step.values, numbers, strict=False):
                if name in (LOSS, NORM) and not math.isfinite(number):
                    raise NotFinite(name, number, step.number, samples)
                sums[self._columns[name]] += number
                sums[self._columns[name] + 1] += 1
            table.append(sums)
        for step in self.steps:
            step.read = _nested(step, numbers)
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

    def _row(self, lr: float, sums: Sequence[float]) -> dict[str, Any]:
        means = {name: sums[at] / sums[at + 1] for name, at in self._columns.items() if sums[at + 1]}
        loss, norm = means.pop(LOSS), means.pop(NORM)
        return {"loss": loss, "per_task": means, "lr": lr, "grad_norm": norm}


def _nested(step: Step, numbers: Iterator[float]) -> dict[str, Any]:
    """The gauges of a step, which are the next of `numbers`, as its row holds them."""
    found: dict[str, Any] = {"lrs": {name: _short(rate) for name, rate in step.rates.items()}} if step.rates else {}
    for keys, _ in step.extra:
        for (*path, name), number in zip(keys, numbers, strict=False):
            place = found
            for key in path:
                place = place.setdefault(key, {})
            place[name] = _short(number)
    return found


def _short(number: float) -> float:
    return float(f"{number:.5g}")


class NotFinite(LionError):
    """A step's loss or gradient norm is NaN or infinite. `everywhere`: whether all processes of the run raise it."""

    def __init__(self, name: str, number: float, step: int, samples: Sequence[str], everywhere: bool = False) -> None:
        self.name, self.number, self.step, self.samples, self.everywhere = name, number, step, samples, everywhere
        shown = ", ".join(samples[:8]) + (f" and {len(samples) - 8} more" if len(samples) > 8 else "")
        super().__init__(
            f"step {step}: the {name} is {number}; lower optimizer.lr, leave such steps out (checkpoint.rewinds=1), or "
            f"check the batch's samples: {shown}"
        )
