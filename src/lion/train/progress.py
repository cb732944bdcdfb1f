"""What a person sees and does while a run goes on: a progress bar with the time left, and a polite stop."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class ProgressBars:
    """Bars on stderr, one for each run: steps done, loss, samples a second, time left.

    Args:
        shown: False in all processes but the main one.
    """

    def __init__(self, shown: bool = True) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._bars = Progress(
            *columns,
            console=Console(stderr=True),
            disable=not shown,
            speed_estimate_period=60,
            redirect_stdout=sys.stdout.isatty(),  # else what is piped elsewhere would land on stderr
        )

    def add(self, name: str, steps: int, done: int = 0) -> TaskID:
        """A bar for a run of so many steps, of which some are done."""
        return self._bars.add_task(name, total=steps, completed=done, note="")

    def update(self, bar: TaskID, step: int, row: Mapping[str, Any]) -> None:
        """Show a step's row of the log."""
        note = f"loss {row['loss']:.3f}  {row['samples_per_second']:.0f}/s"
        self._bars.update(bar, completed=step, note=note)

    def remove(self, bar: TaskID) -> None:
        """Take a bar away."""
        self._bars.remove_task(bar)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Off the screen, where something else has to be shown for a while."""
        self._bars.stop()
        yield
        self._bars.start()

    def __enter__(self) -> ProgressBars:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()


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
