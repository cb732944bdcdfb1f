"""Shared by the writers: scenes with questions and expressions, pictures, and pieces of files."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any, Self

import numpy as np

from lion.data.drawn import picture_bytes
from lion.prompts import Task
from lion.random import shuffled, stream
from lion.world.dialog import dialog
from lion.world.draw import render
from lion.world.language import EXPRESSION_KINDS, VQA_KINDS, Question, caption, expression, pope, vqa
from lion.world.questions import TestQuestion, test_questions
from lion.world.scene import Scene, scene
from lion.world.vocabulary import COLOURS, NUMBERS, SIZES, WORLD_VERSION

CAPTIONS = 5
"""References of a picture, as COCO has."""
ANSWERS: tuple[tuple[str, ...], ...] = (("yes", "no"), NUMBERS, COLOURS, ("left", "right"), ("above", "below"), SIZES)
"""Short answers by kind."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A question about a scene, or an expression for one of its objects."""

    number: int
    """The picture's id: the scene's number in its split, after those of splits that the folder had before."""
    scene: Scene
    kind: str
    text: str
    answer: str = ""
    target: int | None = None
    """REC: index of the object denoted."""

    @classmethod
    def of(cls, number: int, scene: Scene, question: Question) -> Self:
        """From a question."""
        return cls(number, scene, question.kind, question.question, question.answer)


