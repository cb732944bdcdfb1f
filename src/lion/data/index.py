"""The index of a dataset: its checked records in memory-mapped files, built once, so that memory does not grow with it.

A folder below $LION_CACHE or ~/.cache/lion, which appears whole or not at all:

    index.json       what was read: files with their sizes, times and hashes, records of each task, bad records left out
    records.jsonl    a record a line
    offsets.u64      where each line begins, and where the last one ends
    TASK.u64         the numbers of the records that serve a task

JSON lines and NumPy's memory maps rather than Arrow, which is a package more, and slower where single rows are read.
An index is used for as long as the files it was made of are what they were: by size and time, or else by hash.
"""

import hashlib
import json
import os
import time
from array import array
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any, Protocol, Self, cast, overload

import numpy as np

from lion.atomic import atomic_directory, atomic_write_json
from lion.boxes import Box
from lion.data.archives import InParquet, InTar
from lion.data.dataset import Dataset
from lion.data.pictures import cache_folder, writable_cache
from lion.data.sample import Record
from lion.errors import LionError
from lion.locks import FolderLock
from lion.prompts import Task

VERSION = 1
"""Of the files' format, part of an index's key."""
EVERY = 10_000
"""Records between two reports of progress."""
_ENCODER = json.JSONEncoder(separators=(",", ":"))
_LOOK_AGAIN = 0.5
"""Seconds until a process looks again whether another one has built the index that both need."""

OnRecords = Callable[[int], None]
"""Called with the number of records since the last call."""


class Records(Protocol):
    """What a reader adds records to: a list, or an index."""

    def append(self, record: Record, /) -> None:
        """Add one."""

    def __len__(self) -> int:
        """How many were added."""


