"""Benchmarks: ask a model questions with known answers, keep what it says, score it, and write down how it did.

`benchmarks/` knows what to ask and how to score it: the drawn world's questions, and the paper's benchmarks as a table;
`predictions` keeps the answers on disk, so that a killed run goes on and scoring needs no model; `runner` asks.
"""

from lion.distributed import Processes
from lion.eval.benchmarks import DatasetBenchmark, WorldBenchmark, benchmark_of
from lion.eval.benchmarks.paper import PAPER, PaperBenchmark, named
from lion.eval.runner import Evaluation, rescore
from lion.eval.score import Score

__all__ = [
    "PAPER",
    "DatasetBenchmark",
    "Evaluation",
    "PaperBenchmark",
    "Processes",
    "Score",
    "WorldBenchmark",
    "benchmark_of",
    "named",
    "rescore",
]
