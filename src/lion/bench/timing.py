"""Stopwatch and memory gauge: runs in turn, medians with their spread, and the largest memory in use."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Self

import torch

ROUNDS = 3
"""Rounds that are measured however long they take, unless they take many times what was granted."""
MOST_ROUNDS = 200


@dataclass(frozen=True, slots=True)
class Spread:
    """A measured number: the median of its repeats, the lowest and the highest."""

    median: float
    low: float
    high: float
    repeats: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Sum up one or more repeats."""
        return cls(median(values), min(values), max(values), len(values))

    def per(self, amount: float) -> Self:
        """Seconds to a rate: ``amount`` in so many seconds, per second."""
        return type(self)(amount / self.median, amount / self.high, amount / self.low, self.repeats)


def stopwatch(run: Callable[[], object], device: torch.device) -> float:
    """Seconds that a call takes, a GPU's work included."""
    begin = perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter() - begin


def take_turns(
    runs: Mapping[str, Callable[[], object]], seconds: float, device: torch.device
) -> dict[str, list[float]]:
    """Run each of ``runs`` once to warm up, then all in turn (A B A B), and return the seconds of every round.

    Args:
        runs: what to measure, by name.
        seconds: to spend on rounds; at least three are run, fewer only where that takes three times as long.
        device: where they run; a GPU is waited for.
    """
    for run in runs.values():
        stopwatch(run, device)
    taken: dict[str, list[float]] = {name: [] for name in runs}
    spent = 0.0
    for rounds in range(1, MOST_ROUNDS + 1):
        for name, run in runs.items():
            taken[name].append(stopwatch(run, device))
            spent += taken[name][-1]
        if spent >= seconds * (1 if rounds >= ROUNDS else ROUNDS):
            break
    return taken


def ratio(dividend: Sequence[float], divisor: Sequence[float]) -> Spread:
    """How many times as long one run took as the other, round by round."""
    return Spread.of([over / under for over, under in zip(dividend, divisor, strict=True)])


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch compute with so many threads of the CPU for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class MemoryGauge:
    """The largest memory in use since it was made, in bytes: the process's own, or the GPU's where the model is there.

    Where the system cannot forget earlier peaks (elsewhere than on Linux), it is the largest of the process's life.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            return
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")

    def peak(self) -> int:
        """Bytes."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        try:
            lines = Path("/proc/self/status").read_text().splitlines()
        except OSError:
            import resource  # not on Windows

            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
