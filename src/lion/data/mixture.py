"""Weighted mixing of sources and tasks, as a pure function of the step: no iterator, no state to save."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lion.data.sample import BadSample, Sample
from lion.data.source import Source
from lion.errors import LionError
from lion.prompts import Task
from lion.random import shuffled, stream

_ATTEMPTS = 20
"""Draws before a row is given up: many pictures in a row that nothing can be asked about, or that cannot be read."""


class Mixture:
    """Draws samples from several sources; row, source, task, picture and wording all depend on the address alone.

    Args:
        sources: (source, weight) pairs; within a source its tasks have their own weights.
        names: what the draws are named after, such as stage and seed: other names, other draws.
        one_task: whether a micro-batch keeps to one source and task: texts of like length waste no work on padding.
    """

    def __init__(
        self, sources: Sequence[tuple[Source, float]], names: Sequence[object], one_task: bool = False
    ) -> None:
        self.names, self.one_task = names, one_task
        self._choices: list[tuple[Source, Task]] = []
        weights: list[float] = []
        for source, weight in sources:
            share = weight / sum(source.tasks.values())
            for task, task_weight in source.tasks.items():
                self._choices.append((source, task))
                weights.append(share * task_weight)
        self._edges = np.cumsum(weights) / sum(weights)

    def batch(self, step: int, shard: int, size: int) -> tuple[list[Sample], list[BadSample]]:
        """The samples of micro-batch `shard` of `step`, and the bad ones that others took the place of.

        Raises:
            LionError: for one row no usable sample turned up; the last reason is named.
        """
        samples: list[Sample] = []
        bad: list[BadSample] = []
        common = self._choose(stream(*self.names, step, shard)) if self.one_task else None
        for row in range(size):
            samples.append(self._draw(stream(*self.names, step, shard, row), bad, common))
        return samples, bad

    def once(self, size: int) -> tuple[list[Sample], list[BadSample]]:
        """Some `size` samples for a test, none twice, and the bad ones left out.

        Of each source and task its share by weight, one at least; all there are where there are fewer.

        Raises:
            LionError: no sample is usable; the last reason is named.
        """
        samples: list[Sample] = []
        bad: list[BadSample] = []
        for number, share in enumerate(np.diff(self._edges, prepend=0.0)):
            source, task = self._choices[number]
            rng = stream(*self.names, number)
            full = len(samples) + max(round(size * share), 1)
            for index in shuffled(rng, source.indices(task)):
                if len(samples) == full:
                    break
                try:
                    sample = source.sample(index, task, rng)
                except LionError as error:
                    bad.append(BadSample(source.name(index, task), str(error)))
                    continue
                if sample is not None:
                    samples.append(sample)
        if not samples:
            last = f"; the last: {bad[-1].id}: {bad[-1].reason}" if bad else ""
            raise LionError(f"of all held-out samples none was of use{last}")
        return samples, bad

    def _choose(self, rng: np.random.Generator) -> tuple[Source, Task]:
        return self._choices[int(np.searchsorted(self._edges, rng.random(), side="right"))]

    def _draw(self, rng: np.random.Generator, bad: list[BadSample], common: tuple[Source, Task] | None) -> Sample:
        reason = "nothing can be asked about them"
        for _ in range(_ATTEMPTS):
            source, task = common or self._choose(rng)
            indices = source.indices(task)
            index = indices[int(rng.random() * len(indices))]
            try:
                sample = source.sample(index, task, rng)
            except LionError as error:
                reason = str(error)
                bad.append(BadSample(source.name(index, task), reason))
                continue
            if sample is not None:
                return sample
        raise LionError(f"{_ATTEMPTS} samples in a row were of no use; the last: {source.name(index, task)}: {reason}")
