"""Asking a benchmark's questions: what is answered already is not asked again, and scoring needs no model."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lion.atomic import atomic_write, atomic_write_json
from lion.distributed import Processes
from lion.errors import LionError
from lion.eval.batches import Batch, plan
from lion.eval.benchmark import Benchmark, Part
from lion.eval.benchmarks import benchmark_of
from lion.eval.predictions import SKIPPED, Predictions
from lion.pipeline import LionPipeline
from lion.provenance import commit, hardware, update_with_tensors, versions
from lion.tagging import RamTagger, TagFile

PASSING = ("data", "date", "hardware", "seconds", "tags_from")
"""What two runs of the same thing differ in, so scores.json leaves it to run.json."""


@dataclass(frozen=True, slots=True)
class _Task:
    """A batch to ask."""

    part: Part
    group: list[Batch]
    """The batches that share its pictures."""
    batch: Batch
    missing: frozenset[int]
    """What of it is not answered yet."""


class Evaluation:
    """One model on one benchmark, its answers in one folder.

    Args:
        pipeline: the model, as people use it; its `batch_size` is the number of questions asked together.
        benchmark: what to ask.
        folder: where answers and scores go; if it holds some of the same run, that run goes on.
        blind: ask everything once more before a grey picture, without tags.
        processes: those that share the work; each has a pipeline of its own.

    Raises:
        LionError: the folder holds answers of another model or with other settings, or other files.
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
        self.benchmark, self.processes = benchmark, processes or Processes()
        self.predictions = Predictions(folder, self.processes.rank)
        pipeline = benchmark.prepared(pipeline)
        if self.processes.main:
            self.predictions.claim(_run(pipeline, benchmark, blind))
        self.processes.wait()
        self._todo: list[_Task] = []
        for part in benchmark.parts(pipeline, blind=self.predictions.run()["blind_run"]):
            done = self.predictions.rows(part.name)
            for group in plan(part, pipeline.batch_size)[self.processes.rank :: self.processes.count]:
                for batch in group:
                    if missing := frozenset(number for number in batch if _is_open(part.ids[number], done)):
                        self._todo.append(_Task(part, group, batch, missing))

    @property
    def pending(self) -> int:
        """How many of this process's questions are unanswered."""
        return sum(len(task.missing) for task in self._todo)

    def ask(self, progress: Callable[[str, int], None] = lambda part, count: None) -> None:
        """Ask what is unanswered, and keep each batch's answers as they come.

        A batch of which some are answered is asked whole, and pictures are looked at as they were: in the last bit an
        answer can depend on its neighbours.

        Args:
            progress: told the part and the number of questions after each batch.

        Raises:
            LionError: a question that the model cannot take.
        """
        for name in {task.part.name for task in self._todo}:
            self.predictions.mend(name)
        looked: list[Batch] = []
        while self._todo:
            task = self._todo[0]
            start = time.perf_counter()
            if task.group is not looked:
                looked = task.group
                task.part.look([number for batch in looked for number in batch])
            answers = task.part.ask(task.batch)
            seconds = round((time.perf_counter() - start) / len(task.batch), 4)
            rows = [
                {"id": task.part.ids[number], **answer, "seconds": seconds}
                for number, answer in zip(task.batch, answers, strict=True)
                if number in task.missing
            ]
            self.predictions.add(task.part.name, rows)
            del self._todo[0]
            progress(task.part.name, len(rows))

    def finish(self) -> dict[str, Any] | None:
        """Wait for all processes; then the main one scores the answers as `rescore` does, and the others get None."""
        self.processes.wait()
        return _score(self.predictions, self.benchmark) if self.processes.main else None


def _is_open(question: str, done: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether there is no answer yet; what was skipped may have been mended since."""
    return question not in done or SKIPPED in done[question]


def rescore(folder: str | Path, data: Path | None = None) -> dict[str, Any]:
    """Score the answers that a folder holds, without a model.

    Args:
        folder: of a run; scores.json and what else the benchmark writes go there.
        data: where its dataset lies now, if it has moved.

    Returns:
        What scores.json and run.json hold, with the `seconds` of asking.

    Raises:
        LionError: the folder holds no answers, too few, or answers to questions that have changed since.
    """
    predictions = Predictions(folder)
    run = predictions.run()
    benchmark = benchmark_of(run, data)
    if benchmark.settings != run["settings"]:
        raise LionError(f"{folder}: the questions have changed since they were answered; ask again into another folder")
    return _score(predictions, benchmark)


def _score(predictions: Predictions, benchmark: Benchmark) -> dict[str, Any]:
    run = predictions.run()
    read: dict[str, dict[str, Any]] = {}

    def rows(part: str) -> dict[str, Any]:
        return read.setdefault(part, predictions.rows(part))

    outcome = benchmark.score(rows, blind=run["blind_run"])
    record = {
        **run,
        **outcome.facts,
        "seconds": round(sum(row["seconds"] for part in read.values() for row in part.values()), 1),
        "scores": {name: score.to_json() for name, score in outcome.scores.items()},
    }
    files = outcome.files(record)
    for stale in {f"results/{path.name}" for path in (predictions.folder / "results").glob("*")} - set(files):
        (predictions.folder / stale).unlink()
    for name, text in files.items():
        atomic_write(predictions.folder / name, text)
    stable = {key: value for key, value in record.items() if key not in PASSING}
    atomic_write_json(predictions.folder / "scores.json", stable)
    return record


def _run(pipeline: LionPipeline, benchmark: Benchmark, blind: bool) -> dict[str, Any]:
    """What run.json says."""
    return {
        "benchmark": benchmark.name,
        "model": pipeline.name,
        "model_fingerprint": model_fingerprint(pipeline),
        "settings": benchmark.settings,
        "limit": benchmark.limit,
        "blind_run": blind,
        "tagger": pipeline.tagger is not None,
        "tags_from": pipeline.tagger.name if isinstance(pipeline.tagger, TagFile) else None,
        "decoding": {str(task): asdict(way) for task, way in pipeline.decoding.items() if task in benchmark.tasks},
        **benchmark.notes,
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware(pipeline.model.device),
        "versions": versions(),
    }


def model_fingerprint(pipeline: LionPipeline) -> str:
    """32 digits that name a model's weights, precision and way of reading, and its tagger."""
    config, processor = pipeline.model.config, pipeline.processor
    ways = [config.taps, config.visual_inputs, config.patch_stem, processor.max_text_tokens, processor.box_decimals]
    ways.append(processor.image_processor.image_size)
    digest = hashlib.blake2b(json.dumps(ways).encode(), digest_size=16)
    update_with_tensors(digest, pipeline.model.state_dict())
    if isinstance(pipeline.tagger, RamTagger):
        digest.update(pipeline.tagger.fingerprint.encode())
        thresholds = pipeline.tagger.thresholds.tolist()
        digest.update(json.dumps([pipeline.tagger.policy.to_dict(), thresholds]).encode())
    if isinstance(pipeline.tagger, TagFile):
        digest.update(pipeline.tagger.fingerprint.encode())
    return digest.hexdigest()
