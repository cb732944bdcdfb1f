"""Every benchmark on the drawn world: its pictures in each dataset's files, asked as the real ones are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lion.data.writers import FORMATS, write_as
from lion.eval.benchmarks import DatasetBenchmark
from lion.eval.benchmarks.paper import ROWS

_SPLIT = "test"
_LEAST = 24
"""Fewer scenes may leave a split of RefCOCO empty."""


def draw(data: Path, limit: int, progress: Callable[[], None]) -> None:
    """Write the world's test split in every format; those that are there already stay as they are.

    Args:
        data: the folder that they lie in.
        limit: samples of each benchmark.
        progress: called after each picture.
    """
    for name in FORMATS:
        if not (data / name).exists():
            write_as(name, data, max(limit, _LEAST), split=_SPLIT, progress=progress)


def benchmarks(data: Path, limit: int) -> list[DatasetBenchmark]:
    """What can be asked of `draw`'s files, in words that every LION is tuned on."""
    return [
        DatasetBenchmark(row, data, limit, row.tuned_prompt, drawn=True)
        for row in ROWS
        if row.dataset in FORMATS and row.split in FORMATS[row.dataset][1][_SPLIT].split(", ")
    ]
