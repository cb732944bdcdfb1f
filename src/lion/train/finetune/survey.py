"""What a user's records hold: tasks, pictures, sizes, what cannot be used; and the tenth that is held out."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from lion.boxes import has_written_area
from lion.data.dataset import Dataset
from lion.data.orientation import as_shown
from lion.data.sample import Record
from lion.errors import LionError
from lion.images import StoredImage, stored_size
from lion.prompts import Task

HELD_OUT = 10
"""One picture in so many is held out."""


@dataclass(frozen=True)
class Survey:
    """Records that can be trained on, and those that cannot."""

    records: Sequence[Record]
    """Their boxes are in the pictures as people see them."""
    pictures: Sequence[str]
    """Of each record a hash of its picture's file."""
    sizes: Sequence[tuple[int, int]]
    """(width, height) of every picture, once each."""
    bad: Sequence[tuple[str, str]]
    """Id and reason of each record that is left out."""

    @property
    def tasks(self) -> dict[Task, int]:
        """How many records serve each task, in the tasks' order."""
        return tasks_of(self.records)

    @cached_property
    def held_out(self) -> frozenset[str]:
        """The pictures that are held out: a tenth and at least one, always the same ones of the same pictures.

        Raises: LionError if there is only one picture.
        """
        keys = sorted(set(self.pictures), key=lambda key: hashlib.blake2b(b"held out" + key.encode()).digest())
        if len(keys) < 2:
            raise LionError("there is one picture, and one more is needed to be held out for the scores; add pictures")
        return frozenset(keys[: -(-len(keys) // HELD_OUT)])

    def split(self) -> tuple[list[Record], list[Record]]:
        """The records to train on and the held-out ones; no picture is on both sides, under whatever name."""
        sides: tuple[list[Record], list[Record]] = ([], [])
        for record, key in zip(self.records, self.pictures, strict=True):
            sides[key in self.held_out].append(record)
        return sides


def survey(dataset: Dataset, decimals: int, report: Callable[[int], None] = lambda count: None) -> Survey:
    """Look at every record and the header of every picture.

    Args:
        dataset: as read, with what was left out.
        decimals: decimals of boxes in the model's text.
        report: called with the number of records looked at.

    Raises: LionError if no record can be used.
    """
    bad, kept, keys = list(dataset.skipped), list[Record](), list[str]()
    seen: dict[object, tuple[str, tuple[int, int]] | LionError] = {}
    for record in dataset.records:
        report(1)
        place = record.image if isinstance(record.image, Path) else id(record.image)
        if place not in seen:
            try:
                (width, height), orientation = stored_size(record.image)
                size = (width, height) if orientation <= 4 else (height, width)
                seen[place] = hashlib.blake2b(picture_bytes(record.image), digest_size=16).hexdigest(), size
            except (LionError, OSError) as error:
                seen[place] = LionError(str(error))
        found = seen[place]
        try:
            if isinstance(found, LionError):
                raise found
            kept.append(_usable(record, decimals))
            keys.append(found[0])
        except LionError as error:
            bad.append((record.id, str(error)))
    if not kept:
        raise LionError(f"{dataset.name} has no record to train on; the first of {len(bad)}: {': '.join(bad[0])}")
    return Survey(kept, keys, [found[1] for found in seen.values() if not isinstance(found, LionError)], bad)


def _usable(record: Record, decimals: int) -> Record:
    """The record with its box as shown. Raises: LionError if nothing can be learnt from it."""
    if not any(answer.strip() for answer in record.answers):
        raise LionError("it has no answer to train on")
    shown = as_shown(record)
    if shown.box and not has_written_area(shown.box.clamp(), decimals):
        raise LionError(f"its box {shown.box.xyxy()} has no area once it is written with {decimals} decimals")
    return replace(shown, box=shown.box and shown.box.clamp())


def tasks_of(records: Sequence[Record]) -> dict[Task, int]:
    """How many records serve each task, in the tasks' order."""
    counts = Counter(task for record in records for task in (record.task, *record.also))
    return {task: counts[task] for task in Task if counts[task]}


def picture_bytes(image: Path | bytes | StoredImage) -> bytes:
    """The file's bytes."""
    if isinstance(image, bytes):
        return image
    return image.read_bytes() if isinstance(image, Path) else image.read()
