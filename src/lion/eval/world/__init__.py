"""The drawn world as a benchmark: its frozen questions, baselines, scores and report."""

from lion.eval.world.benchmark import WorldBenchmark

__all__ = ["WorldBenchmark"]
