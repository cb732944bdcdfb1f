"""Two models on the same questions: the difference of their scores, paired question by question, with its interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from lion.errors import LionError
from lion.eval.benchmarks.dataset import DatasetBenchmark
from lion.eval.predictions import Predictions, run_folders
from lion.eval.world.benchmark import WorldBenchmark
from lion.metrics.statistics import FEWEST, mean

_95 = 1.96
"""Standard errors on each side of a mean within which 95 of 100 normal ones lie."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A score of two runs on the samples that both have answered; all numbers times 100."""

    benchmark: str
    score: str
    run: str
    """Model and folder."""
    against: str
    """Model and folder of the run that is subtracted."""
    value: float
    value_against: float
    difference: float
    interval: tuple[float, float] | None
    """Of the difference, 95 %, from paired samples; None for a score that is no mean over samples, or too few."""
    n: int
    """Samples in common."""

    @property
    def shown(self) -> str:
        """The difference and its interval."""
        between = "" if self.interval is None else f" [{self.interval[0]:+.2f}, {self.interval[1]:+.2f}]"
        return f"{self.difference:+.2f}{between}"


def compare(folder: str | Path, against: str | Path, data: Path | None = None) -> list[Difference]:
    """The scores of the run in `folder` less those of the run in `against`; the dataset is in `data` if it was moved.

    Raises: LionError if the two did not answer the same questions, or a folder holds no run.
    """
    one, other = Predictions(folder), Predictions(against)
    run, earlier = one.run(), other.run()
    if not comparable(run, earlier):
        raise LionError(
            f"{against} ({earlier['benchmark']}) and {folder} ({run['benchmark']}) hold answers to other questions, or "
            "to those of a file that has changed since; answer the same file with both models"
        )
    benchmark = DatasetBenchmark.of({**run, "limit": None}, data)
    scored, others, places = benchmark.paired(one.read, other.read)
    found = []
    for name in benchmark.paper.headline:
        if name not in scored.scores or name not in others.scores:
            continue
        value, before = 100 * scored.scores[name].value, 100 * others.scores[name].value
        interval = None
        if name in scored.values and len(places) >= FEWEST:
            paired = mean([100 * (scored.values[name][at] - others.values[name][at]) for at in places])
            margin = _95 * paired.standard_error
            interval = (paired.value - margin, paired.value + margin)
        model, earlier_model = f"{run['model']} ({folder})", f"{earlier['model']} ({against})"
        numbers = (value, before, value - before, interval, len(places))
        found.append(Difference(benchmark.title, name, model, earlier_model, *numbers))
    return found


def comparable(run: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two runs answered questions of the same benchmark from the same files; not those of the drawn world."""
    same = run["benchmark"] == other["benchmark"] != WorldBenchmark.name
    return same and run["settings"]["data_hashes"] == other["settings"]["data_hashes"]


def runs_of(benchmark: DatasetBenchmark, folder: Path) -> Path:
    """The run in a folder, or one level below it, that answered the benchmark's questions.

    Raises: LionError if there is none, or more than one.
    """
    own = {"benchmark": benchmark.name, "settings": benchmark.settings}
    found = [path for path in run_folders([folder]) if comparable(own, Predictions(path).run())]
    if len(found) != 1:
        many = f"{len(found)} runs" if found else "no run"
        raise LionError(f"{folder} holds {many} of {benchmark.name} on the same file; name the folder of one run")
    return found[0]


def compare_all(runs: Sequence[tuple[Path, Mapping[str, Any]]], data: Path | None = None) -> list[Difference]:
    """The differences of every later run from every earlier one that it can be compared with."""
    pairs = [pair for pair in combinations(runs, 2) if comparable(pair[0][1], pair[1][1])]
    return [found for (earlier, _), (later, _) in pairs for found in compare(later, earlier, data)]


def table(differences: Sequence[Difference]) -> list[list[str]]:
    """Names of the columns, and a row for each."""
    header = ["benchmark", "score", "model", "against", "its score", "against's", "difference [95 %]", "samples"]
    rows = [
        [
            one.benchmark,
            one.score,
            one.run,
            one.against,
            f"{one.value:.2f}",
            f"{one.value_against:.2f}",
            one.shown,
            str(one.n),
        ]
        for one in differences
    ]
    return [header, *rows]
