"""The benchmarks by name, a file each."""

from collections.abc import Mapping

from lion.eval.benchmark import Benchmark
from lion.eval.benchmarks.world import WorldBenchmark

BENCHMARKS: Mapping[str, type[Benchmark]] = {WorldBenchmark.name: WorldBenchmark}
"""What ``lion eval`` can ask."""
