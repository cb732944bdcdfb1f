"""Training samples from the drawn world: images from a cache, instructions and answers generated at every draw."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from lion.boxes import Box, format_box
from lion.data.pictures import OnProgress, Pictures
from lion.data.sample import Sample
from lion.data.tag_noise import TagNoise
from lion.model.image_processing_lion import LionImageProcessor
from lion.prompts import INSTRUCTIONS, Task, instruction
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
        image_processor: resizes the images to the model's input size.
        split: "train" or "val" (or "test", for an evaluation).
        tasks: mixing weight of each task.
        pixels: side of the drawn picture before the resize.
        tags: noise of the tags, or None for prompts without tags.
        decimals: decimals of boxes in text (the processor's `box_decimals`).
        word_dropout: probability that a word of the wording is dropped (:func:`instruction_and_answer`).
        comparisons: probability that a dialog is drawn until it compares objects (the same).
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
        word_dropout: float = 0.0,
        comparisons: float = 0.0,
    ) -> None:
        self.split, self.scenes, self.tasks, self.tags = split, scenes, tasks, tags
        self.decimals, self.word_dropout, self.comparisons = decimals, word_dropout, comparisons
        draw = partial(_draw, split, pixels, image_processor)
        self._pictures = Pictures(_key(split, pixels, image_processor), scenes, draw)

    def __len__(self) -> int:
        return self.scenes

    def prepare(self, report: OnProgress | None = None) -> None:
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

    def length(self, index: int, task: Task) -> int:
        """The same for all: their texts are made when they are drawn."""
        return 0

    def sample(self, index: int, task: Task, rng: np.random.Generator) -> Sample:
        """A sample of `task` on scene `index`; every scene allows every task."""
        shown = self.scene(index)
        text, answer, meta = instruction_and_answer(
            shown, task, rng, self.decimals, word_dropout=self.word_dropout, comparisons=self.comparisons
        )
        tags = self.tags.tags(shown, rng) if self.tags else None
        return Sample(f"{shown.id}:{task}", self.picture(index), task, text, answer, tags, {"scene": shown, **meta})


_scene = lru_cache(maxsize=1 << 16)(scene)
"""Cached, since laying a scene out takes as long as generating its text, and a run draws each many times."""

_NEUTRAL = ("in", "the", "image", "do", "you", "see", "can", "there")
_DROPPABLE = frozenset((*_NEUTRAL, "is", "are", "a", "an", "any"))
"""Words of a question that can be inserted (the first) or dropped (all) without changing its meaning."""


def instruction_and_answer(
    shown: Scene,
    task: Task,
    rng: np.random.Generator,
    decimals: int = 3,
    *,
    bare: bool = False,
    placed: bool = False,
    word_dropout: float = 0.0,
    comparisons: float = 0.0,
) -> tuple[str, str, dict[str, Any]]:
    """An instruction about a scene, its answer, and what scoring needs (`kind` of question or expression, `box`).

    The last part also has `about`, the indices of the objects referred to, except for captions, which refer to all.

    Args:
        rng: draws content and wording.
        decimals: decimals of boxes in text.
        bare: the phrase, the question or the box without an instruction around it; phrases are then without spatial
            terms ("the red cat", not "the second cat from the left").
        placed: about positions where the scene allows it. VQA: the relation of two objects, each named by its
            category only. REC: a phrase with a relation or an ordinal (unless bare).
        word_dropout: probability that a word of the instruction, slots aside, is dropped; half of the questions are
            varied, too, at half this probability (:func:`vary_question`).
        comparisons: probability that a dialog is drawn until one of its rounds compares objects, which is then the one
            to answer; a scene without two objects of a category has none.
    """
    if placed and task == Task.VQA:
        fields, answer, meta = _vqa(shown, rng, language.relation(shown, rng, plain=True))
    elif task == Task.REC and (bare or placed):
        fields, answer, meta = _of_kinds(shown, rng, ("unique", "attribute") if bare else ("relation", "ordinal"))
    elif task == Task.DIALOG and comparisons and chance(rng, comparisons):
        fields, answer, meta = _comparison(shown, rng) or _dialog(shown, rng)
    else:
        fields, answer, meta = _CONTENT[task](shown, rng)
    if word_dropout and "question" in fields and chance(rng, 0.5):
        fields = {**fields, "question": vary_question(fields["question"], rng, word_dropout / 2)}
    target = format_box(answer, decimals) if isinstance(answer, Box) else answer
    if bare:
        box = fields.get("box")
        text = fields.get("question") or fields.get("expression") or (format_box(box, decimals) if box else str(task))
        return text, target, meta
    template = below(rng, len(INSTRUCTIONS[task]))
    drop_word = partial(chance, rng, word_dropout) if word_dropout else None
    return instruction(task, template=template, decimals=decimals, drop_word=drop_word, **fields), target, meta


def vary_question(question: str, rng: np.random.Generator, share: float) -> str:
    """A question with neutral words dropped and inserted at random, for more wordings than the templates have.

    Names, relations, "how many", "what color", "it" and "they" stay, in their order, and a result that equals a
    held-out wording is drawn again. Without insertions "in the image" comes to mean that an object is to be located,
    since only such instructions contain it (``docs/log.md``).

    Args:
        question: an unvaried one.
        share: probability of dropping each droppable word, and of inserting a neutral one before each word.
    """
    while True:
        words: list[str] = []
        for word in (*question.removesuffix("?").split(), ""):
            while chance(rng, share):
                words.append(pick(rng, _NEUTRAL))
            if word and not (word in _DROPPABLE and chance(rng, share)):
                words.append(word)
        varied = " ".join(words) + "?"
        if varied == question or not is_held_out(varied):
            return varied


Content = tuple[dict[str, Any], str | Box, dict[str, Any]]  # fields of an instruction, answer, what scoring needs


def _caption(shown: Scene, rng: np.random.Generator) -> Content:
    return {}, language.caption(shown, rng), {}


def _vqa(shown: Scene, rng: np.random.Generator, question: language.Question | None = None) -> Content:
    question = question or language.vqa(shown, rng)
    return {"question": question.question}, question.answer, {"kind": question.kind, "about": _referents(question)}


def _referents(question: language.Question) -> tuple[int, ...]:
    """Objects that a question refers to; none where it asks for an absent one, even if it names similar ones."""
    return () if (question.kind, question.answer) == ("exists", "no") else question.about


_CHANGE_OF_SUBJECT = 0.5
"""Share of dialogs that change their subject, with the target round after the change.

