"""Asking a benchmark's questions: what is answered already is not asked again, and scoring needs no model."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from lion.errors import LionError
from lion.eval.benchmark import Benchmark, Part
from lion.eval.benchmarks import BENCHMARKS
from lion.eval.predictions import Predictions
from lion.eval.report import write_report
from lion.pipeline import LionPipeline
from lion.provenance import commit, hardware, versions
from lion.tagging import RamTagger


class Evaluation:
    """One model on one benchmark, its answers in one folder.

    Args:
        pipeline: the model, as people use it; its `batch_size` is the number of questions asked together.
        benchmark: what to ask.
        folder: where answers and scores go; if it holds some of the same run, that run goes on.
        blind: ask everything once more before a grey picture, without tags.

    Raises:
        LionError: the folder holds answers of another model or with other settings, or other files.
    """

    def __init__(
        self, pipeline: LionPipeline, benchmark: Benchmark, folder: str | Path, *, blind: bool = False
    ) -> None:
        self.predictions = Predictions(folder)
        self.predictions.claim(_run(pipeline, benchmark, blind))
        self._batch_size = pipeline.batch_size
        self._todo: list[tuple[Part, list[int]]] = []
        for part in benchmark.parts(pipeline, blind=self.predictions.run()["blind_run"]):
            done = self.predictions.rows(part.name)
            self._todo.append((part, [number for number, name in enumerate(part.ids) if name not in done]))

    @property
    def pending(self) -> int:
        """How many questions are unanswered."""
        return sum(len(numbers) for _, numbers in self._todo)

    def ask(self, progress: Callable[[str, int], None] = lambda part, count: None) -> None:
        """Ask what is unanswered, and keep each batch's answers as they come.

        Args:
            progress: told the part and the number of questions after each batch.

        Raises:
            LionError: a question that the model cannot take.
        """
        for part, numbers in self._todo:
            self.predictions.mend(part.name)
            while numbers:
                batch = numbers[: self._batch_size]
                start = time.perf_counter()
                answers = part.ask(batch)
                seconds = round((time.perf_counter() - start) / len(batch), 4)
                rows = [
                    {"id": part.ids[number], **answer, "seconds": seconds}
                    for number, answer in zip(batch, answers, strict=True)
                ]
                self.predictions.add(part.name, rows)
                del numbers[: len(batch)]
                progress(part.name, len(batch))

    def finish(self) -> dict[str, Any]:
        """Score the answers, write scores.json and report.md, and return what scores.json holds."""
        return rescore(self.predictions.folder)


def rescore(folder: str | Path) -> dict[str, Any]:
    """Score the answers that a folder holds, without a model; writes and returns as `Evaluation.finish`.

    Raises:
        LionError: the folder holds no answers, too few, or answers to questions that have changed since.
    """
    predictions = Predictions(folder)
    run = predictions.run()
    kind = BENCHMARKS.get(run.get("benchmark", ""))
    if kind is None:
        raise LionError(f"{folder} is about {run.get('benchmark')!r}; known are {', '.join(BENCHMARKS)}")
    benchmark = kind.of(run)
    if benchmark.settings != run["settings"]:
        raise LionError(f"{folder}: the questions have changed since they were answered; ask again into another folder")
    return write_report(predictions, benchmark, run)


def _run(pipeline: LionPipeline, benchmark: Benchmark, blind: bool) -> dict[str, Any]:
    """What run.json says."""
    return {
        "benchmark": benchmark.name,
        "model": pipeline.name,
        "model_fingerprint": model_fingerprint(pipeline),
        "settings": benchmark.settings,
        "samples": benchmark.samples,
        "blind_run": blind,
        "decoding": {str(task): asdict(preset) for task, preset in pipeline.decoding.items()},
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
    for name, tensor in sorted(pipeline.model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    if isinstance(pipeline.tagger, RamTagger):
        digest.update(pipeline.tagger.fingerprint.encode())
        thresholds = pipeline.tagger.thresholds.tolist()
        digest.update(json.dumps([pipeline.tagger.policy.to_dict(), thresholds]).encode())
    return digest.hexdigest()
