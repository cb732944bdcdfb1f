"""Which samples of a dataset a benchmark puts to the model, and which it leaves out because they are bad."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from lion.data.dataset import Dataset
from lion.data.record import Record
from lion.data.sources import read
from lion.errors import LionError
from lion.eval.benchmarks.paper import PaperBenchmark


@dataclass(frozen=True)
class Selection:
    """The samples of one benchmark; the dataset is read when it is first needed.

    A sample is what is counted and scored as one: a record, or all records of a question with rotated options.

    Args:
        paper: the benchmark.
        folder: where the datasets lie.
        limit: the first so many samples; None for all.
        skip_bad: leave bad samples out instead of raising.
    """

    paper: PaperBenchmark
    folder: Path
    limit: int | None
    skip_bad: bool

    @cached_property
    def dataset(self) -> Dataset:
        """The dataset. Raises: LionError for missing or bad files and records."""
        return read(self.paper.dataset, self.folder, self.paper.split, skip_bad=self.skip_bad)

    @cached_property
    def records(self) -> list[Record]:
        """The selected samples' records. Raises: LionError for an incomplete sample."""
        chosen = self.paper.choose(self.dataset.records)
        if self._incomplete and not self.skip_bad:
            sample, reason = next(iter(self._incomplete.items()))
            raise LionError(f"{self.paper.name} {sample}: {reason} (mend it, or skip bad records with --skip-bad)")
        complete = [one for one in dict.fromkeys(map(self.paper.sample, chosen)) if one not in self._incomplete]
        selected = set(complete[: self.limit])
        return [record for record in chosen if self.paper.sample(record) in selected]

    @property
    def samples(self) -> list[object]:
        """The selected samples' keys."""
        return list(dict.fromkeys(map(self.paper.sample, self.records)))

    @property
    def official(self) -> int | None:
        """The official number of samples; None if unknown."""
        return self.paper.official or self.dataset.expected

    @cached_property
    def skipped(self) -> list[tuple[str, str]]:
        """(id, reason) of bad samples."""
        return [*self.dataset.skipped, *((str(sample), reason) for sample, reason in self._incomplete.items())]

    @cached_property
    def _incomplete(self) -> dict[object, str]:
        """Samples that lack a record, such as a rotation of a question's options, and the reason to report."""
        records = self.paper.choose(self.dataset.records)
        sizes = {self.paper.sample(record): self.paper.size(record) for record in records}
        found = Counter(map(self.paper.sample, records))
        return {
            sample: f"only {found[sample]} of its {size} records are there"
            for sample, size in sizes.items()
            if found[sample] < size
        }

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of the dataset's files by path below their common folder, wherever that lies."""
        paths = {PurePosixPath(path): digest for path, digest in self.dataset.hashes.items()}
        home = os.path.commonpath([str(path.parent) for path in paths])
        return {str(path.relative_to(home)): digest for path, digest in paths.items()}
