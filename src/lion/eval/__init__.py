"""Benchmarks: ask a model questions with known answers, keep what it says, score it, and write down how it did.

`benchmarks/<name>.py` knows what to ask and how to score it; `predictions` keeps the answers on disk, so that a killed
run goes on and scoring needs no model; `runner` asks; `report` writes scores.json and report.md.
"""

from lion.eval.benchmarks import BENCHMARKS
from lion.eval.benchmarks.world import WorldBenchmark
from lion.eval.runner import Evaluation, rescore
from lion.eval.score import Score

__all__ = ["BENCHMARKS", "Evaluation", "Score", "WorldBenchmark", "rescore"]
