"""The paper's benchmarks on the drawn world, written in each dataset's format and evaluated as the real data is."""

from collections.abc import Callable
from pathlib import Path

from lion.data.writers import FORMATS, write_as
from lion.eval.benchmarks.dataset import DatasetBenchmark
from lion.eval.benchmarks.paper import PAPER

_MIN_SCENES = 24
"""With fewer a split of RefCOCO may be empty."""


def draw(data: Path, limit: int, progress: Callable[[], None]) -> None:
    """Write `limit` samples of the world's test split in every format that `data` lacks, reporting each image drawn."""
    for name in FORMATS:
        if not (data / name).exists():
            write_as(name, data, max(limit, _MIN_SCENES), split="test", progress=progress)


def benchmarks(data: Path, limit: int) -> list[DatasetBenchmark]:
    """The benchmarks on `draw`'s files, with prompts that every LION is tuned on."""
    return [
        DatasetBenchmark(paper, data, limit, paper.tuned_prompt, drawn=True)
        for paper in PAPER.values()
        if paper.dataset in FORMATS and paper.split in FORMATS[paper.dataset][1]["test"].split(", ")
    ]
