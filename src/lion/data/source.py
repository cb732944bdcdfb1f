"""What a dataset has to offer to be trained on; one file for each in sources/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from lion.data.pictures import Report
from lion.data.sample import Sample
from lion.prompts import Task


class Source(Protocol):
    """A dataset: pictures counted from 0, and a sample of a task for each.

    A sample is a pure function of (index, task, rng), so that a resumed run sees what the killed one would have seen.
    """

    tasks: Mapping[Task, float]
    """Tasks on offer and their mixing weights."""

    def prepare(self, report: Report | None = None) -> None:
        """Do what is slow and done once, such as drawing pictures into a cache."""

    def indices(self, task: Task) -> Sequence[int]:
        """Pictures to draw from for `task`."""

    def name(self, index: int, task: Task) -> str:
        """The id of the sample, also of one that cannot be read."""

    def sample(self, index: int, task: Task, rng: np.random.Generator) -> Sample | None:
        """A sample of `task` on picture `index`; None where the picture has nothing to ask about in this way.

        Raises:
            LionError: the picture cannot be read.
        """
