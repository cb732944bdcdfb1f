"""Evaluation: benchmarks put to a model, predictions kept on disk, scores and reports made from them.

``runner`` generates predictions, ``predictions`` stores them, so that a killed run resumes and scoring needs no model.
``benchmarks`` has the paper's benchmarks, ``world`` the drawn world's; ``registry`` knows both.
"""

from lion.eval.benchmarks import PAPER, DatasetBenchmark, PaperBenchmark, named
from lion.eval.registry import benchmark_of
from lion.eval.runner import Evaluation, rescore
from lion.eval.world import WorldBenchmark

__all__ = [
    "PAPER", "DatasetBenchmark", "Evaluation", "PaperBenchmark", "WorldBenchmark", "benchmark_of", "named", "rescore",
]  # fmt: skip
