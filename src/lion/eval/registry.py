"""Which benchmark a recorded run belongs to: the one place that knows all kinds of benchmarks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lion.errors import LionError
from lion.eval.benchmark import Benchmark
from lion.eval.benchmarks import PAPER, DatasetBenchmark, groups
from lion.eval.world import WorldBenchmark


def benchmark_of(run: Mapping[str, Any], data: Path | None = None) -> Benchmark:
    """The benchmark of a recorded run; `data` is where its dataset lies now, if it has moved.

    Raises: LionError for an unknown one.
    """
    name = run.get("benchmark")
    if name == WorldBenchmark.name:
        return WorldBenchmark.of(run)
    if name in PAPER:
        return DatasetBenchmark.of(run, data)
    raise LionError(f"there is no benchmark {name!r}; there are world, {', '.join(groups())}")
