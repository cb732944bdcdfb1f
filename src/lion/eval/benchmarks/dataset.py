"""A benchmark of the paper, or one of an own file, on its folder: settings, samples, requests to the model, scores."""

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import Any, Self

from lion.boxes import format_box
from lion.data.dataset import BadRecord, Dataset
from lion.data.drawn import mark_of
from lion.data.orientation import as_shown
from lion.data.sample import Record
from lion.errors import LionError
from lion.eval.benchmark import Benchmark, ReadPredictions, Result, SampleScore, read_all
from lion.eval.benchmarks.own import row_of, rows
from lion.eval.benchmarks.paper import PaperBenchmark
from lion.eval.benchmarks.results import AnsweredRecord
from lion.eval.benchmarks.scoring import ScoredRecords
from lion.eval.predictions import SKIPPED
from lion.eval.questions import QuestionSet
from lion.images import open_image
from lion.metrics import Estimate
from lion.metrics.rec import HIT, first_box
from lion.pipeline import DecodingPreset, LionPipeline, Request, Verb
from lion.pipeline.request import decoding_presets
from lion.prompts import BENCHMARK_PROMPTS, Task, benchmark_prompt

_SKIP = "lion eval --skip-bad"
_NO_ANSWER = {SKIPPED: "not answered"}


@dataclass(frozen=True, slots=True)
class Selection:
    """The samples of one benchmark: each is a record, or all records of a question with rotated options."""

    dataset: Dataset
    records: list[Record]
    samples: list[object]
    """The samples' keys."""
    skipped: list[tuple[str, str]]
    """(id, reason) of bad samples."""

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of the dataset's files by path below their common folder, wherever that lies."""
        paths = {PurePosixPath(path): digest for path, digest in self.dataset.hashes.items()}
        home = os.path.commonpath([str(path.parent) for path in paths])
        return {str(path.relative_to(home)): digest for path, digest in paths.items()}


def titled(name: str, drawn: bool) -> str:
    """A benchmark's name, as it stands beside its scores."""
    return f"{name} (drawn)" if drawn else name


def select(row: PaperBenchmark, folder: Path, limit: int | None, skip_bad: bool) -> Selection:
    """The first `limit` samples of a benchmark's dataset, in `folder`; bad ones are left out if they may be skipped.

    Raises: LionError for missing files; else, for a bad record, or a sample that lacks one, such as a rotation.
    """
    try:
        dataset = row.read(folder, skip_bad=skip_bad)
    except BadRecord as error:
        raise BadRecord(error.problem, _SKIP) from error
    chosen = row.choose(dataset.records)
    sizes = {row.sample(record): row.size(record) for record in chosen}
    found = Counter(map(row.sample, chosen))
    incomplete = {
        sample: f"only {found[sample]} of its {size} records are there"
        for sample, size in sizes.items()
        if found[sample] < size
    }
    if incomplete and not skip_bad:
        sample, reason = next(iter(incomplete.items()))
        raise BadRecord(f"{row.name} {sample}: {reason}", _SKIP)
    samples = [sample for sample in sizes if sample not in incomplete][:limit]
    selected = set(samples)
    records, unfit = [], {}
    for record in (record for record in chosen if row.sample(record) in selected):
        try:
            records.append(as_shown(record))
        except LionError as error:
            if not skip_bad:
                raise BadRecord(f"{row.name} record {record.id}: {error}", _SKIP) from error
            unfit[row.sample(record)] = str(error)
    records = [record for record in records if row.sample(record) not in unfit]
    skipped = [*dataset.skipped, *((str(sample), reason) for sample, reason in (incomplete | unfit).items())]
    return Selection(dataset, records, [sample for sample in samples if sample not in unfit], skipped)