@dataclass(frozen=True)
class Album:
    """The scenes to write, their texts, and the folder."""

    folder: Path
    world_split: str
    split: str
    """The dataset's name of it."""
    size: int
    seed: int
    pixels: int
    progress: Callable[[], None]
    first: int = 0
    """The id of the split's first picture: splits of one folder share names of pictures and files."""

    @property
    def frozen(self) -> bool:
        """Whether the world has frozen questions for this split."""
        return self.world_split != "train" and self.seed == 0

    def rng(self, *names: Any) -> np.random.Generator:
        """A random stream for each purpose, and for the picture's id, which comes last."""
        *purpose, number = names
        return stream("lion-world-as", WORLD_VERSION, self.world_split, self.seed, *purpose, number - self.first)

    def questions(self) -> list[Fact]:
        """One VQA question for each scene."""

        def generate(number: int, now: Scene) -> Question:
            rng = self.rng("vqa", number)
            return vqa(now, rng, VQA_KINDS[number % len(VQA_KINDS)]) or vqa(now, rng)

        return self._questions(Task.VQA, generate)

    def pope(self, flavour: str) -> list[Fact]:
        """One POPE question for each scene, alternating yes and no."""

        def generate(number: int, now: Scene) -> Question:
            return pope(now, self.rng("pope", flavour, number), flavour, positive=number % 2 == 0)

        return self._questions(f"pope-{flavour}", generate)

    def _questions(self, name: str, generate: Callable[[int, Scene], Question]) -> list[Fact]:
        """The frozen questions of a set, or generated ones."""
        if self.frozen:
            return [self._fact(one) for one in test_questions(name, self.size, split=self.world_split)]
        return [Fact.of(number, now, generate(number, now)) for number, now in self.scenes(self.size)]

    def expressions(self, kinds: Sequence[str] = EXPRESSION_KINDS) -> list[Fact]:
        """Expressions of these kinds: the frozen one of each scene, else all that the scene allows."""
        if self.frozen:
            rounds = len(EXPRESSION_KINDS)
            questions = test_questions(Task.REC, self.size * rounds // len(kinds) + rounds, split=self.world_split)
            return [self._fact(one) for one in questions if one.kind in kinds][: self.size]
        return [
            Fact(number, now, one.kind, one.text, target=one.target)
            for number, now in self.scenes(self.size)
            for kind in kinds
            if (one := expression(now, self.rng("rec", kind, number), kind))
        ]

    def dialogs(self) -> list[list[Fact]]:
        """A dialog for each scene, as a list of rounds."""
        if self.frozen:
            dialogs: dict[int, list[Fact]] = {}
            for one in test_questions(Task.DIALOG, self.size * 5, split=self.world_split):
                dialogs.setdefault(one.scene_index, []).append(self._fact(one))
            return list(dialogs.values())[: self.size]
        return [
            [Fact.of(number, now, one) for one in dialog(now, self.rng("dialog", number))]
            for number, now in self.scenes(self.size)
        ]

    def captions(self) -> list[tuple[int, Scene, list[str]]]:
        """Scenes with reference captions: number, scene, sentences."""
        frozen = test_questions(Task.CAPTION, self.size, split=self.world_split) if self.frozen else ()
        known = {self.first + one.scene_index: one.answer for one in frozen}
        out = []
        for number, now in self.scenes(self.size):
            rng = self.rng("caption", number)
            texts = [caption(now, rng) for _ in range(CAPTIONS)]
            out.append((number, now, [known.get(number, texts[0]), *texts[1:]]))
        return out

    def scenes(self, limit: int | None = None) -> Iterator[tuple[int, Scene]]:
        """The scenes of the split with their pictures' ids, the first `limit` or without end."""
        numbers = islice(count(), limit)
        return ((self.first + number, scene(self.world_split, number, seed=self.seed)) for number in numbers)

    def draw(self, now: Scene, name: str) -> None:
        """A scene's picture as a file: `.png` exact, `.jpg` nearly so."""
        path = self.folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.picture(now, path.suffix))

    def picture(self, now: Scene, suffix: str) -> bytes:
        """A scene's picture as the bytes of such a file."""
        mark = {"world_version": WORLD_VERSION, "seed": self.seed, "split": self.world_split}
        data = picture_bytes(render(now, self.pixels), mark, suffix)
        self.progress()
        return data

    def json(self, name: str, value: Any) -> None:
        """A JSON file; one that an earlier split has written keeps what it holds."""
        path = self.folder / name
        self.text(name, json.dumps(_joined(json.loads(path.read_text("utf-8")), value) if path.exists() else value))

    def text(self, name: str, value: str) -> None:
        """A text file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value, encoding="utf-8", newline="")

    def _fact(self, one: TestQuestion) -> Fact:
        target = [obj.box for obj in one.scene.objects].index(one.box) if one.task == Task.REC and one.box else None
        text = one.expression or one.question or ""
        return Fact(self.first + one.scene_index, one.scene, one.kind, text, one.answer, target)


def _joined(earlier: Any, value: Any) -> Any:
    """Two splits' values of one file: objects by key, other lists one after the other, and what is equal once."""
    if isinstance(earlier, dict) and isinstance(value, dict):
        return earlier | {key: _joined(earlier.get(key, one), one) for key, one in value.items()}
    assert earlier == value or isinstance(earlier, list), (earlier, value)
    return earlier if earlier == value else earlier + value


def options(rng: np.random.Generator, answer: str, most: int, *, exactly: bool = False) -> list[str]:
    """The answer among up to `most` choices of its kind, shuffled; `exactly` fills up with answers of other kinds."""
    alike = next((group for group in ANSWERS if answer in group), ())
    wrong = shuffled(rng, [other for other in alike if other != answer])
    if exactly:
        wrong += shuffled(rng, [other for group in ANSWERS for other in group if other not in (answer, *wrong)])
    return shuffled(rng, [answer, *wrong[: most - 1]])


def coco_name(part: str, number: int) -> str:
    """The file name of a picture in COCO 2014, with its folder: `val2014/COCO_val2014_000000000007.jpg`."""
    return f"{part}/COCO_{part}_{number:012d}.jpg"


def info(description: str) -> dict[str, Any]:
    """The head of files in COCO's style."""
    note = f"{description}, drawn: the LION world, version {WORLD_VERSION}"
    return {"description": note, "url": "", "version": "1.0", "year": 2026, "contributor": "", "date_created": ""}
