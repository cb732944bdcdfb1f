"""Training samples from the drawn world: pictures from a cache, words made anew at every draw."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

import numpy as np

from lion.boxes import Box, format_box
from lion.data.pictures import Pictures, Report
from lion.data.sample import Sample
from lion.data.tag_noise import TagNoise
from lion.model.image_processing_lion import LionImageProcessor
from lion.prompts import INSTRUCTIONS, Task, dialog_instruction, instruction
from lion.random import below, chance, pick
from lion.world import language
from lion.world.dialog import dialog
from lion.world.draw import render
from lion.world.scene import Scene, scene
from lion.world.templates import is_held_out
from lion.world.vocabulary import WORLD_VERSION


class WorldSource:
    """Scenes of one split.

    Args:
        image_processor: resizes the pictures, so that they are what the model sees in use.
        split: "train" or "val" (or "test", for an evaluation).
        scenes: number of scenes.
        tasks: mixing weight of each task.
        pixels: side of the drawn picture before the resize.
        tags: noise of the tags, or None for prompts without tags.
        decimals: decimals of boxes in text (the processor's `box_decimals`).
        loose: how freely instructions and questions are worded (:func:`say`).
    """

    def __init__(
        self,
        image_processor: LionImageProcessor,
        split: str,
        scenes: int,
        tasks: Mapping[Task, float],
        *,
        pixels: int = 256,
        tags: TagNoise | None = None,
        decimals: int = 3,
        loose: float = 0.0,
    ) -> None:
        self.split, self.scenes, self.tasks, self.tags = split, scenes, tasks, tags
        self.decimals, self.loose = decimals, loose
        draw = partial(_draw, split, pixels, image_processor)
        self._pictures = Pictures(_key(split, pixels, image_processor), scenes, draw)

    def __len__(self) -> int:
        return self.scenes

    def prepare(self, report: Report | None = None) -> None:
        """Draw all pictures that are not in the cache yet."""
        self._pictures.prepare(report)

    def indices(self, task: Task) -> range:
        """Every scene serves every task."""
        return range(self.scenes)

    def scene(self, index: int) -> Scene:
        """Scene number `index`."""
        return _scene(self.split, index)

    def picture(self, index: int) -> np.ndarray:
        """Its picture at the model's size, uint8 (S, S, 3)."""
        return self._pictures[index]

    def name(self, index: int, task: Task) -> str:
        """Scene id and task."""
        return f"{self.scene(index).id}:{task}"

    def sample(self, index: int, task: Task, rng: np.random.Generator) -> Sample:
        """A sample of `task` on scene `index`; every scene allows every task."""
        shown = self.scene(index)
        text, answer, meta = say(shown, task, rng, self.decimals, loose=self.loose)
        tags = self.tags.tags(shown, rng) if self.tags else None
        return Sample(f"{shown.id}:{task}", self.picture(index), task, text, answer, tags, {"scene": shown, **meta})


@lru_cache(maxsize=1 << 16)
def _scene(split: str, number: int) -> Scene:
    """Laying out a scene costs as much as saying something about it, and a run comes back to each many times."""
    return scene(split, number)


Said = tuple[str, str, dict[str, Any]]

_PUT_IN = ("in", "the", "image", "do", "you", "see", "can", "there")
_LEFT_OUT = frozenset((*_PUT_IN, "is", "are", "a", "an", "any"))
"""Words of questions that come and go without changing what is asked."""


def say(
    shown: Scene,
    task: Task,
    rng: np.random.Generator,
    decimals: int = 3,
    *,
    bare: bool = False,
    placed: bool = False,
    loose: float = 0.0,
) -> Said:
    """One instruction about a scene, its answer, and what scoring needs (`kind` of question or expression, `box`).

    `about` in the third part lists the objects that are meant; it is missing for captions, which mean all of them.

    Args:
        shown: the scene.
        task: any.
        rng: chooses what is asked and in which wording.
        decimals: decimals of boxes in text.
        bare: the phrase, the question or the box alone instead of an instruction around it; phrases then name the
            thing ("the red cat") and do not place it ("the second cat from the left").
        placed: ask by where things are, if the scene allows it. VQA: where one thing is to another, both named by their
            category. REC: a phrase that places the thing (unless bare).
        loose: chance that a word of the instruction around question, phrase and box is left out; every other
            question is loosened, too (:func:`loosened`).
    """
    if placed and task == Task.VQA:
        slots, answer, meta = _vqa(shown, rng, language.relation(shown, rng, plain=True))
    elif task == Task.REC and (bare or placed):
        slots, answer, meta = _of_kinds(shown, rng, ("unique", "attribute") if bare else ("relation", "ordinal"))
    else:
        slots, answer, meta = _CONTENT[task](shown, rng)
    if loose and "question" in slots and chance(rng, 0.5):
        slots = {**slots, "question": loosened(slots["question"], rng, loose / 2)}
    spoken = format_box(answer, decimals) if isinstance(answer, Box) else answer
    if bare:
        box = slots.get("box")
        text = slots.get("question") or slots.get("expression") or (format_box(box, decimals) if box else str(task))
        return text, spoken, meta
    template = below(rng, len(INSTRUCTIONS[task]))
    leave_out = partial(chance, rng, loose) if loose else None
    if task == Task.DIALOG:
        history, question = slots["history"], slots["question"]
        return dialog_instruction(history, question, template=template, leave_out=leave_out), spoken, meta
    return instruction(task, template=template, decimals=decimals, leave_out=leave_out, **slots), spoken, meta


def loosened(question: str, rng: np.random.Generator, share: float) -> str:
    """A question with words left out and put in that say nothing: there are more wordings than a run is trained on.

    Names, relations, "how many", "what color", "it" and "they" stay, in their order; no held-out wording comes of it.
    Without this "in the image" comes to mean that something is looked for, since only such questions have it
    (``docs/log.md``).

    Args:
        question: as a template says it.
        rng: decides.
        share: chance of each word that may go to go, and of each place to get one more.
    """
    while True:
        words: list[str] = []
        for word in (*question.removesuffix("?").split(), ""):
            while chance(rng, share):
                words.append(pick(rng, _PUT_IN))
            if word and not (word in _LEFT_OUT and chance(rng, share)):
                words.append(word)
        loose = " ".join(words) + "?"
        if loose == question or not is_held_out(loose):
            return loose


def _meant(asked: language.Question) -> tuple[int, ...]:
    """Objects that a question speaks of; none where it asks for what is not there, however alike others are."""
    return () if (asked.kind, asked.answer) == ("exists", "no") else asked.about


Content = tuple[dict[str, Any], str | Box, dict[str, Any]]
"""What fills an instruction's slots, the answer, and what scoring needs."""


def _caption(shown: Scene, rng: np.random.Generator) -> Content:
    return {}, language.caption(shown, rng), {}


def _vqa(shown: Scene, rng: np.random.Generator, asked: language.Question | None = None) -> Content:
    asked = asked or language.vqa(shown, rng)
    return {"question": asked.question}, asked.answer, {"kind": asked.kind, "about": _meant(asked)}


_TURNS = 0.5
"""Share of dialogs that turn to another subject and are asked after it.

The world's own dialogs keep to theirs, so that a question's place tells what it asks; a model that learns from those
alone answers "is there a kite?" after "what color is it?" with a colour (``docs/log.md``).
"""


def _dialog(shown: Scene, rng: np.random.Generator) -> Content:
    rounds = dialog(shown, rng)
    first = 0
    if chance(rng, _TURNS):
        first = 1 + below(rng, 2)
        another = dialog(shown, rng)[:3] if chance(rng, 0.5) else (language.vqa(shown, rng), language.vqa(shown, rng))
        rounds = (*rounds[:first], *another)
    now = first + below(rng, len(rounds) - first)
    history = [(before.question, before.answer) for before in rounds[:now]]
    meta = {"kind": rounds[now].kind, "about": _meant(rounds[now]), "round": now}
    return {"question": rounds[now].question, "history": history}, rounds[now].answer, meta


def _of_kinds(shown: Scene, rng: np.random.Generator, kinds: tuple[str, str]) -> Content:
    """A phrase of one of two kinds, half and half; any phrase where the scene allows neither."""
    found = (language.expression(shown, rng, kind) for kind in (kinds if chance(rng, 0.5) else kinds[::-1]))
    return _meaning(shown, next((meant for meant in found if meant), None) or language.expression(shown, rng))


def _rec(shown: Scene, rng: np.random.Generator) -> Content:
    return _meaning(shown, language.expression(shown, rng))


def _meaning(shown: Scene, meant: language.Expression) -> Content:
    box = shown.objects[meant.target].box
    return {"expression": meant.text}, box, {"kind": meant.kind, "about": (meant.target,), "box": box}


def _reg(shown: Scene, rng: np.random.Generator) -> Content:
    target = below(rng, len(shown.objects))
    box = shown.objects[target].box
    return {"box": box}, language.describe(shown, target), {"about": (target,), "box": box}


_CONTENT = {Task.CAPTION: _caption, Task.VQA: _vqa, Task.DIALOG: _dialog, Task.REC: _rec, Task.REG: _reg}


def _key(split: str, pixels: int, processor: LionImageProcessor) -> str:
    """Name of the folder in the cache: everything its pixels depend on."""
    facts = [WORLD_VERSION, split, pixels, processor.image_size]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
    return f"world-{split}-{processor.image_size}px-{digest}"


def _draw(split: str, pixels: int, processor: LionImageProcessor, number: int) -> np.ndarray:
    return processor.resize(render(scene(split, number), pixels))
