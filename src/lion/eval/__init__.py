"""Evaluation: predictions of a model on benchmarks, kept on disk; scores and reports of them.

``runner`` generates predictions, ``predictions`` stores them, so that a killed run resumes and scoring needs no model.
``benchmarks`` has the paper's benchmarks, ``world`` the drawn world's.
"""

from lion.eval.benchmarks.dataset import DatasetBenchmark
from lion.eval.benchmarks.paper import PAPER, PaperBenchmark, named
from lion.eval.runner import Evaluation, benchmark_of, rescore
from lion.eval.world.benchmark import WorldBenchmark

__all__ = [
    "PAPER", "DatasetBenchmark", "Evaluation", "PaperBenchmark", "WorldBenchmark", "benchmark_of", "named", "rescore",
]  # fmt: skip
