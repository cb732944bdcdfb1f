"""Weighted sampling of sources and tasks, as a pure function of the step: no iterator, no state to save.

`Mixture` samples with replacement: every row of every micro-batch is an independent draw, so there are no epochs, and
in n draws from n samples about a third of them do not occur. `EpochMixture` takes them in shuffled passes.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from lion.data.order import Order, Permutation, Place
from lion.data.sample import BadSample, Sample, Source
from lion.errors import LionError
from lion.prompts import Task
from lion.random import pick, shuffled, stream

_ATTEMPTS = 20
"""Draws for one row, of samples that cannot be read or do not exist, before the run stops."""
WINDOW = 16
"""Micro-batches whose samples are sorted by length together with `length_buckets`."""


class Mixture:
    """Draws samples from several sources with replacement; a draw depends on (names, step, shard, row) only.

    Args:
        sources: (source, weight) pairs; within a source its tasks have their own weights.
        names: keys of the random streams, such as stage and seed.
        one_task: draw all rows of a micro-batch from one source and task, whose texts need less padding.
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
        self._weights = weights
        self._edges = np.cumsum(weights) / sum(weights)

    def batch(self, step: int, shard: int, size: int) -> tuple[list[Sample], list[BadSample]]:
        """The samples of micro-batch `shard` of `step`, and the bad ones that were replaced.

        Raises: LionError if no usable sample was drawn for a row; the message has the last reason.
        """
        bad: list[BadSample] = []
        common = self._choose(stream(*self.names, step, shard)) if self.one_task else None
        samples = [self._draw(stream(*self.names, step, shard, row), bad, common) for row in range(size)]
        return samples, bad

    def once(self, size: int) -> tuple[list[Sample], list[BadSample]]:
        """About `size` samples for validation, without replacement, and the bad ones left out.

        Each source and task gets its share by weight, at least one, or all of its samples where they are fewer.
        Raises: LionError if no sample is usable; the message has the last reason.
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
                if sample := _sample(source, task, index, rng, bad):
                    samples.append(sample)
        if not samples:
            last = f"; the last: {bad[-1].id}: {bad[-1].reason}" if bad else ""
            raise LionError(f"of all held-out samples none was of use{last}")
        return samples, bad

    def _choose(self, rng: np.random.Generator) -> tuple[Source, Task]:
        return self._choices[int(np.searchsorted(self._edges, rng.random(), side="right"))]

    def _draw(self, rng: np.random.Generator, bad: list[BadSample], common: tuple[Source, Task] | None) -> Sample:
        def draws() -> Iterator[_Draw]:
            while True:
                source, task = common or self._choose(rng)
                yield source, task, pick(rng, source.indices(task)), rng

        return _first_usable(draws(), bad)


class EpochMixture(Mixture):
    """Samples of several sources, each (source, task) in shuffled passes without replacement; see lion.data.order.

    A sample depends on (names, its position in the run) alone, its wording and augmentation on (names, pass, sample).
    So the global batch of a step is the same however many processes share it. A sample that is of no use is replaced by
    another one of its source and task.

    Args:
        sources, names: as of `Mixture`.
        batch_size: samples of a micro-batch.
        shards: micro-batches of a step, over all processes.
        one_task: as of `Mixture`.
        length_buckets: a micro-batch gets samples of similar length. Those of each `WINDOW` of micro-batches are
            sorted and cut, so that a micro-batch still depends on its place alone.
    """

    def __init__(
        self,
        sources: Sequence[tuple[Source, float]],
        names: Sequence[object],
        batch_size: int,
        shards: int,
        one_task: bool = False,
        length_buckets: bool = False,
    ) -> None:
        super().__init__(sources, names, one_task)
        self.shards, self.length_buckets = shards, length_buckets
        self._window = ((-1, -1), list[Place]())
        sizes = [len(source.indices(task)) for source, task in self._choices]
        self.order = Order(sizes, self._weights, names, unit=batch_size if one_task else 1)

    def batch(self, step: int, shard: int, size: int) -> tuple[list[Sample], list[BadSample]]:
        """As of `Mixture`; `size` is the micro-batch's."""
        bad: list[BadSample] = []
        number = step * self.shards + shard
        rows = enumerate(self.places(number, size), start=number * size)
        return [_first_usable(self._draws(position, place), bad) for position, place in rows], bad

    def places(self, number: int, size: int) -> list[Place]:
        """What micro-batch `number` of the run, from 0, is made of, before what is of no use is replaced."""
        if not self.length_buckets:
            return [self.order(position) for position in range(number * size, (number + 1) * size)]
        window, inside = divmod(number, WINDOW)
        if self._window[0] != (window, size):
            self._window = (window, size), self._sorted(window * WINDOW * size, WINDOW * size)
        cut = Permutation(WINDOW, *self.names, "window", window)(inside)
        return self._window[1][cut * size : (cut + 1) * size]

    def _sorted(self, first: int, count: int) -> list[Place]:
        """The places of so many positions by length; a sample that is among them again comes after all others."""
        seen = Counter[tuple[int, int]]()
        found = []
        for place in map(self.order, range(first, first + count)):
            source, task = self._choices[place.part]
            length = source.length(int(source.indices(task)[place.number]), task)
            found.append((place.part * self.one_task, seen[place.part, place.number], length, place))
            seen[place.part, place.number] += 1
        return [place for *_, place in sorted(found, key=lambda each: each[:3])]

    def _draws(self, position: int, place: Place) -> Iterator["_Draw"]:
        part, epoch, number = place
        source, task = self._choices[part]
        indices = source.indices(task)
        yield source, task, int(indices[number]), stream(*self.names, part, epoch, number)
        for number in self.order.instead(position, part):
            yield source, task, int(indices[number]), stream(*self.names, part, epoch, number, position)


_Draw = tuple[Source, Task, int, np.random.Generator]


def _first_usable(draws: Iterator[_Draw], bad: list[BadSample]) -> Sample:
    """The first sample of use. Raises: LionError if `_ATTEMPTS` draws were of none."""
    before = len(bad)
    for source, task, index, rng in islice(draws, _ATTEMPTS):
        if sample := _sample(source, task, index, rng, bad):
            return sample
    reason = bad[-1].reason if len(bad) > before else "nothing can be asked about them"
    raise LionError(f"{_ATTEMPTS} samples in a row were of no use; the last: {source.name(index, task)}: {reason}")


def _sample(source: Source, task: Task, index: int, rng: np.random.Generator, bad: list[BadSample]) -> Sample | None:
    """A sample, or None, and then in `bad` if it cannot be read."""
    try:
        return source.sample(index, task, rng)
    except LionError as error:
        bad.append(BadSample(source.name(index, task), str(error)))
        return None
