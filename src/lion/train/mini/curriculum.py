"""What the language model is taught while it is pretrained: a scene told as symbols or in words, and a question on it.

Early lessons are about few things, bare and clean; later ones as messy as visual tokens will be: each thing up to
twice, fillers in between, tags before the question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from lion.boxes import Box, format_box
from lion.data.sources.world import instruction_and_answer
from lion.prompts import Task, tag_prompt
from lion.train.recipe import WorldData
from lion.train.stages import PretrainLanguageOptions
from lion.world import COLOURS, Scene, scene

_FEW = 3
"""Most things in the scenes of the start, at its end."""
FINDING = frozenset({Task.REC, Task.REG, Task.VQA})
"""Tasks of the first part of a run, where texts are bare and all there is to learn is who is meant."""
_SYMBOLS = 24
"""Most symbols a scene is told in."""
_COPIES = 2
"""Most symbols a thing is told in: the two kinds of visual tokens will repeat it, too."""
_OVERLOOKED = 0.3
"""Chance that a thing asked for, and named by a tag, is not told."""


@dataclass(frozen=True)
class Lesson:
    """What the rows of a batch have in common."""

    task: Task
    mess: float = 1.0
    """How messy symbols are, 0 to 1."""
    filled: float = 0.0
    """Share of the room that things leave which fillers take, in full mess."""
    tagged: bool = False
    """Whether tags stand before the instruction."""
    bare: bool = False
    placed: bool = False
    loose: float = 0.0
    """All three as :func:`lion.data.sources.world.instruction_and_answer` takes them."""


@dataclass(frozen=True)
class Symbol:
    """A thing, or a filler that names the scenery."""

    words: tuple[str, ...]
    box: Box | None = None
    thing: int | None = None
    """Its index in the scene; a filler has neither this nor a box."""


@dataclass(frozen=True)
class Row:
    """One scene, told, and one instruction with its answer."""

    scene: Scene
    task: Task
    text: str
    answer: str
    meta: Mapping[str, Any]
    """What the question is about, as :func:`lion.data.sources.world.instruction_and_answer` returns it."""
    symbols: Sequence[Symbol]


class Lessons:
    """Lessons of a run, and the rows of each.

    Args:
        data: the scenes to tell, the weights of tasks, the noise of tags.
        options: how scenes are told and what comes first.
        decimals: decimals of boxes in text.
    """

    def __init__(self, data: WorldData, options: PretrainLanguageOptions, decimals: int) -> None:
        self.data, self.options, self.decimals = data, options, decimals

    @property
    def tasks(self) -> Sequence[Task]:
        """All tasks of the run."""
        return list(self.data.tasks)

    def rows(self, done: float, count: int, rng: np.random.Generator) -> tuple[Lesson, list[Row]]:
        """A batch of `count` rows when `done` of the run (0 to 1) is over, and what they have in common."""
        finding = done < self.options.curriculum_grounding
        tasks = [task for task in self.tasks if task in FINDING or not finding]
        weights = np.array([self.data.tasks[task] for task in tasks])
        edges = np.cumsum(weights) / weights.sum()
        task = tasks[int(np.searchsorted(edges, rng.random(), side="right"))]
        indices = [int(rng.random() * self.data.scenes) for _ in range(count)]
        lesson = Lesson(
            task,
            mess=_mess(done),
            filled=rng.random(),
            tagged=not finding and rng.random() < self._tagged,
            bare=finding,
            # Of all that can be asked, where things are to one another takes longest.
            placed=rng.random() < (0.4 if finding or task == Task.REC else 0.15),
            loose=self.data.word_dropout,
        )
        most = most_things(done, self.options.curriculum_few_objects)
        return lesson, [self._row(_laid_out(index, most), lesson, rng) for index in indices]

    def question(self, shown: Scene, task: Task, rng: np.random.Generator) -> Row:
        """A scene told as at the end of a run, and a question about it."""
        return self._row(shown, Lesson(task, filled=rng.random(), tagged=rng.random() < self._tagged), rng)

    @property
    def _tagged(self) -> float:
        """Share of instructions with tags before them."""
        return self.data.tags.share if self.data.tags else 0.0

    def _row(self, shown: Scene, lesson: Lesson, rng: np.random.Generator) -> Row:
        text, answer, meta = instruction_and_answer(
            shown, lesson.task, rng, self.decimals, bare=lesson.bare, placed=lesson.placed, word_dropout=lesson.loose
        )
        tags: Sequence[str] | None = None
        if lesson.tagged and self.data.tags is not None:
            tags = self.data.tags.corrupted(shown, rng)
        symbols: Sequence[Symbol] = ()
        if self.options.scene_as == "text":
            text = f"{_told(shown, rng)} {text}"
        else:
            symbols = _symbols(shown, rng, lesson, _overlooked(shown, text, meta, tags or (), rng))
        return Row(shown, lesson.task, text if tags is None else tag_prompt(tags) + text, answer, meta, symbols)


def most_things(done: float, few_first: float) -> int | None:
    """Most things in a scene when `done` of a run is over: one, then more, up to three; None once they are as usual."""
    return None if done >= few_first else 1 + int(done / few_first * _FEW)


def _mess(done: float) -> float:
    """How messy symbols are, 0 to 1: clean ones until the model can match words, then more and more so."""
    return min(max((done - 0.35) / 0.25, 0.0), 1.0)


@lru_cache(maxsize=1 << 16)
def _laid_out(index: int, most: int | None) -> Scene:
    return scene("train", index, max_objects=most)


def _overlooked(
    shown: Scene, text: str, meta: Mapping[str, Any], tags: Sequence[str], rng: np.random.Generator
) -> Sequence[int]:
    """Things to leave untold although asked for, now and then, where tags name them: else nobody would read tags."""
    asked = meta.get("about", ())
    if meta.get("kind") != "exists" or not asked or any(colour in text.split() for colour in COLOURS):
        return ()
    category = shown.objects[asked[0]].category
    if category not in tags or rng.random() >= _OVERLOOKED:
        return ()
    return [index for index, thing in enumerate(shown.objects) if thing.category == category]


def _symbols(shown: Scene, rng: np.random.Generator, lesson: Lesson, overlooked: Sequence[int]) -> list[Symbol]:
    """A scene as symbols in any order; in full mess each thing up to twice, fillers in between."""
    symbols: list[Symbol] = []
    for index, thing in enumerate(shown.objects):
        if index in overlooked:
            continue
        symbol = Symbol((thing.size, thing.colour, thing.category), thing.box, index)
        symbols += [symbol] * (1 + int(rng.random() * lesson.mess * _COPIES))
    symbols += [Symbol((shown.theme,))] * int(lesson.filled * lesson.mess * max(_SYMBOLS - len(symbols), 0))
    return [symbols[place] for place in rng.permutation(len(symbols))]


def _told(shown: Scene, rng: np.random.Generator) -> str:
    """A scene in words, things in any order."""
    things = [
        f"{thing.size} {thing.colour} {thing.category} {format_box(thing.box, 2)}"
        for thing in (shown.objects[place] for place in rng.permutation(len(shown.objects)))
    ]
    return f"{shown.theme}: " + ", ".join(things) + "."
