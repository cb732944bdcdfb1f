"""The interface of training data: sources, which make samples of one image, one instruction and one answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from PIL import Image

from lion.data.pictures import OnProgress
from lion.prompts import Task


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

    def sample(self, index: int, task: Task, rng: np.random.Generator) -> Sample | None:
        """A sample of a task on image `index`; None where this draw gives none. Raises: LionError."""
