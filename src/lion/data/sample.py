"""What every source of training data hands out: one picture, one instruction, one answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from lion.prompts import Task


@dataclass(frozen=True, slots=True)
class Sample:
    """One training example, in words."""

    id: str
    """Names it in error messages and in bad_samples.jsonl."""
    image: Image.Image | np.ndarray
    """The picture: RGB as people see it, or already at the model's size, uint8 (S, S, 3)."""
    task: Task
    instruction: str
    """The bare instruction; the processor puts the tag prompt before it."""
    answer: str
    tags: Sequence[str] | None = None
    """Image tags, most important first; None for a prompt without tags."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """What scoring needs beyond the answer: all right answers, the kind of question, the true box, the scene."""


@dataclass(frozen=True, slots=True)
class BadSample:
    """A sample that could not be used: it is counted, named in bad_samples.jsonl, and another one takes its place."""

    id: str
    reason: str
