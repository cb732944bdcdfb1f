"""A benchmark of the paper on a folder of data: its settings, the requests to the model, and the scores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from lion.boxes import format_box
from lion.data.record import Record
from lion.errors import LionError
from lion.eval.benchmark import Benchmark, ReadPredictions, Result, SampleScore, read_all
from lion.eval.benchmarks.paper import PAPER, PaperBenchmark
from lion.eval.benchmarks.selection import Selection, select
from lion.eval.predictions import SKIPPED, Prediction
from lion.eval.questions import QuestionSet
from lion.images import open_image
from lion.metrics import Estimate
from lion.metrics.rec import first_box
from lion.pipeline import DecodingPreset, LionPipeline, Request, Verb
from lion.pipeline.decoding import decoding_presets
from lion.prompts import BENCHMARK_PROMPTS, Task, benchmark_prompt

_Row = tuple[Record, Prediction, Any, float]
"""An answered record with its prediction, what that was parsed as, and its score."""


@dataclass(frozen=True)
class DatasetBenchmark(Benchmark):
    """See :class:`lion.eval.benchmark.Benchmark`.

    Args:
        paper: the row of the paper's tables.
        data: the folder that the datasets lie in.
        limit: the first so many samples; None for all.
        prompt: one of the row's prompts; None for its first.
        preset: decoding preset by name; None for the row's.
        tagged: whether the prompts hold tags.
        skip_bad: leave bad records, images and questions out, and list them.
        drawn: whether the data is the drawn world in the dataset's format, whose scores are not comparable.

    Raises:
        LionError: a limit below 1, or an unknown prompt or preset.
    """

    paper: PaperBenchmark
    data: Path
    limit: int | None = None
    prompt: str | None = None
    preset: str | None = None
    tagged: bool = True
    skip_bad: bool = False
    drawn: bool = False

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise LionError(f"limit={self.limit} asks nothing; give at least 1")
        if self.prompt not in (None, *self.paper.prompts):
            prompts = ", ".join(self.paper.prompts)
            raise LionError(f"{self.name} has no prompt {self.prompt!r}; it can be put as {prompts}")
        decoding_presets(self._preset)

    @classmethod
    def of(cls, run: Mapping[str, Any], data: Path | None = None) -> DatasetBenchmark:
        """The benchmark of a recorded run; `data` is where its dataset lies now, if it has moved."""
        settings = run["settings"]
        ways = (settings["prompt"], settings["decoding"], settings["tags"], run["skip_bad"], run["drawn"])
        return cls(PAPER[run["benchmark"]], data or Path(run["data"]), run["limit"], *ways)

    @property
    def name(self) -> str:
        return self.paper.name

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "dataset": self.paper.dataset,
            "split": self.paper.split,
            "data_hashes": self.selection.hashes,
            "mode": "rank" if self.paper.candidates else "generate",
            "prompt": self._prompt,
            "wording": BENCHMARK_PROMPTS[self._prompt],
            "decoding": self._preset,
            "tags": self.tagged,
        }

    @property
    def notes(self) -> dict[str, Any]:
        counts = {"samples": len(self.selection.samples), "official": self.official}
        # Skipping bad records changes no other prediction, so a run may be resumed with another skip_bad.
        ways = {"drawn": self.drawn, "skip_bad": self.skip_bad}
        return {"data": str(self.data.resolve()), **ways, **counts, "rules": dict(self.paper.rules)}

    @property
    def _prompt(self) -> str:
        return self.prompt or self.paper.prompts[0]

    @property
    def _preset(self) -> str:
        """Where candidates are ranked nothing is decoded, so another preset plays no part."""
        return (None if self.paper.candidates else self.preset) or self.paper.decoding

    # -- questions ----------------------------------------------------------------------------------------------------

    @cached_property
    def selection(self) -> Selection:
        """The samples, read when they are first needed. Raises: as :func:`select`."""
        return select(self.paper, self.data, self.limit, self.skip_bad)

    @property
    def official(self) -> int | None:
        """The official number of samples; None if unknown, and for drawn ones."""
        return None if self.drawn else self.paper.official or self.selection.dataset.expected

    def check_complete(self) -> None:
        """Raises: LionError if there are fewer samples than the official number."""
        samples, skipped = len(self.selection.samples), self.selection.skipped
        if self.official is not None and samples < self.official:
            why = f"; skipped as bad: {len(skipped)}" if skipped else ""
            files = ", ".join(self.selection.dataset.hashes)
            raise LionError(
                f"{self.name}: {samples} of the official {self.official} samples in {files} of {self.data}{why} "
                "(get the whole files, or leave --strict out)"
            )

    def decoding(self, pipeline: LionPipeline) -> Mapping[Task, DecodingPreset]:
        """The preset's entry of the task; empty where candidates are ranked."""
        return {} if self.paper.candidates else {self.paper.task: decoding_presets(self._preset)[self.paper.task]}

    def max_prompt_tokens(self, pipeline: LionPipeline) -> int:
        """The number of the Q-Former's positions: the released code has no other limit when it answers."""
        limit: int = pipeline.model.config.qformer_config.max_position_embeddings
        return limit

    def question_sets(self, pipeline: LionPipeline, *, blind: bool) -> list[QuestionSet]:
        """One set with a question for each record."""
        records, tokens = self.selection.records, self.max_prompt_tokens(pipeline)
        requests = [self._request(record, pipeline.processor.box_decimals, tokens) for record in records]
        ids, images = [record.id for record in records], [record.image for record in records]
        prompts = [_prompt_of(request) for request in requests]
        return [QuestionSet(self.name, ids, prompts, requests.__getitem__, images, skip_bad=self.skip_bad)]

    def _request(self, record: Record, decimals: int, max_prompt_tokens: int) -> Request:
        slots = {
            "question": " ".join(filter(None, (record.hint, record.question))),
            "options": " ".join(f"({letter}) {one}" for letter, one in zip("abcdefgh", record.choices, strict=False)),
            "caption": record.meta.get("caption", ""),
            "expression": record.expression or "",
            "box": format_box(record.box.clamp(), decimals) if record.box else "",
        }
        wording = partial(benchmark_prompt, self._prompt, slots)
        return Request(
            record.image,
            Verb.of(self.paper.task),
            record.expression,
            record.box.clamp() if record.box else None,
            record.history,
            tags=None if self.tagged else (),
            instruction=wording if record.history else wording(),
            candidates=self.paper.candidates and self.paper.candidates(record),
            decoding=decoding_presets(self._preset)[self.paper.task],
            max_prompt_tokens=max_prompt_tokens,
        )

    # -- scoring ------------------------------------------------------------------------------------------------------

    def score(self, read: ReadPredictions, *, blind: bool) -> Result:
        scores, rows, skipped = self._scored(read)
        lines = [
            {"id": record.id, "asked": one["asked"], "text": one["text"], "answer": parsed, "worth": round(score, 6)}
            for record, one, parsed, score in rows
        ]
        files = {"samples.jsonl": "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)}
        records = [record for record, *_ in rows]
        if self.paper.results and not (skipped and self.paper.results_in_order):
            parsed_by_id = {record.id: parsed for record, _, parsed, _ in rows}
            name, text = self.paper.results(records, read(self.name), parsed_by_id, self.paper.split)
            files[f"results/{name}"] = text
        samples = len(set(map(self.paper.sample, records)))
        facts = {"samples": samples, "official": self.official, "skipped": skipped, "rules": dict(self.paper.rules)}
        return Result(scores, facts=facts, files=lambda record: files)

    def sample_scores(self, read: ReadPredictions) -> list[SampleScore]:
        rec = self.paper.task == Task.REC
        return [
            SampleScore(
                self.name,
                record.id,
                one["asked"],
                one["text"],
                format_box(record.box.clamp()) if rec and record.box else " / ".join(dict.fromkeys(record.answers)),
                score,
                partial(open_image, record.image),
                record.box,
                first_box(one["text"]) if rec else None,
            )
            for record, one, _, score in self._scored(read)[1]
        ]

    def _scored(self, read: ReadPredictions) -> tuple[Mapping[str, Estimate], list[_Row], list[dict[str, str]]]:
        """The scores, the answered records, and id and reason of what was skipped. Raises: as :meth:`score`."""
        records = self.selection.records
        found = read_all(read, self.name, [record.id for record in records])
        failed = [record for record in records if SKIPPED in found[record.id]]
        skipped = [*self.selection.skipped, *((record.id, found[record.id][SKIPPED]) for record in failed)]
        left_out = set(map(self.paper.sample, failed))
        answered = [record for record in records if self.paper.sample(record) not in left_out]
        if not answered:
            raise LionError(f"{self.name}: every sample was skipped, the first because {skipped[0][1]}")
        scored = self.paper.score(answered, found)
        predictions = [found[record.id] for record in answered]
        rows = list(zip(answered, predictions, scored.parsed, map(float, scored.samples), strict=True))
        return scored.scores, rows, [{"id": key, "reason": reason} for key, reason in skipped]


def _prompt_of(request: Request) -> str:
    """The instruction, with all earlier rounds."""
    words = request.instruction
    return words(request.history) if callable(words) else words or ""