class IndexedRecords(Sequence[Record]):
    """The records of an index, each read when it is asked for.

    Of `Record.meta` only `size` is there, which training needs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._offsets = np.memmap(folder / "offsets.u64", np.uint64, "r")
        self._lines = np.memmap(folder / "records.jsonl", np.uint8, "r")
        self.rows: Mapping[Task, np.ndarray] = {
            Task(path.stem): np.memmap(path, np.uint64, "r")
            for path in sorted(folder.glob("*.u64"))
            if path.stem != "offsets"
        }
        """Numbers of the records with an answer that serve a task."""

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, number: int) -> Record: ...
    @overload
    def __getitem__(self, number: slice) -> list[Record]: ...
    def __getitem__(self, number: int | slice) -> Record | list[Record]:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        if not -len(self) <= number < len(self):
            raise IndexError(number)
        number = int(number) % len(self)
        start, end = int(self._offsets[number]), int(self._offsets[number + 1])
        return _decoded(json.loads(self._lines[start:end].tobytes()))

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        """Worker processes map the files themselves."""
        return type(self), (self.folder,)


class IndexWriter:
    """Writes records one by one into an index's files; memory does not grow with them."""

    def __init__(self, folder: Path, report: OnRecords | None = None) -> None:
        self._folder, self._report = folder, report
        self._lines = (folder / "records.jsonl").open("wb", buffering=1 << 20)
        self._hash = hashlib.sha256()
        self._count = self._end = 0
        self._columns = {"offsets": array("Q", [0])}

    def append(self, record: Record, /) -> None:
        """Add one."""
        line = _ENCODER.encode(_encoded(record)).encode() + b"\n"
        self._lines.write(line)
        self._hash.update(line)
        self._end += len(line)
        self._columns["offsets"].append(self._end)
        for task in (record.task, *record.also) if record.answers else ():
            self._columns.setdefault(str(task), array("Q")).append(self._count)
        self._count += 1
        if self._count % EVERY == 0:
            self._flush()
            if self._report:
                self._report(EVERY)

    def __len__(self) -> int:
        return self._count

    def finish(self) -> str:
        """Write what is left. Returns: the hash of the records."""
        self._flush()
        self._lines.close()
        return self._hash.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Close the files, finished or not; a full disk hides no error of the reading."""
        with suppress(OSError) if kind else nullcontext():
            self._lines.close()

    def _flush(self) -> None:
        for name, numbers in self._columns.items():
            with (self._folder / f"{name}.u64").open("ab") as file:
                numbers.tofile(file)
            del numbers[:]


def indexed(
    named: Sequence[object],
    folder: Path,
    read: Callable[[Records], Dataset],
    stamps: Callable[[], Mapping[str, Any]] | None = None,
    report: OnRecords | None = None,
) -> Dataset:
    """A dataset whose records are in an index: the one in the cache, or one that is built now.

    Args:
        named: what identifies it: kind, path, split and settings of the reading.
        folder: where the names in `Dataset.hashes` start.
        read: reads the dataset into the records it is given; it may return a dataset with records of its own instead.
        stamps: what tells whether its files are what they were, where those in `Dataset.hashes` are not all of them.
        report: see `OnRecords`.

    Raises: LionError as `read`, or if the cache cannot be written.
    """
    key = hashlib.sha256("\n".join(map(str, (VERSION, *named))).encode()).hexdigest()[:16]
    home = cache_folder() / "index"
    while True:
        if found := _opened(home / key, folder, stamps):
            return found
        writable_cache()
        try:
            lock = FolderLock(home, f".{key}.lock")
        except LionError:  # another process of this run, on this machine, builds it
            time.sleep(_LOOK_AGAIN)
            continue
        with lock, atomic_directory(home / key) as unfinished, IndexWriter(unfinished, report) as writer:
            _build(unfinished, writer, folder, read, stamps() if stamps else None)


def _build(index: Path, writer: IndexWriter, folder: Path, read: Callable[[Records], Dataset], stamps: Any) -> None:
    dataset = read(writer)
    if cast(object, dataset.records) is not writer:
        for record in dataset.records:
            writer.append(record)
    facts = {
        "name": dataset.name,
        "split": dataset.split,
        "counted": dataset.counted,
        "expected": dataset.expected,
        "skipped": list(dataset.skipped),
        "hashes": dict(dataset.hashes),
        "stamps": stamps or {name: file_stamp(folder / name) for name in dataset.hashes},
        "records_sha256": writer.finish(),
    }
    atomic_write_json(index / "index.json", facts)


def _opened(index: Path, folder: Path, stamps: Callable[[], Mapping[str, Any]] | None) -> Dataset | None:
    """The dataset of an index, None if there is none, or it is of files that have changed."""
    try:
        facts = json.loads((index / "index.json").read_text("utf-8"))
        if stamps and stamps() != facts["stamps"]:
            return None
        for name, stamp in facts["stamps"].items() if not stamps else ():
            if file_stamp(folder / name) != stamp and file_hash(folder / name) != facts["hashes"][name]:
                return None
        skipped = [(ident, reason) for ident, reason in facts["skipped"]]
        found = {name: facts[name] for name in ("name", "split", "counted", "expected", "hashes")}
        return Dataset(records=IndexedRecords(index), skipped=skipped, **found)
    except (OSError, ValueError, KeyError, TypeError):  # none, or a damaged one, which is made again
        return None


def unchanged(records: IndexedRecords) -> bool:
    """Whether the records are those that were written, by hash."""
    facts = json.loads((records.folder / "index.json").read_text("utf-8"))
    return bool(file_hash(records.folder / "records.jsonl") == facts["records_sha256"])


def rows_by_task(records: Sequence[Record]) -> Mapping[Task, Sequence[int]]:
    """Numbers of the records with an answer that serve each task."""
    if isinstance(records, IndexedRecords):
        return records.rows  # type: ignore[return-value]  # an array is a sequence to whoever reads
    out: dict[Task, list[int]] = {}
    for number, record in enumerate(records):
        for task in (record.task, *record.also) if record.answers else ():
            out.setdefault(task, []).append(number)
    return out


def some(records: Sequence[Record], most: int) -> Iterator[Record]:
    """At most so many of the records, evenly spread."""
    return (records[number] for number in range(0, len(records), -(-len(records) // most) or 1))


def file_stamp(path: Path) -> list[int]:
    """Size and time of a file. Raises: OSError."""
    entry = os.stat(path)
    return [entry.st_size, entry.st_mtime_ns]


def file_hash(path: Path) -> str:
    """SHA-256 of a file, read piece by piece. Raises: OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_STORED: Mapping[str, Callable[..., bytes | InTar | InParquet]] = {
    "bytes": b64decode,
    "InTar": InTar,
    "InParquet": InParquet,
}


def _encoded(record: Record) -> list[Any]:
    image: Any = str(record.image)
    if isinstance(record.image, bytes):
        image = ["bytes", b64encode(record.image).decode()]
    elif isinstance(record.image, InTar | InParquet):
        image = [type(record.image).__name__, *astuple(record.image)]
    box = None if record.box is None else record.box.xyxy()
    size = record.meta.get("size")
    return [
        record.id, image, record.task, record.question, record.expression, box, record.history, record.answers,
        record.choices, record.correct, record.hint, record.tags, record.also, size,
    ]  # fmt: skip


def _decoded(row: list[Any]) -> Record:
    id, image, task, question, expression, box, history, answers, choices, correct, hint, tags, also, size = row
    return Record(
        id,
        Path(image) if isinstance(image, str) else _STORED[image[0]](*image[1:]),
        Task(task),
        question,
        expression,
        None if box is None else Box(*box),
        tuple((question, answer) for question, answer in history),
        tuple(answers),
        tuple(choices),
        correct,
        hint,
        None if tags is None else tuple(tags),
        tuple(map(Task, also)),
        {} if size is None else {"size": tuple(size)},
    )
