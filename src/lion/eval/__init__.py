"""Evaluation: predictions of a model on benchmarks, kept on disk; scores and reports of them.

``runner`` generates predictions, ``predictions`` stores them, so that a killed run resumes and scoring needs no model.
``benchmarks`` has the paper's benchmarks and files of your own, ``world`` the drawn world's; ``comparison`` sets two
models side by side.
"""

from lion.eval.benchmarks.dataset import DatasetBenchmark
from lion.eval.benchmarks.own import is_file
from lion.eval.benchmarks.paper import PAPER, PaperBenchmark, named
from lion.eval.comparison import Difference, compare
from lion.eval.runner import Evaluation, benchmark_of, rescore
from lion.eval.world.benchmark import WorldBenchmark

__all__ = [
    "PAPER", "DatasetBenchmark", "Difference", "Evaluation", "PaperBenchmark", "WorldBenchmark", "benchmark_of",
    "compare", "is_file", "named", "rescore",
]  # fmt: skip
