"""What a person sees and does while a run goes on: a progress bar with the time left, and a polite stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class ProgressBar:
    """A bar on stderr: steps done, loss, samples a second, time left. Silent in all processes but the main one."""

    def __init__(self, name: str, steps: int, done: int, active: bool) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=Console(stderr=True), disable=not active, speed_estimate_period=60)
        self._task = self._bar.add_task(name, total=steps, completed=done, note="")

    def update(self, step: int, row: Mapping[str, Any]) -> None:
        """Show a step's row of the log."""
        note = f"loss {row['loss']:.3f}  {row['samples_per_second']:.0f}/s"
        self._bar.update(self._task, completed=step, note=note)

    def __enter__(self) -> ProgressBar:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()


@dataclass
class Stop:
    """Whether somebody asked the run to stop."""

    wanted: bool = False


@contextmanager
def polite_stop() -> Iterator[Stop]:
    """Turn the first Ctrl-C or SIGTERM into `wanted`, for the loop to save and leave; the second one acts as usual."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def ask(number: int, frame: FrameType | None) -> None:
        stop.wanted = True
        restore()

    for number in before:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        restore()
