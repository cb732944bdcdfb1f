"""What the writers have in common: scenes with what is asked about them, pictures, and small pieces of files."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np

from lion.prompts import Task
from lion.random import shuffled, stream
from lion.world.dialog import dialog
from lion.world.draw import render
from lion.world.language import EXPRESSION_KINDS, VQA_KINDS, caption, expression, pope, vqa
from lion.world.questions import TestQuestion, test_questions
from lion.world.scene import Scene, scene
from lion.world.vocabulary import COLOURS, NUMBERS, SIZES, WORLD_VERSION

CAPTIONS = 5
"""References of a picture, as COCO has."""
_ANSWERS: tuple[tuple[str, ...], ...] = (
    ("yes", "no"),
    NUMBERS,
    COLOURS,
    ("left", "right"),
    ("above", "below"),
    SIZES,
)
"""Short answers by what they answer."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One question about a scene, or one phrase for a thing in it."""

    number: int
    """The scene's number in its split: the picture's id."""
    scene: Scene
    kind: str
    text: str
    answer: str = ""
    target: int | None = None
    """REC: the thing that is meant."""


@dataclass(frozen=True)
class Album:
    """What is to be written, and where."""

    folder: Path
    world_split: str
    split: str
    """What the dataset calls it."""
    size: int
    seed: int
    pixels: int
    progress: Callable[[], None]

    @property
    def frozen(self) -> bool:
        """Whether the world has frozen questions for this split."""
        return self.world_split != "train" and self.seed == 0

    def rng(self, *names: object) -> np.random.Generator:
        """A stream of its own for each purpose."""
        return stream("lion-world-as", WORLD_VERSION, self.world_split, self.seed, *names)

    def questions(self) -> list[Fact]:
        """One VQA question for each scene."""
        if self.frozen:
            return [_fact(one) for one in test_questions(Task.VQA, self.size, split=self.world_split)]
        facts = []
        for number, now in islice(self.scenes(), self.size):
            rng = self.rng("vqa", number)
            asked = vqa(now, rng, VQA_KINDS[number % len(VQA_KINDS)]) or vqa(now, rng)
            facts.append(Fact(number, now, asked.kind, asked.question, asked.answer))
        return facts

    def pope(self, flavour: str) -> list[Fact]:
        """One POPE question for each scene, yes and no by turns."""
        if self.frozen:
            return [_fact(one) for one in test_questions(f"pope-{flavour}", self.size, split=self.world_split)]
        facts = []
        for number, now in islice(self.scenes(), self.size):
            asked = pope(now, self.rng("pope", flavour, number), flavour, positive=number % 2 == 0)
            facts.append(Fact(number, now, asked.kind, asked.question, asked.answer))
        return facts

    def expressions(self, kinds: Sequence[str] = EXPRESSION_KINDS) -> list[Fact]:
        """Phrases of these kinds: the frozen one of each scene, else all that the scene allows."""
        if self.frozen:
            rounds = len(EXPRESSION_KINDS)
            asked = test_questions(Task.REC, self.size * rounds // len(kinds) + rounds, split=self.world_split)
            return [_fact(one) for one in asked if one.kind in kinds][: self.size]
        facts = []
        for number, now in islice(self.scenes(), self.size):
            said = [expression(now, self.rng("rec", kind, number), kind) for kind in kinds]
            facts += [Fact(number, now, one.kind, one.text, target=one.target) for one in said if one]
        return facts

    def dialogs(self) -> list[list[Fact]]:
        """A dialog for each scene: its rounds."""
        dialogs: dict[int, list[Fact]] = {}
        if self.frozen:
            for one in test_questions(Task.DIALOG, self.size * 5, split=self.world_split):
                dialogs.setdefault(one.scene_index, []).append(_fact(one))
            return list(dialogs.values())[: self.size]
        return [
            [Fact(number, now, one.kind, one.question, one.answer) for one in dialog(now, self.rng("dialog", number))]
            for number, now in islice(self.scenes(), self.size)
        ]

    def captions(self) -> list[tuple[int, Scene, list[str]]]:
        """Scenes with reference captions: number, scene, sentences."""
        first = (
            {one.scene_index: one.answer for one in test_questions(Task.CAPTION, self.size, split=self.world_split)}
            if self.frozen
            else {}
        )
        out = []
        for number, now in islice(self.scenes(), self.size):
            rng = self.rng("caption", number)
            said = [caption(now, rng) for _ in range(CAPTIONS)]
            out.append((number, now, [first.get(number, said[0]), *said[1:]]))
        return out

    def scenes(self) -> Iterator[tuple[int, Scene]]:
        """All scenes of the split with their numbers, without end."""
        return ((number, scene(self.world_split, number, seed=self.seed)) for number in count())

    def draw(self, now: Scene, name: str) -> None:
        """A scene's picture as a file: `.png` exact, `.jpg` nearly so."""
        path = self.folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.picture(now, path.suffix))

    def picture(self, now: Scene, suffix: str) -> bytes:
        """A scene's picture as the bytes of such a file."""
        buffer = io.BytesIO()
        picture = render(now, self.pixels)
        if suffix == ".jpg":
            picture.save(buffer, "JPEG", quality=95, subsampling=0)
        else:
            picture.save(buffer, "PNG", compress_level=4)
        self.progress()
        return buffer.getvalue()

    def json(self, name: str, value: Any) -> None:
        """A JSON file."""
        self.text(name, json.dumps(value))

    def text(self, name: str, value: str) -> None:
        """A text file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value, encoding="utf-8", newline="")


def _fact(one: TestQuestion) -> Fact:
    target = None
    if one.task == Task.REC:
        target = next(place for place, thing in enumerate(one.scene.objects) if thing.box == one.box)
    return Fact(one.scene_index, one.scene, one.kind, one.expression or one.question or "", one.answer, target)


def options(rng: np.random.Generator, answer: str, most: int, *, exactly: bool = False) -> list[str]:
    """A right answer among up to `most` choices of its kind, shuffled; `exactly` fills up with answers of others."""
    alike = next((group for group in _ANSWERS if answer in group), ())
    wrong = shuffled(rng, [other for other in alike if other != answer])
    if exactly:
        wrong += shuffled(rng, [other for group in _ANSWERS for other in group if other not in (answer, *wrong)])
    return shuffled(rng, [answer, *wrong[: most - 1]])


def short_answers() -> list[str]:
    """All short answers of the world."""
    return [answer for group in _ANSWERS for answer in group]


def coco_name(part: str, number: int) -> str:
    """What COCO 2014 calls a picture, below its folder: `val2014/COCO_val2014_000000000007.jpg`."""
    return f"{part}/COCO_{part}_{number:012d}.jpg"


def info(description: str, year: int) -> dict[str, Any]:
    """The head of files in COCO's style."""
    note = f"{description}, drawn: the LION world, version {WORLD_VERSION}"
    return {"description": note, "url": "", "version": "1.0", "year": year, "contributor": "", "date_created": ""}
