"""The drawn world's frozen questions as a benchmark.

Every set of `lion.world.test_questions` goes through LionPipeline with its default prompts, images at the world's 256
pixels and tags from the model's own tagger. Dialog rounds are repeated without their history, and the tagger is scored
on its own.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from typing import Any, ClassVar, Self, cast

import numpy as np
from PIL import Image

from lion.boxes import format_box
from lion.errors import LionError
from lion.eval.benchmark import Benchmark, ReadPredictions, Result, SampleScore, read_all
from lion.eval.predictions import Prediction
from lion.eval.questions import QuestionSet
from lion.eval.world import report as world_report
from lion.eval.world.scores import Sources, references, score_questions, score_tagger
from lion.metrics.rec import HIT, first_box
from lion.pipeline import LionPipeline, Request, Verb
from lion.prompts import Task
from lion.tagging import RamTagger
from lion.world import CATEGORIES, QUESTION_SETS, WORLD_VERSION, Scene, render, scene, tags, test_questions
from lion.world import TestQuestion as Question
from lion.world.questions import frozen
from lion.world.scoring import score_answers

WITHOUT_HISTORY = "dialog-without-history"
TAGGER = "tagger"
SETS = (*QUESTION_SETS, WITHOUT_HISTORY)
_PREFIXES = ("", "blind/")
"""Prefixes of predictions files: of the run itself, and of the one with grey images."""

_SAMPLE_SCORE = {str(Task.CAPTION): "precision", str(Task.REC): "mean_iou", str(Task.REG): "both"}
"""The score of a single answer; accuracy for all others."""
_GREY = (128, 128, 128)
_PIXELS = 256


@dataclass(frozen=True)
class WorldBenchmark(Benchmark):
    """See :class:`lion.eval.benchmark.Benchmark`.

    Args:
        split: "test", or "val" to choose between models.
        limit: the first so many questions of each set.
        tagged: whether the prompts hold the tagger's tags.

    Raises: LionError for a limit below 1, or a split without frozen questions.
    """

    name: ClassVar[str] = "world"

    split: str = "test"
    limit: int = 1000
    tagged: bool = True

    def __post_init__(self) -> None:
        if self.split not in ("test", "val"):
            raise LionError(f"the world has frozen questions for test and val, not for {self.split!r}; choose one")
        if self.limit < 1:
            raise LionError(f"limit={self.limit} must be at least 1")

    @classmethod
    def of(cls, run: Mapping[str, Any]) -> Self:
        """The benchmark of a recorded run."""
        return cls(run["settings"]["split"], run["limit"], run["settings"]["tags"])

    @property
    def label(self) -> str:
        return f"{self.name}-{self.split}" + ("" if self.tagged else "-no-tags")

    @property
    def settings(self) -> dict[str, Any]:
        fingerprint = hashlib.sha256(json.dumps(frozen(), sort_keys=True).encode()).hexdigest()[:32]
        world = {"world_version": WORLD_VERSION, "world_fingerprint": fingerprint}
        return {"split": self.split, "tags": self.tagged, **world}

    def question_sets(self, pipeline: LionPipeline, *, blind: bool) -> list[QuestionSet]:
        """The tagger's, if there is a tagger, and SETS, with `blind` twice."""
        decimals = pipeline.processor.box_decimals
        sets: list[QuestionSet] = []
        if isinstance(pipeline.tagger, RamTagger):
            # First: a run without its answers is one that had no tagger, not one that was stopped before.
            scenes, split = self._scenes(), self.split
            ids, truth = [one.id for one in scenes], list(map(tags, scenes))
            sets.append(_TaggerQuestions(TAGGER, ids, (), lambda i: Request(_image(split, i), Verb.TAG), (), truth))
        for prefix in _PREFIXES[: 1 + blind]:
            for name in SETS:
                questions = self.questions(name)
                ids, prompts = [one.id for one in questions], [one.instruction(decimals) for one in questions]
                ask = partial(self._request, questions, decimals, bool(prefix))
                sets.append(QuestionSet(prefix + name, ids, prompts, ask, (), [one.answer for one in questions]))
        return sets

    def questions(self, name: str) -> tuple[Question, ...]:
        """The questions of one of SETS."""
        return _questions(name, self.limit, self.split)

    def _scenes(self) -> list[Scene]:
        """The scenes that the tagger is scored on."""
        return [_scene(self.split, index) for index in range(self.limit)]

    def _request(self, questions: Sequence[Question], decimals: int, blind: bool, index: int) -> Request:
        """A question for the pipeline; a blind one with a grey image and no tags."""
        one = questions[index]
        return Request(
            Image.new("RGB", (_PIXELS, _PIXELS), _GREY) if blind else _image(one.split, one.scene_index),
            Verb.of(one.task),
            text=one.expression if one.task == Task.REC else one.question,
            box=one.box if one.task == Task.REG else None,
            history=one.history,
            tags=None if self.tagged and not blind else (),
            instruction=None if one.held_out_instruction is None else one.instruction(decimals),
        )

    def score(self, read: ReadPredictions, *, blind: bool) -> Result:
        found: dict[str, Sources] = {}
        for name in SETS:
            questions = self.questions(name)
            texts = {}
            for source, prefix in list(zip(("model", "blind_run"), _PREFIXES, strict=True))[: 1 + blind]:
                predictions = read_all(read, prefix + name, [one.id for one in questions])
                texts[source] = [predictions[one.id]["text"] for one in questions]
            scenes = [_scene(one.split, one.scene_index) for one in questions]
            found |= score_questions(name, questions, scenes, texts)
        if read(TAGGER):
            scenes = self._scenes()
            predictions = read_all(read, TAGGER, [one.id for one in scenes])
            # A category that the tagger does not know is never found.
            rows = [[predictions[one.id]["scores"].get(tag, 0.0) for tag in CATEGORIES] for one in scenes]
            found |= score_tagger(TAGGER, np.array(rows), scenes)
        return Result(
            {key: sources["model"] for key, sources in found.items()},
            {key: references(key, sources) for key, sources in found.items()},
            files=lambda record: {"report.md": world_report.markdown(record, self.label)},
        )

    def sample_scores(self, read: ReadPredictions) -> list[SampleScore]:
        found = {name: read_all(read, name, [one.id for one in self.questions(name)]) for name in SETS}
        return [
            self._sample_score(name, one, predictions[one.id])
            for name, predictions in found.items()
            for one in self.questions(name)
        ]

    def _sample_score(self, name: str, one: Question, prediction: Prediction) -> SampleScore:
        prompt, text, located = prediction["asked"], prediction["text"], one.task == Task.REC
        shown = _scene(one.split, one.scene_index)
        scores = score_answers(one.set, [text], [one.answer], [{"box": one.box}], [shown])
        score = scores[_SAMPLE_SCORE.get(one.set, "accuracy")].value
        reference = format_box(one.box) if located and one.box else one.answer
        image, predicted = partial(render, shown), first_box(text) if located else None
        boxes = (one.box, predicted, HIT if located else 1.0)
        return SampleScore(f"{self.label}: {name}", one.id, prompt, text, reference, score, image, *boxes)


