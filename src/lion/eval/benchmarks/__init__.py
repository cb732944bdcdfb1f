"""The benchmarks of the paper, as a table, on the datasets' original files."""

from lion.eval.benchmarks.dataset import DatasetBenchmark
from lion.eval.benchmarks.paper import PAPER, PaperBenchmark, groups, named

__all__ = ["PAPER", "DatasetBenchmark", "PaperBenchmark", "groups", "named"]