The world's own dialogs keep theirs, so that a question's position predicts its kind; a model trained on those only
answers "is there a kite?" after "what color is it?" with a colour (``docs/log.md``).
"""


def _dialog(shown: Scene, rng: np.random.Generator) -> Content:
    rounds = dialog(shown, rng)
    first = 0
    if chance(rng, _CHANGE_OF_SUBJECT):
        first = 1 + below(rng, 2)
        another = dialog(shown, rng)[:3] if chance(rng, 0.5) else (language.vqa(shown, rng), language.vqa(shown, rng))
        rounds = (*rounds[:first], *another)
    return _round(rounds, first + below(rng, len(rounds) - first))


COMPARISONS = ("same colour", "same size", "all colour")
"""Kinds of rounds that compare all objects of a category."""
_REDRAWN = 12
"""Dialogs drawn in search of such a round: half are about several objects, and three in four of these compare them."""


def _comparison(shown: Scene, rng: np.random.Generator) -> Content | None:
    """A dialog up to a round that compares objects."""
    if len(shown.objects) == len({one.category for one in shown.objects}):
        return None
    for _ in range(_REDRAWN):
        rounds = dialog(shown, rng)
        if found := [number for number, one in enumerate(rounds) if one.kind in COMPARISONS]:
            return _round(rounds, pick(rng, found))
    return None


def _round(rounds: Sequence[language.Question], number: int) -> Content:
    target = rounds[number]
    history = [(earlier.question, earlier.answer) for earlier in rounds[:number]]
    meta = {"kind": target.kind, "about": _referents(target), "round": number}
    return {"question": target.question, "history": history}, target.answer, meta


def _of_kinds(shown: Scene, rng: np.random.Generator, kinds: tuple[str, str]) -> Content:
    """An expression of one of two kinds, drawn evenly; any expression where the scene allows neither."""
    found = (language.expression(shown, rng, kind) for kind in (kinds if chance(rng, 0.5) else kinds[::-1]))
    return _rec(shown, rng, next((expression for expression in found if expression), None))


def _rec(shown: Scene, rng: np.random.Generator, expression: language.Expression | None = None) -> Content:
    expression = expression or language.expression(shown, rng)
    target = expression.target
    box = shown.objects[target].box
    return {"expression": expression.text}, box, {"kind": expression.kind, "about": (target,), "box": box}


def _reg(shown: Scene, rng: np.random.Generator) -> Content:
    target = below(rng, len(shown.objects))
    box = shown.objects[target].box
    return {"box": box}, language.describe(shown, target), {"about": (target,), "box": box}


_CONTENT = {Task.CAPTION: _caption, Task.VQA: _vqa, Task.DIALOG: _dialog, Task.REC: _rec, Task.REG: _reg}


def _key(split: str, pixels: int, processor: LionImageProcessor) -> str:
    """Name of the cache folder; a hash of everything the pixels depend on."""
    facts = [WORLD_VERSION, split, pixels, processor.image_size]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
    return f"world-{split}-{processor.image_size}px-{digest}"


def _draw(split: str, pixels: int, processor: LionImageProcessor, number: int) -> np.ndarray:
    return processor.resize(render(scene(split, number), pixels))