class _TaggerQuestions(QuestionSet):
    """The score of every category by the tagger alone, for each scene."""

    def answer(self, pipeline: LionPipeline, indices: Sequence[int]) -> list[Prediction]:
        """The scores of these scenes, to 6 digits."""
        tagger = pipeline.tagger
        assert isinstance(tagger, RamTagger)
        columns = {tag: tagger.tags.index(tag) for tag in CATEGORIES if tag in tagger.tags}
        rows = tagger.scores([cast(Image.Image, self.request(index).image) for index in indices]).tolist()
        return [
            {"true": self.references[index], "scores": {tag: float(f"{row[at]:.6g}") for tag, at in columns.items()}}
            for index, row in zip(indices, rows, strict=True)
        ]


@lru_cache(maxsize=64)
def _image(split: str, index: int) -> Image.Image:
    return render(_scene(split, index), _PIXELS)


@lru_cache(maxsize=4096)
def _scene(split: str, index: int) -> Scene:
    return scene(split, index)


@cache
def _questions(name: str, samples: int, split: str) -> tuple[Question, ...]:
    if name == WITHOUT_HISTORY:
        return tuple(replace(one, history=()) for one in test_questions(str(Task.DIALOG), samples, split=split))
    return tuple(test_questions(name, samples, split=split))
