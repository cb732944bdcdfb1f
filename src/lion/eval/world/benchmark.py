"""The frozen questions of the drawn world, put to a model the way people put them.

Every set of `lion.world.test_questions` is asked through LionPipeline: pictures at the world's 256 pixels, tags from
the model's own tagger. Dialog rounds are asked a second time without their history, and the tagger is scored by itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from lion.errors import LionError
from lion.eval.benchmark import Outcome, Part, Rows
from lion.eval.predictions import Row
from lion.eval.score import Score
from lion.eval.world import baselines
from lion.eval.world import report as world_report
from lion.metrics import Estimate, mean_average_precision
from lion.pipeline import LionPipeline, Request, Verb
from lion.prompts import Task
from lion.tagging import RamTagger
from lion.world import (
    CATEGORIES,
    EXPRESSION_KINDS,
    POPE_TASKS,
    QUESTION_SETS,
    VQA_KINDS,
    WORLD_VERSION,
    Scene,
    render,
    scene,
    tags,
    test_questions,
)
from lion.world import TestQuestion as Question
from lion.world.questions import frozen
from lion.world.scoring import score_answers

ALONE = "dialog-without-history"
TAGGER = "tagger"
SETS = (*QUESTION_SETS, ALONE)
BARS = {
    "caption/precision": 0.90,
    "caption/recall": 0.80,
    "vqa/accuracy": 0.85,
    "rec/accuracy@0.5": 0.80,
    "rec/mean_iou": 0.60,
    "reg/both": 0.80,
    "pope-adversarial/f1": 0.90,
    "tagger/map": 0.95,
}
"""What lion-mini was to reach on the test split, set before it was trained."""

_POPE_SCORES = ("f1", "accuracy", "precision", "recall", "yes_ratio")
_TABLE = (
    "caption/precision", "caption/recall",
    "vqa/accuracy", *(f"vqa/accuracy/{kind}" for kind in VQA_KINDS),
    "dialog/accuracy", f"{ALONE}/accuracy",
    "dialog/accuracy/needs-history", f"{ALONE}/accuracy/needs-history",
    "rec/accuracy@0.5", *(f"rec/accuracy@0.5/{kind}" for kind in EXPRESSION_KINDS),
    "rec/accuracy@0.75", "rec/mean_iou", "rec/unparsed",
    "reg/both", "reg/category", "reg/colour",
    *(f"{name}/{score}" for name in reversed(POPE_TASKS) for score in _POPE_SCORES),
    f"{TAGGER}/map",
)  # fmt: skip
_DETAILED = (
    "caption/precision", "caption/recall", "vqa/accuracy", "dialog/accuracy", "rec/accuracy@0.5", "reg/both",
    f"{TAGGER}/map",
)  # fmt: skip
_WORTH = {str(Task.CAPTION): "precision", str(Task.REC): "mean_iou", str(Task.REG): "both"}
"""The score that says what a single answer is worth; accuracy for all others."""
_GREY = (128, 128, 128)
_PIXELS = 256
_AXES: Mapping[str, Callable[[Question], bool]] = {
    "held-out-pair": lambda one: one.held_out_pair,
    "held-out-wording": lambda one: one.held_out_wording,
    "held-out-instruction": lambda one: one.held_out_instruction is not None,
    "needs-history": lambda one: one.needs_history,
}
_OTHERS = {
    "held-out-pair": "seen-pair",
    "held-out-wording": "trained-wording",
    "held-out-instruction": "trained-instruction",
    "needs-history": "needs-no-history",
}


@dataclass(frozen=True)
class WorldBenchmark:
    """The drawn world as a benchmark; see :class:`lion.eval.benchmark.Benchmark`.

    Args:
        split: "test", or "val" for choosing between models.
        limit: the first so many questions of each set.
        tagged: whether the prompts hold the tagger's tags.

    Raises:
        LionError: a limit of none, or a split that has no frozen questions.
    """

    name: ClassVar[str] = "world"
    tasks: ClassVar[tuple[Task, ...]] = tuple(Task)
    notes: ClassVar[dict[str, Any]] = {}
    table: ClassVar[tuple[str, ...]] = _TABLE
    """The scores that the printed table shows, in its order."""
    detailed: ClassVar[tuple[str, ...]] = _DETAILED
    """The scores whose slices report.md shows as well."""

    split: str = "test"
    limit: int = 1000
    tagged: bool = True

    def __post_init__(self) -> None:
        if self.split not in ("test", "val"):
            raise LionError(f"the world has frozen questions for test and val, not for {self.split!r}; choose one")
        if self.limit < 1:
            raise LionError(f"limit={self.limit} asks nothing; give at least 1")

    @classmethod
    def of(cls, run: Mapping[str, Any]) -> WorldBenchmark:
        return cls(run["settings"]["split"], run["limit"], run["settings"]["tags"])

    @property
    def label(self) -> str:
        return f"{self.name}-{self.split}" + ("" if self.tagged else "-no-tags")

    @property
    def settings(self) -> dict[str, Any]:
        fingerprint = hashlib.sha256(json.dumps(frozen(), sort_keys=True).encode()).hexdigest()[:32]
        return {
            "split": self.split,
            "tags": self.tagged,
            "world_version": WORLD_VERSION,
            "world_fingerprint": fingerprint,
        }

    # -- asking -------------------------------------------------------------------------------------------------------

    def prepared(self, pipeline: LionPipeline) -> LionPipeline:
        """As it is: the world is asked the way people ask."""
        return pipeline

    def parts(self, pipeline: LionPipeline, *, blind: bool) -> list[Part]:
        # The tagger first: a run without its answers is one that had no tagger, not one that was stopped before.
        parts = [self._tagger_part(pipeline.tagger)] if isinstance(pipeline.tagger, RamTagger) else []
        parts += [self._part(pipeline, name, False) for name in SETS]
        if blind:
            parts += [self._part(pipeline, name, True) for name in SETS]
        return parts

    def questions(self, name: str) -> tuple[Question, ...]:
        """The questions of one of SETS."""
        return _questions(name, self.limit, self.split)

    def _part(self, pipeline: LionPipeline, name: str, blind: bool) -> Part:
        asked = self.questions(name)
        decimals = pipeline.processor.box_decimals

        def ask(numbers: Sequence[int]) -> list[Row]:
            chosen = [asked[number] for number in numbers]
            answers = pipeline.answer([self._request(one, blind, decimals) for one in chosen])
            return [
                {"asked": one.instruction(decimals), "true": one.answer, "text": answer.text, "tags": list(answer.tags)}
                | ({"note": answer.note} if answer.note else {})
                for one, answer in zip(chosen, answers, strict=True)
            ]

        return Part(_file(name, blind), [one.id for one in asked], ask)

    def _request(self, one: Question, blind: bool, decimals: int) -> Request:
        """A question as the pipeline takes it; blind ones show grey and no tags."""
        return Request(
            Image.new("RGB", (_PIXELS, _PIXELS), _GREY) if blind else _picture(one.split, one.scene_index),
            Verb.of(one.task),
            text=one.expression if one.task == Task.REC else one.question,
            box=one.box if one.task == Task.REG else None,
            history=one.history,
            tags=None if self.tagged and not blind else (),
            instruction=None if one.held_out_instruction is None else one.instruction(decimals),
        )

    def _tagger_part(self, tagger: RamTagger) -> Part:
        shown = [scene(self.split, index) for index in range(self.limit)]
        columns = {tag: column for column, tag in enumerate(tagger.tags)}

        def ask(numbers: Sequence[int]) -> list[Row]:
            found = tagger.scores([_picture(self.split, number) for number in numbers]).tolist()
            return [
                {
                    "true": tags(shown[number]),
                    "scores": {tag: float(f"{row[columns[tag]]:.6g}") for tag in CATEGORIES if tag in columns},
                }
                for number, row in zip(numbers, found, strict=True)
            ]

        return Part(TAGGER, [one.id for one in shown], ask)

    # -- scoring ------------------------------------------------------------------------------------------------------

    def score(self, rows: Rows, *, blind: bool) -> Outcome:
        scores: dict[str, Score] = {}
        for name in SETS:
            scores |= self._score_set(name, rows, blind)
        if found := rows(TAGGER):
            scores |= self._score_tagger(found)
        return Outcome(
            scores,
            files=lambda record: {"report.md": world_report.markdown(record, self.label, _TABLE, _DETAILED)},
        )

    def worth(self, name: str, one: Question, text: str) -> float:
        """What one answer of one of SETS is worth by itself: 1 is right, 0 is wrong; of REC its IoU."""
        base = _base(name)
        found = score_answers(base, [text], [one.answer], [{"box": one.box}], [_scene(one.split, one.scene_index)])
        return found[_WORTH.get(base, "accuracy")].value

    def _score_set(self, name: str, rows: Rows, blind: bool) -> dict[str, Score]:
        asked = self.questions(name)
        ids, base = [one.id for one in asked], _base(name)
        texts = {
            "ours": _texts(rows, _file(name, False), ids),
            "blind": baselines.blind_answers(base, asked),
            "random": baselines.random_answers(base, asked),
        }
        if blind:
            texts["blind_run"] = _texts(rows, _file(name, True), ids)
        shown = [_scene(one.split, one.scene_index) for one in asked]
        scores: dict[str, Score] = {}
        for part, numbers in _slices(asked).items():
            chosen, scenes = [asked[i] for i in numbers], [shown[i] for i in numbers]
            answers, metas = [one.answer for one in chosen], [{"box": one.box} for one in chosen]
            found = {
                who: score_answers(base, [said[i] for i in numbers], answers, metas, scenes)
                for who, said in texts.items()
            }
            scores |= _named(name, part, found)
        return scores

    def _score_tagger(self, found: Mapping[str, Row]) -> dict[str, Score]:
        shown = [_scene(self.split, index) for index in range(self.limit)]
        _check_complete(TAGGER, [one.id for one in shown], found)
        given = [found[one.id]["scores"] for one in shown]
        tables = {
            "ours": np.array([[row.get(tag, 0.0) for tag in CATEGORIES] for row in given]),  # unknown: never found
            "blind": baselines.blind_tags(len(shown)),
            "random": baselines.random_tags(len(shown)),
        }
        truth = np.array([[tag in tags(one) for tag in CATEGORIES] for one in shown])
        novel = np.array([any(thing.held_out for thing in one.objects) for one in shown])
        scores: dict[str, Score] = {}
        for part, chosen in {"": np.ones_like(novel), "held-out-pair": novel, "seen-pair": ~novel}.items():
            if chosen.any() and (part == "" or not chosen.all()):
                maps = {who: mean_average_precision(table[chosen], truth[chosen]) for who, table in tables.items()}
                scores |= _named(TAGGER, part, {who: {"map": value} for who, value in maps.items()})
        return scores


@lru_cache(maxsize=64)
def _picture(split: str, index: int) -> Image.Image:
    return render(_scene(split, index), _PIXELS)


@lru_cache(maxsize=4096)
def _scene(split: str, index: int) -> Scene:
    return scene(split, index)


@cache
def _questions(name: str, samples: int, split: str) -> tuple[Question, ...]:
    asked = test_questions(_base(name), samples, split=split)
    return tuple(replace(one, history=()) for one in asked) if name == ALONE else tuple(asked)


def _base(name: str) -> str:
    """The question set behind one of SETS."""
    return str(Task.DIALOG) if name == ALONE else name


def _file(name: str, blind: bool) -> str:
    return f"blind/{name}" if blind else name


def _texts(rows: Rows, part: str, ids: Sequence[str]) -> list[str]:
    found = rows(part)
    _check_complete(part, ids, found)
    return [found[name]["text"] for name in ids]


def _check_complete(part: str, ids: Sequence[str], found: Mapping[str, Row]) -> None:
    missing = sum(name not in found for name in ids)
    if missing:
        raise LionError(f"{part}: {missing} of {len(ids)} are not answered yet; start the same lion eval again")


def _slices(asked: Sequence[Question]) -> dict[str, list[int]]:
    """Numbers of the questions in each slice: "" for all, each kind, and both sides of what the test split varies.

    POPE is not sliced: its one wording names no colour, so only what is present could be in a held-out one.
    """
    slices = {"": list(range(len(asked)))}
    if asked[0].set in POPE_TASKS:
        return slices
    kinds = dict.fromkeys(one.kind for one in asked)
    if len(kinds) > 1:
        slices |= {kind: [i for i, one in enumerate(asked) if one.kind == kind] for kind in sorted(kinds)}
    for axis, holds in _AXES.items():
        inside = [i for i, one in enumerate(asked) if holds(one)]
        outside = [i for i, one in enumerate(asked) if not holds(one)]
        if inside and outside:
            slices |= {axis: inside, _OTHERS[axis]: outside}
    return slices


def _named(name: str, part: str, found: Mapping[str, Mapping[str, Estimate]]) -> dict[str, Score]:
    """Everybody's estimates of one slice as scores with their full names."""
    scores: dict[str, Score] = {}
    for score in found["ours"]:
        key = "/".join(filter(None, (name, score, part)))
        each = {who: estimates[score] for who, estimates in found.items()}
        scores[key] = Score(**each, bar=BARS.get(key), directed=score not in ("unparsed", "yes_ratio"))
    return scores
