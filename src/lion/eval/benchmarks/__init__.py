"""The benchmarks: the drawn world's own, and those of the paper."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lion.errors import LionError
from lion.eval.benchmark import Benchmark
from lion.eval.benchmarks.dataset import DatasetBenchmark
from lion.eval.benchmarks.paper import PAPER, groups
from lion.eval.world.benchmark import WorldBenchmark

__all__ = ["DatasetBenchmark", "WorldBenchmark", "benchmark_of"]


def benchmark_of(run: Mapping[str, Any], data: Path | None = None) -> Benchmark:
    """The benchmark of a recorded run; `data` where its dataset lies now, if it has moved.

    Raises:
        LionError: it is none of ours.
    """
    name = run.get("benchmark")
    if name == WorldBenchmark.name:
        return WorldBenchmark.of(run)
    if name in PAPER:
        return DatasetBenchmark.of(run, data)
    raise LionError(f"there is no benchmark {name!r}; there are world, {', '.join(groups())}")
