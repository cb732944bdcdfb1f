"""Runs a benchmark: generates the predictions that are missing, and scores them; scoring again needs no model."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from lion.atomic import atomic_write, atomic_write_json
from lion.distributed import Processes
from lion.errors import LionError
from lion.eval.benchmark import Benchmark
from lion.eval.benchmarks.dataset import DatasetBenchmark
from lion.eval.predictions import SKIPPED, Prediction, Predictions
from lion.eval.questions import QuestionSet
from lion.eval.world.benchmark import WorldBenchmark
from lion.pipeline import LionPipeline
from lion.pipeline.fingerprint import model_fingerprint
from lion.provenance import commit, hardware, versions
from lion.tagging import TagFile

UNSTABLE = ("data", "date", "hardware", "seconds", "tags_from")
"""Keys of run.json in which two equal runs may differ; scores.json leaves them out."""


class _Group(NamedTuple):
    """Batches of questions about the same images."""

    questions: QuestionSet
    batches: list[list[int]]
    missing: set[int]
    """The questions without a prediction; emptied as they are answered."""


class Evaluation:
    """One model on one benchmark, with its predictions in one folder.

    Args:
        pipeline: the model; its `batch_size` is the number of questions answered together.
        benchmark: the questions and their scoring.
        folder: where predictions and scores go; if it holds some of the same run, that run is resumed.
        blind: also answer every question with a grey image and without tags.
        processes: those that share the work; each has a pipeline of its own.

    Raises: LionError if the folder holds predictions of another model or other settings, or other files, or another
        process writes there.
    """

    def __init__(
        self,
        pipeline: LionPipeline,
        benchmark: Benchmark,
        folder: str | Path,
        *,
        blind: bool = False,
        processes: Processes | None = None,
    ) -> None:
        self.pipeline, self.benchmark, self.processes = pipeline, benchmark, processes or Processes()
        self.predictions = Predictions(folder, self.processes.rank)
        if self.processes.main:
            self.predictions.claim(_run(pipeline, benchmark, blind))
        self.processes.wait()
        self._todo: list[_Group] = []
        for questions in benchmark.question_sets(pipeline, blind=self.predictions.run()["blind_run"]):
            found = self.predictions.read(questions.name)
            # A skipped question may have been repaired since.
            missing = {i for i, key in enumerate(questions.ids) if key not in found or SKIPPED in found[key]}
            for batches in questions.batch_groups(pipeline.batch_size)[self.processes.rank :: self.processes.count]:
                self._todo.append(_Group(questions, batches, missing.intersection(chain.from_iterable(batches))))

    @property
    def pending(self) -> int:
        """Number of this process's questions without a prediction."""
        return sum(len(group.missing) for group in self._todo)

    def predict(self, progress: Callable[[int], None] = lambda count: None) -> None:
        """Generate the missing predictions and store them batch by batch, reporting the number of each to `progress`.

        A batch with some predictions missing is answered whole, and images are encoded together as before: in the last
        bit an answer can depend on its batch. Raises: LionError for a question that the model cannot take.
        """
        todo = [group for group in self._todo if group.missing]
        for name in {group.questions.name for group in todo}:
            self.predictions.repair(name)
        for questions, batches, missing in todo:
            start = time.perf_counter()
            questions.look(self.pipeline, list(chain.from_iterable(batches)))
            for indices in batches:
                if missing.isdisjoint(indices):
                    continue
                answers = questions.answer(self.pipeline, indices)
                seconds = round((time.perf_counter() - start) / len(indices), 4)
                predictions = [
                    {"id": questions.ids[index], **answer, "seconds": seconds}
                    for index, answer in zip(indices, answers, strict=True)
                    if index in missing
                ]
                self.predictions.append(questions.name, predictions)
                missing.difference_update(indices)
                progress(len(predictions))
                start = time.perf_counter()

    def finish(self) -> dict[str, Any] | None:
        """Wait for all processes; the main one scores as `rescore` does, the others return None."""
        self.processes.wait()
        if not self.processes.main:
            return None
        with self.predictions.lock:
            return _score(self.predictions, self.benchmark)


def rescore(folder: str | Path, data: Path | None = None) -> dict[str, Any]:
    """Score the predictions in a run's folder, without a model; its dataset is in `data` if it was moved.

    Returns: the contents of scores.json, which is written there, and of run.json, with the `seconds` of generation.

    Raises: LionError if the folder holds no predictions, too few, or those of questions that have changed since.
    """
    predictions = Predictions(folder)
    run = predictions.run()
    benchmark = benchmark_of(run, data)
    if benchmark.settings != run["settings"]:
        raise LionError(
            f"{folder}: the questions have changed since they were answered; run it again with another --out"
        )
    return _score(predictions, benchmark)


def benchmark_of(run: Mapping[str, Any], data: Path | None = None) -> Benchmark:
    """The benchmark of a recorded run, its dataset in `data` if it was moved. Raises: LionError for an unknown one."""
    if run.get("benchmark") == WorldBenchmark.name:
        return WorldBenchmark.of(run)
    return DatasetBenchmark.of(run, data)


def _score(predictions: Predictions, benchmark: Benchmark) -> dict[str, Any]:
    run = predictions.run()
    read: dict[str, dict[str, Prediction]] = {}

    def read_once(name: str) -> dict[str, Prediction]:
        if name not in read:
            read[name] = predictions.read(name)
        return read[name]

    result = benchmark.score(read_once, blind=run["blind_run"])
    record = {
        **run,
        **result.facts,
        "seconds": round(sum(one["seconds"] for found in read.values() for one in found.values()), 1),
        "scores": {
            name: {**score.to_json(), **result.references.get(name, {})} for name, score in result.scores.items()
        },
    }
    files = result.files(record)
    for stale in {f"results/{path.name}" for path in (predictions.folder / "results").glob("*")} - set(files):
        (predictions.folder / stale).unlink()
    for name, text in files.items():
        atomic_write(predictions.folder / name, text)
    stable = {key: value for key, value in record.items() if key not in UNSTABLE}
    atomic_write_json(predictions.folder / "scores.json", stable)
    return record


def _run(pipeline: LionPipeline, benchmark: Benchmark, blind: bool) -> dict[str, Any]:
    """The contents of run.json."""
    return {
        "benchmark": benchmark.name,
        "model": pipeline.name,
        "model_fingerprint": model_fingerprint(pipeline, benchmark.max_prompt_tokens(pipeline)),
        "settings": benchmark.settings,
        "limit": benchmark.limit,
        "blind_run": blind,
        "tagger": pipeline.tagger is not None,
        "tags_from": pipeline.tagger.name if isinstance(pipeline.tagger, TagFile) else None,
        "decoding": {str(task): preset.to_json() for task, preset in benchmark.decoding(pipeline).items()},
        **benchmark.notes,
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware(pipeline.model.device),
        "versions": versions(),
    }
