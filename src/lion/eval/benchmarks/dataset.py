"""A benchmark of the paper put to a folder of data with one set of choices: what is asked word for word, and scored."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import Any

from lion.boxes import format_box
from lion.data.dataset import Dataset
from lion.data.record import Record
from lion.data.sources import read
from lion.errors import LionError
from lion.eval.benchmark import Outcome, Part, Rows
from lion.eval.benchmarks.paper import PAPER, PaperBenchmark
from lion.eval.benchmarks.scoring import Scored
from lion.eval.predictions import Row
from lion.eval.score import Score
from lion.pipeline import Answer, LionPipeline, Request, Verb
from lion.pipeline.decoding import decoding_presets
from lion.prompts import BENCHMARK_PROMPTS, Task, benchmark_prompt


@dataclass(frozen=True)
class DatasetBenchmark:
    """See :class:`lion.eval.benchmark.Benchmark`.

    Args:
        paper: the row of the paper's tables.
        data: the folder that the dataset lies in.
        limit: ask the first so many samples alone.
        prompt: one of the row's prompts; None for its first.
        preset: decoding by name; None for the row's.
        tagged: whether the prompts hold the tagger's tags.
        skip_bad: leave bad records, pictures and questions out, and list them.
        drawn: whether the data is the drawn world in the dataset's files, whose scores stand beside nobody's.

    Raises:
        LionError: a limit of none, a prompt or preset that is not to be had.
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
        """The benchmark of a recorded run; `data` where its dataset lies now, if it has moved."""
        settings = run["settings"]
        return cls(
            PAPER[run["benchmark"]],
            data or Path(run["data"]),
            run["limit"],
            settings["prompt"],
            settings["decoding"],
            settings["tags"],
            run["skip_bad"],
            run["drawn"],
        )

    @property
    def name(self) -> str:
        return self.paper.name

    @property
    def label(self) -> str:
        return self.name

    @property
    def tasks(self) -> Sequence[Task]:
        """None where candidates are ranked: nothing is decoded."""
        return () if self.paper.candidates else (self.paper.task,)

    @property
    def settings(self) -> dict[str, Any]:
        prompt = self.prompt or self.paper.prompts[0]
        return {
            "dataset": self.paper.dataset,
            "split": self.paper.split,
            "data_hashes": self._hashes,
            "mode": "rank" if self.paper.candidates else "generate",
            "prompt": prompt,
            "wording": BENCHMARK_PROMPTS[prompt],
            "decoding": self._preset,
            "tags": self.tagged,
        }

    @property
    def notes(self) -> dict[str, Any]:
        counts = {"samples": len(self.samples), "official": self.official}
        # Whether bad records are skipped changes no answer to another: whoever meets one may go on with it.
        ways = {"drawn": self.drawn, "skip_bad": self.skip_bad}
        return {"data": str(self.data.resolve()), **ways, **counts, "rules": dict(self.paper.rules)}

    @property
    def _preset(self) -> str:
        """What is ranked is not decoded: there the preset plays no part."""
        return (None if self.paper.candidates else self.preset) or self.paper.decoding

    # -- the data -----------------------------------------------------------------------------------------------------

    @cached_property
    def dataset(self) -> Dataset:
        """Read when it is first needed. Raises: LionError for what is missing or bad."""
        return read(self.paper.dataset, self.data, self.paper.split, skip_bad=self.skip_bad)

    @cached_property
    def records(self) -> list[Record]:
        """What is asked: the records of the first `limit` samples. Raises: LionError for an incomplete sample."""
        chosen = self.paper.choose(self.dataset.records)
        if self._incomplete and not self.skip_bad:
            sample, reason = next(iter(self._incomplete.items()))
            raise LionError(f"{self.name} {sample}: {reason} (mend it, or skip bad records with --skip-bad)")
        samples = dict.fromkeys(map(self.paper.sample, chosen))
        asked = set([sample for sample in samples if sample not in self._incomplete][: self.limit])
        return [record for record in chosen if self.paper.sample(record) in asked]

    @property
    def _hashes(self) -> dict[str, str]:
        """SHA-256 of the dataset's files by their names below the folder that holds them all, wherever that lies."""
        paths = {PurePosixPath(path): digest for path, digest in self.dataset.hashes.items()}
        home = os.path.commonpath([str(path.parent) for path in paths])
        return {str(path.relative_to(home)): digest for path, digest in paths.items()}

    @property
    def samples(self) -> list[object]:
        """What is counted and scored as one, of what is asked."""
        return list(dict.fromkeys(map(self.paper.sample, self.records)))

    @property
    def official(self) -> int | None:
        """How many samples there are officially; None where nobody knows, and for drawn ones."""
        return None if self.drawn else self.paper.official or self.dataset.expected

    @cached_property
    def skipped(self) -> list[tuple[str, str]]:
        """(id, reason) of what is not asked because it is bad."""
        return [*self.dataset.skipped, *((str(sample), reason) for sample, reason in self._incomplete.items())]

    @cached_property
    def _incomplete(self) -> dict[object, str]:
        """Samples of which a record is missing, such as a rotation of a question's options, and how many are there."""
        records = self.paper.choose(self.dataset.records)
        sizes = {self.paper.sample(one): self.paper.size(one) for one in records}
        there = Counter(map(self.paper.sample, records))
        return {
            sample: f"only {there[sample]} of its {size} records are there"
            for sample, size in sizes.items()
            if there[sample] < size
        }

    def check_complete(self) -> None:
        """Raises: LionError if there are fewer samples than the official number."""
        samples, official = len(self.samples), self.official
        if official is not None and samples < official:
            why = f"; skipped as bad: {len(self.skipped)}" if self.skipped else ""
            files = ", ".join(self.dataset.hashes)
            raise LionError(
                f"{self.name}: {samples} of the official {official} samples in {files} of {self.data}{why} "
                "(get the whole files, or leave --strict out)"
            )

    # -- asking -------------------------------------------------------------------------------------------------------

    def prepared(self, pipeline: LionPipeline) -> LionPipeline:
        """With the benchmark's decoding, and prompts as long as the model's positions allow: the released code has no
        other limit when it answers."""
        own = copy(pipeline)
        own.decoding, own.processor = decoding_presets(self._preset), copy(pipeline.processor)
        own.processor.max_text_tokens = pipeline.model.config.qformer_config.max_position_embeddings
        return own

    def parts(self, pipeline: LionPipeline, *, blind: bool) -> list[Part]:
        decimals = pipeline.processor.box_decimals
        requests = [self._request(record, decimals) for record in self.records]
        asked = [_words(request) for request in requests]

        def ask(numbers: Sequence[int]) -> list[Row]:
            chosen = [requests[number] for number in numbers]
            try:
                answers: list[Answer | str] = list(pipeline.answer(chosen))
            except (LionError, OSError):
                answers = [self._alone(pipeline, self.records[number], requests[number]) for number in numbers]
            return [_row(asked[number], answer) for number, answer in zip(numbers, answers, strict=True)]

        def look(numbers: Sequence[int]) -> None:
            with suppress(LionError, OSError):  # what cannot be read is told when it is asked about
                pipeline.look(list(dict.fromkeys(requests[number].image for number in numbers)))

        ids, pictures = [record.id for record in self.records], [record.image for record in self.records]
        return [Part(self.name, ids, ask, pictures, [len(words) for words in asked], look)]

    def _alone(self, pipeline: LionPipeline, record: Record, request: Request) -> Answer | str:
        """The answer to one question of a batch that could not be answered, or why there is none."""
        try:
            return pipeline.answer([request])[0]
        except (LionError, OSError) as error:
            if self.skip_bad:
                return " ".join(str(error).split())
            raise LionError(
                f"{self.name} record {record.id}: {error} (mend it, or skip bad records with --skip-bad)"
            ) from error

    def _request(self, record: Record, decimals: int) -> Request:
        slots = {
            "question": " ".join(filter(None, (record.hint, record.question))),
            "options": " ".join(f"({letter}) {one}" for letter, one in zip("abcdefgh", record.choices, strict=False)),
            "caption": record.meta.get("caption", ""),
            "expression": record.expression or "",
            "box": format_box(record.box.clamp(), decimals) if record.box else "",
        }
        words = partial(benchmark_prompt, self.prompt or self.paper.prompts[0], slots)
        return Request(
            record.image,
            Verb.of(self.paper.task),
            record.expression,
            record.box.clamp() if record.box else None,
            record.history,
            tags=None if self.tagged else (),
            instruction=words if record.history else words(),
            candidates=self.paper.candidates and self.paper.candidates(record),
        )

    # -- scoring ------------------------------------------------------------------------------------------------------

    def score(self, rows: Rows, *, blind: bool) -> Outcome:
        scored, skipped = self.scored(rows)
        samples = len({self.paper.sample(one) for one in self.records if one.id in scored.worth})
        facts = {"samples": samples, "official": self.official, "skipped": skipped, "rules": dict(self.paper.rules)}
        files = self._files(scored, rows(self.name), bool(skipped))
        return Outcome({name: Score(value) for name, value in scored.scores.items()}, facts, lambda record: files)

    def scored(self, rows: Rows) -> tuple[Scored, list[dict[str, str]]]:
        """What each answer is worth, and id and reason of what was skipped. Raises: LionError if any is missing."""
        found = rows(self.name)
        if missing := [record.id for record in self.records if record.id not in found]:
            raise LionError(
                f"{self.name}: {len(missing)} of {len(self.records)} are not answered yet, the first is {missing[0]}; "
                "start the same lion eval again"
            )
        unasked = [(one.id, found[one.id]["skipped"]) for one in self.records if "skipped" in found[one.id]]
        skipped = [*self.skipped, *unasked]
        left = {self.paper.sample(one) for one in self.records if "skipped" in found[one.id]}
        answered = [one for one in self.records if self.paper.sample(one) not in left]
        if not answered:
            raise LionError(f"{self.name}: every sample was skipped, the first because {skipped[0][1]}")
        scored = self.paper.score(answered, {one.id: found[one.id] for one in answered})
        return scored, [{"id": ident, "reason": reason} for ident, reason in skipped]

    def _files(self, scored: Scored, found: Mapping[str, Row], skipped: bool) -> Mapping[str, str]:
        """What each answer was taken for and is worth, and the official result file."""
        answered = [one for one in self.records if one.id in scored.read]
        lines = [
            {
                "id": one.id,
                "asked": found[one.id]["asked"],
                "text": found[one.id]["text"],
                "answer": scored.read[one.id],
                "worth": round(scored.worth[one.id], 6),
            }
            for one in answered
        ]
        texts = {"samples.jsonl": "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)}
        if self.paper.results and not (skipped and self.paper.results_in_order):
            name, text = self.paper.results(answered, found, scored.read, self.paper.split)
            texts[f"results/{name}"] = text
        return texts


def _words(request: Request) -> str:
    """What is asked, with all earlier rounds."""
    words = request.instruction
    return words(request.history) if callable(words) else words or ""


def _row(asked: str, answer: Answer | str) -> Row:
    if isinstance(answer, str):
        return {"asked": asked, "skipped": answer}
    row: Row = {"asked": asked, "text": answer.text, "tags": list(answer.tags)}
    if answer.candidates:
        given = sorted(answer.candidates, key=lambda one: one.index)
        # To 5 decimals: what differs by less is a tie, whatever machine and batch it was computed in.
        row |= {"nll": [round(one.nll, 5) for one in given], "tokens": [one.tokens for one in given]}
    return row | ({"note": answer.note} if answer.note else {})
