"""Which samples of a dataset a benchmark puts to the model, and which it leaves out because they are bad."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lion.data.dataset import Dataset
from lion.data.record import Record
from lion.data.sources import read
from lion.errors import LionError
from lion.eval.benchmarks.paper import PaperBenchmark


@dataclass(frozen=True, slots=True)
class Selection:
    """The samples of one benchmark.

    A sample is what is counted and scored as one: a record, or all records of a question with rotated options.
    """

    dataset: Dataset
    records: list[Record]
    samples: list[object]
    """The samples' keys."""
    skipped: list[tuple[str, str]]
    """(id, reason) of bad samples."""

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of the dataset's files by path below their common folder, wherever that lies."""
        paths = {PurePosixPath(path): digest for path, digest in self.dataset.hashes.items()}
        home = os.path.commonpath([str(path.parent) for path in paths])
        return {str(path.relative_to(home)): digest for path, digest in paths.items()}


def select(paper: PaperBenchmark, folder: Path, limit: int | None, skip_bad: bool) -> Selection:
    """The first `limit` samples of a benchmark's dataset, in `folder`; bad ones are left out if they may be skipped.

    Raises:
        LionError: missing files; else, a bad record, or a sample that lacks one, such as a rotation.
    """
    dataset = read(paper.dataset, folder, paper.split, skip_bad=skip_bad)
    chosen = paper.choose(dataset.records)
    sizes = {paper.sample(record): paper.size(record) for record in chosen}
    found = Counter(map(paper.sample, chosen))
    incomplete = {sample: f"only {found[sample]} of its {size} records are there" for sample, size in sizes.items()}
    incomplete = {sample: reason for sample, reason in incomplete.items() if found[sample] < sizes[sample]}
    if incomplete and not skip_bad:
        sample, reason = next(iter(incomplete.items()))
        raise LionError(f"{paper.name} {sample}: {reason} (mend it, or skip bad records with --skip-bad)")
    samples = [sample for sample in sizes if sample not in incomplete][:limit]
    selected = set(samples)
    records = [record for record in chosen if paper.sample(record) in selected]
    return Selection(
        dataset, records, samples, [*dataset.skipped, *((str(sample), why) for sample, why in incomplete.items())]
    )
