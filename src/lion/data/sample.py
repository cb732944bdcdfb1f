"""What datasets and training exchange: records (scored items), samples (examples in words) and sources of samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from lion.boxes import Box
from lion.data.pictures import OnProgress
from lion.images import StoredImage
from lion.prompts import Task


@dataclass(frozen=True, slots=True)
class Record:
    """One scored item: for captions one per picture, for REC one per sentence, for dialogs one per round."""

    id: str
    """The dataset's own id, unique for the dataset and task."""
    image: Path | bytes | StoredImage
    """The picture's file, or the bytes of one where the format embeds pictures, or one that is read from an archive."""
    task: Task
    question: str | None = None
    """VQA and dialog: the question, or the statement to be judged (VSR)."""
    expression: str | None = None
    """REC and REG: the phrase that denotes `box`."""
    box: Box | None = None
    """REC and REG, unit square, exact: it may reach less than a pixel outside, as some official boxes do."""
    history: tuple[tuple[str, str], ...] = ()
    """Dialog: earlier rounds (question, answer), oldest first."""
    answers: tuple[str, ...] = ()
    """All correct answers: reference captions, the answers of all annotators, the expressions for one box. Empty where
    a split hides them."""
    choices: tuple[str, ...] = ()
    """Multiple choice: the options in their order."""
    correct: int | None = None
    """Multiple choice: index of the correct option."""
    hint: str | None = None
    tags: tuple[str, ...] | None = None
    """Image tags, most important first; None for a prompt without tags."""
    also: tuple[Task, ...] = ()
    """Further tasks that the record serves."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """What scoring and official result files need beyond this: ids, types of question, relevances, the pixel box."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One training example, before tokenisation."""

    id: str
    """Identifies it in error messages and in bad_samples.jsonl."""
    image: Image.Image | np.ndarray
    """RGB and upright, or already at the model's size, uint8 (S, S, 3)."""
    task: Task
    instruction: str
    """Without tags; the processor puts the tag prompt before it."""
    answer: str
    tags: Sequence[str] | None = None
    """Image tags, most important first; None for a prompt without tags."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """What scoring needs beyond the answer: all correct answers, the kind of question, the true box, the scene."""


@dataclass(frozen=True, slots=True)
class BadSample:
    """A sample that could not be used: it is counted, listed in bad_samples.jsonl, and replaced by another."""

    id: str
    reason: str


class Source(Protocol):
    """A dataset to train on: images, numbered from 0, each with a sample for one or more tasks.

    A sample is a pure function of (index, task, rng), so that a resumed run draws what an uninterrupted one would.
    """

    tasks: Mapping[Task, float]
    """Tasks on offer and their mixing weights."""

    def prepare(self, report: OnProgress | None = None) -> None:
        """Do slow work that is needed once, such as filling a cache of images."""

    def indices(self, task: Task) -> Sequence[int]:
        """Images that have a sample for a task."""

    def name(self, index: int, task: Task) -> str:
        """The id of a sample, also of one that cannot be read."""

    def length(self, index: int, task: Task) -> int:
        """About how long the text of a sample is, in characters, without making one."""

    def sample(self, index: int, task: Task, rng: np.random.Generator) -> Sample | None:
        """A sample of a task on image `index`; None where this draw gives none. Raises: LionError."""
