"""Training samples from the records of a dataset: the picture is augmented and the wording chosen at every draw.

Flips and crops transform boxes with the picture, and skip pictures whose text refers to positions: a mirrored picture
under "the cup on the left", or a crop with unchanged boxes, would be a wrong label.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from PIL import Image, ImageOps

from lion.boxes import Box, format_box, has_written_area
from lion.data.dataset import Dataset
from lion.data.index import rows_by_task
from lion.data.orientation import as_shown
from lion.data.pictures import OnProgress
from lion.data.sample import Sample
from lion.data.tag_noise import TagNoise
from lion.errors import LionError
from lion.images import open_image
from lion.prompts import INSTRUCTION_FIELDS, INSTRUCTIONS, Task, instruction
from lion.random import below, pick
from lion.tagging import TagFile, Tagger

_SIDES = re.compile(r"\b(left|right|leftmost|rightmost|left-\w+|right-\w+|clockwise|east|west)\b", re.IGNORECASE)
_PLACES = re.compile(
    r"\b(left|right|leftmost|rightmost|top|bottom|upper|lower|middle|cent(er|re)|corner|edge|side|first|second|third|"
    r"last|topmost|closest|nearest|farthest)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Augment:
    """Random mirror images and crops.

    Args:
        flip: probability of a horizontal flip; not where the text names a side.
        crop: largest share cut off each side. Only images with a box are cropped, never into the box, and not where
            the text names a position.
    """

    flip: float = 0.0
    crop: float = 0.0

    def __call__(
        self, image: Image.Image, box: Box | None, words: str, rng: np.random.Generator
    ) -> tuple[Image.Image, Box | None]:
        """The RGB picture and its unit box, both changed or both as they were.

        `words` is all text of the sample, instruction and answer; `rng` gives one number for the flip, four for a crop.
        """
        if self.flip and rng.random() < self.flip and not _SIDES.search(words):
            image, box = ImageOps.mirror(image), box and box.flip_horizontal()
        if self.crop and box is not None and not _PLACES.search(words):
            image, box = _crop(image, box, self.crop, rng)
        return image, box


def _crop(image: Image.Image, box: Box, most: float, rng: np.random.Generator) -> tuple[Image.Image, Box]:
    """Cut a random margin off each side, never into the box, along whole pixels."""
    left, top, right, bottom = (rng.random() * most for _ in range(4))
    width, height = image.size
    inside = box.clamp().to_pixel(width, height)
    x1, y1 = int(min(left * width, inside.x1)), int(min(top * height, inside.y1))
    x2 = int(np.ceil(max((1 - right) * width, inside.x2)))
    y2 = int(np.ceil(max((1 - bottom) * height, inside.y2)))
    if x2 <= x1 or y2 <= y1:
        return image, box
    moved = Box(inside.x1 - x1, inside.y1 - y1, inside.x2 - x1, inside.y2 - y1, "pixel")
    cut = image.crop((x1, y1, x2, y2))
    return cut, moved.to_unit(*cut.size).clamp()


class RecordSource:
    """A dataset to train on; see :class:`lion.data.sample.Source`.

    Records without an answer, as splits for public contests have them, are not drawn.

    Args:
        weights: mixing weight of each task; empty: the tasks of `among`, by the number of records that serve them.
        decimals: decimals of boxes in text (the processor's `box_decimals`).
        augment: random flips and crops.
        tagger: tags pictures whose record has no tags, before any crop; None for prompts without tags.
        among: the tasks that may be drawn.
        noise: on the tags, those of records included; a wrong tag is one of another picture of the file or dataset.

    Raises:
        LionError: nothing to train on, or a task that no record serves.
    """

    def __init__(
        self,
        dataset: Dataset,
        weights: Mapping[Task, float] | None = None,
        decimals: int = 3,
        augment: Augment | None = None,
        tagger: Tagger | None = None,
        among: Collection[Task] = tuple(Task),
        noise: TagNoise | None = None,
    ) -> None:
        self.dataset, self.decimals, self.augment, self.tagger = dataset, decimals, augment or Augment(), tagger
        self.noise = noise
        words = {tag for record in dataset.records for tag in record.tags or ()} if noise else set[str]()
        self._tag_words = sorted(words | set(tagger.words if noise and isinstance(tagger, TagFile) else ()))
        self._by_task = rows_by_task(dataset.records)
        name = f"{dataset.name} ({dataset.split})"
        if not self._by_task:
            raise LionError(f"{name} has no answers to train on: choose another split")
        counts = {task: len(rows) for task, rows in self._by_task.items() if task in among}
        there = f"it has {', '.join(sorted(self._by_task))}"
        if missing := sorted(set(weights or ()) - set(self._by_task)):
            raise LionError(f"{name} has no record for the task {missing[0]}; {there}")
        if not counts:
            raise LionError(f"{name} has no record for any of {', '.join(sorted(among))}; {there}: leave it out")
        self.tasks: Mapping[Task, float] = weights or counts

    def prepare(self, report: OnProgress | None = None) -> None:
        """Does nothing: pictures are read by `sample`."""

    def indices(self, task: Task) -> Sequence[int]:
        """Records that serve the task."""
        return self._by_task[task]

    def name(self, index: int, task: Task) -> str:
        """Dataset, record, task."""
        return f"{self.dataset.name}:{self.dataset.records[index].id}:{task}"

    def length(self, index: int, task: Task) -> int:
        """Characters of the record's texts; of its answers, one of which is drawn, their mean."""
        record = self.dataset.records[index]
        texts = (record.question or "", record.expression or "", *chain.from_iterable(record.history))
        return sum(map(len, (*texts, *(record.tags or ())))) + sum(map(len, record.answers)) // len(record.answers)

    def sample(self, index: int, task: Task, rng: np.random.Generator) -> Sample:
        """The record's picture with one of the task's wordings and one of the correct answers, each drawn uniformly.

        Raises: LionError if the picture cannot be read or the tagger does not know it, if its box cannot be turned with
            it (see `as_shown`), or has no area once written.
        """
        record = as_shown(self.dataset.records[index])
        whole = open_image(record.image)
        tags = record.tags
        if tags is None and self.tagger is not None:
            tags = tuple(self.tagger([whole])[0])
        if tags is not None and self.noise:
            tags = self.noise.of_file(tags, self._tag_words, rng)
        words = (record.question or "", record.expression or "", *record.answers, *chain.from_iterable(record.history))
        image, box = self.augment(whole, record.box, " ".join(words), rng)
        record = replace(record, box=(box := box and box.clamp()))
        written = format_box(box, self.decimals) if box else ""
        if box and not has_written_area(box, self.decimals):
            raise LionError(f"its box {box.xyxy()} has no area once it is written with {self.decimals} decimals")
        fields = {name: getattr(record, name) for name in INSTRUCTION_FIELDS[task]}
        text = instruction(task, template=below(rng, len(INSTRUCTIONS[task])), decimals=self.decimals, **fields)
        answers = [" ".join(answer.split()) for answer in record.answers if answer.strip()]
        answer = pick(rng, answers) if len(answers) > 1 else answers[0]
        if task == Task.REC:
            answer = written
        elif task == Task.REG:
            answer = record.expression or answer
        meta = {"answers": [answer] if task in (Task.REC, Task.REG) else answers, **({"box": box} if box else {})}
        return Sample(self.name(index, task), image, task, text, answer, tags, meta)