@dataclass(frozen=True)
class DatasetBenchmark(Benchmark):
    """See :class:`lion.eval.benchmark.Benchmark`.

    Args:
        row: of the paper's tables, or of an own file.
        data: the folder that the datasets lie in.
        limit: the first so many samples; None for all.
        prompt: one of the row's prompts; None for its first.
        preset: decoding preset by name; None for the row's.
        tagged: whether the prompts hold tags.
        skip_bad: leave bad records, images and questions out, and list them.
        drawn: that the data is the drawn world in the dataset's format, for files that do not say so themselves.

    Raises: LionError for a limit below 1, or an unknown prompt or preset.
    """

    row: PaperBenchmark
    data: Path
    limit: int | None = None
    prompt: str | None = None
    preset: str | None = None
    tagged: bool = True
    skip_bad: bool = False
    drawn: bool = False

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise LionError(f"limit={self.limit} must be at least 1")
        if self.prompt not in (None, *self.row.prompts):
            prompts = ", ".join(self.row.prompts)
            raise LionError(f"{self.name} has no prompt {self.prompt!r}; there are {prompts}")
        decoding_presets(self._preset)
        if self.row.candidates and self.preset not in (None, self.row.decoding):
            raise LionError(
                f"{self.name} ranks candidates and decodes nothing; leave the decoding out, or run it alone"
            )

    @classmethod
    def of(cls, run: Mapping[str, Any], data: Path | None = None) -> Self:
        """The benchmark of a recorded run; `data` is where its dataset lies now, if it has moved.

        Raises: LionError for an unknown benchmark.
        """
        row, settings = row_of(run), run["settings"]
        options = (settings["prompt"], settings["decoding"], settings["tags"], run["skip_bad"], run["drawn"])
        return cls(row, data or Path(run["data"]), run["limit"], *options)

    @classmethod
    def of_file(cls, path: str | Path, **options: Any) -> list[Self]:
        """Benchmarks of a JSONL or CSV file of your own, one for each task; `options` as of the class.

        Raises: LionError for a missing file, one without a usable line, or as the class.
        """
        file = Path(path).expanduser()
        return [cls(one, file.parent, **options) for one in rows(file)]

    @property
    def name(self) -> str:
        return self.row.name

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "dataset": self.row.dataset,
            "split": self.row.split,
            "data_hashes": self.selection.hashes,
            "mode": "rank" if self.row.candidates else "generate",
            "prompt": self._prompt,
            "wording": BENCHMARK_PROMPTS[self._prompt],
            "decoding": self._preset,
            "tags": self.tagged,
        }

    @property
    def notes(self) -> dict[str, Any]:
        data = {"data": str(self.data.resolve()), "drawn": self.is_drawn}
        if self.world:
            data["world"] = self.world
        counts = {"samples": len(self.selection.samples), "official": self.official}
        # No settings: they change no other prediction.
        return {**data, "skip_bad": self.skip_bad, **counts, "rules": dict(self.row.rules)}

    @property
    def _prompt(self) -> str:
        return self.prompt or self.row.prompts[0]

    @property
    def _preset(self) -> str:
        return self.preset or self.row.decoding

    @cached_property
    def selection(self) -> Selection:
        """The samples, read when they are first needed. Raises: as :func:`select`."""
        return select(self.row, self.data, self.limit, self.skip_bad)

    @cached_property
    def world(self) -> Mapping[str, Any] | None:
        """The mark of drawn data: version of the world, seed, splits; None without one."""
        return mark_of(self.selection.dataset, self.data)

    @property
    def is_drawn(self) -> bool:
        """Whether the data is the drawn world in the dataset's format, so that no score is comparable with others."""
        return self.drawn or self.world is not None

    @property
    def title(self) -> str:
        """The name, and whether the data is drawn."""
        return titled(self.name, self.is_drawn)

    @property
    def official(self) -> int | None:
        """The official number of samples; None if unknown, and for drawn ones."""
        return None if self.is_drawn else self.row.official or self.selection.dataset.expected

    def check_complete(self) -> None:
        """Raises: LionError if there are fewer samples than the official number, or the data is drawn."""
        if self.is_drawn:
            raise LionError(f"{self.name}: the data in {self.data} is drawn, not the official one; leave --strict out")
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
        return {} if self.row.candidates else {self.row.task: decoding_presets(self._preset)[self.row.task]}

    def max_prompt_tokens(self, pipeline: LionPipeline) -> int:
        """The number of the Q-Former's positions: the released code has no other limit when it answers."""
        return int(pipeline.model.config.qformer_config.max_position_embeddings)

    def question_sets(self, pipeline: LionPipeline, *, blind: bool) -> list[QuestionSet]:
        """One set with a question for each record."""
        records, tokens = self.selection.records, self.max_prompt_tokens(pipeline)
        requests = [self._request(record, pipeline.processor.box_decimals, tokens) for record in records]
        ids, images = [record.id for record in records], [record.image for record in records]
        prompts = [_prompt_of(request) for request in requests]
        skip_bad = self.skip_bad or (None if self.drawn else False)  # all-mini, which says so, has no --skip-bad
        return [QuestionSet(self.name, ids, prompts, requests.__getitem__, images, skip_bad=skip_bad)]

    def _request(self, record: Record, decimals: int, max_prompt_tokens: int) -> Request:
        box = record.box.clamp() if record.box else None
        slots = {
            "question": " ".join(filter(None, (record.hint, record.question))),
            "options": " ".join(f"({letter}) {one}" for letter, one in zip("abcdefgh", record.choices, strict=False)),
            "caption": record.meta.get("caption", ""),
            "expression": record.expression or "",
            "box": format_box(box, decimals) if box else "",
        }
        wording = partial(benchmark_prompt, self._prompt, slots)
        return Request(
            record.image,
            Verb.of(self.row.task),
            record.expression,
            box,
            record.history,
            tags=record.tags if self.tagged else (),
            instruction=wording if record.history else wording(),
            candidates=self.row.candidates and self.row.candidates(record),
            decoding=None if self.row.candidates else decoding_presets(self._preset)[self.row.task],
            max_prompt_tokens=max_prompt_tokens,
        )

    def score(self, read: ReadPredictions, *, blind: bool) -> Result:
        scores, answered, skipped = self._scored(read)
        files = {"samples.jsonl": "".join(json.dumps(_line(one), ensure_ascii=False) + "\n" for one in answered)}
        if self.row.results and not (skipped and self.row.results_in_order):
            name, text = self.row.results(answered, self.row.split)
            files[f"results/{name}"] = text
        samples = len({self.row.sample(one.record) for one in answered})
        facts = {"samples": samples, "official": self.official, "skipped": skipped, "rules": dict(self.row.rules)}
        return Result(scores, facts=facts, files=lambda record: files)

    def paired(self, read: ReadPredictions, other: ReadPredictions) -> tuple[ScoredRecords, ScoredRecords, list[int]]:
        """The scores of two models on the samples that both have answered, and the place of each sample's first record.

        Raises: LionError if there is none.
        """
        found = [reader(self.name) for reader in (read, other)]
        both = [
            one for one in self.selection.records if all(SKIPPED not in got.get(one.id, _NO_ANSWER) for got in found)
        ]
        answered = Counter(map(self.row.sample, both))
        records = [one for one in both if answered[self.row.sample(one)] == self.row.size(one)]
        if not records:
            raise LionError(f"{self.name}: the two runs have no sample in common")
        first: dict[object, int] = {}
        for place, record in enumerate(records):
            first.setdefault(self.row.sample(record), place)
        scored, others = (self.row.score(records, got) for got in found)
        return scored, others, list(first.values())

    def sample_scores(self, read: ReadPredictions) -> list[SampleScore]:
        return [self._sample_score(*one) for one in self._scored(read)[1]]

    def _sample_score(self, record: Record, prompt: str, text: str, parsed: Any, score: float) -> SampleScore:
        located = self.row.task == Task.REC
        answers = " / ".join(dict.fromkeys(record.answers))
        reference = format_box(record.box.clamp()) if located and record.box else answers
        image, predicted = partial(open_image, record.image), first_box(text) if located else None
        boxes = (record.box, predicted, HIT if located else 1.0)
        return SampleScore(self.title, record.id, prompt, text, reference, score, image, *boxes)

    def _scored(
        self, read: ReadPredictions
    ) -> tuple[Mapping[str, Estimate], list[AnsweredRecord], list[dict[str, str]]]:
        """The scores, the answered records, and id and reason of the skipped ones. Raises: as :meth:`score`."""
        records = self.selection.records
        found = read_all(read, self.name, [record.id for record in records])
        failed = [record for record in records if SKIPPED in found[record.id]]
        skipped = [*self.selection.skipped, *((record.id, found[record.id][SKIPPED]) for record in failed)]
        left_out = set(map(self.row.sample, failed))
        kept = [record for record in records if self.row.sample(record) not in left_out]
        if not kept:
            raise LionError(f"{self.name}: every sample was skipped, the first because {skipped[0][1]}")
        scores, parsed, samples, _ = self.row.score(kept, found)
        answered = [
            AnsweredRecord(record, found[record.id]["asked"], found[record.id]["text"], value, float(score))
            for record, value, score in zip(kept, parsed, samples, strict=True)
        ]
        return scores, answered, [{"id": key, "reason": reason} for key, reason in skipped]


def _prompt_of(request: Request) -> str:
    """The instruction, with all earlier rounds."""
    words = request.instruction
    return words(request.history) if callable(words) else words or ""


def _line(one: AnsweredRecord) -> dict[str, Any]:
    """A line of samples.jsonl."""
    score = round(one.score, 6)
    return {"id": one.record.id, "prompt": one.prompt, "text": one.text, "answer": one.parsed, "score": score}
