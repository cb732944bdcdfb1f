"""Reading a dataset from its original files: finding files and pictures, validating and collecting records.

DIR stands for the folder that the user names. A dataset lies in DIR itself or in a folder of its own below it, its
annotation files there or under `annotations/`. A picture with the conventional name `val2014/x.jpg` is looked for in
the dataset's folder, in DIR and in DIR/coco, each with and without `images/`, at last without its own folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from lion.boxes import Box
from lion.data.sample import Record
from lion.errors import LionError
from lion.prompts import Task

_SLACK = 0.5
"""Pixels that a box may reach outside its picture: official boxes may be rounded outwards."""


@dataclass(frozen=True)
class Dataset:
    """The records of one split in the order of the file."""

    name: str
    split: str
    records: Sequence[Record]
    counted: int
    """How many of what `expected` counts were read: records, or questions where each has several rotations."""
    expected: int | None = None
    """The official number; None where none is known."""
    skipped: Sequence[tuple[str, str]] = ()
    """(record id, reason) of the bad records that were left out."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of every annotation file read, by its path below the folder."""


@dataclass(frozen=True)
class DatasetInfo:
    """How a dataset is distributed."""

    name: str
    splits: Mapping[str, int | None]
    """Official number of records of each split, None where none is known. Empty: a split is the name of a file."""
    annotations: str
    """Where its annotation files are obtained."""
    pictures: str
    """Where its pictures are obtained."""
    folders: Sequence[str] = ()
    """Other names that its folder below DIR may have."""
    own_folder: bool = False
    """Whether its files must lie in a folder of its name, since another dataset's files have the same names."""

    def reader(self, add_records: Callable[[AnnotationReader], int | None]) -> Reader:
        """Decorator that makes a function which adds records into a :class:`Reader`."""
        return Reader(self, add_records)


class AnnotationReader:
    """Reads the annotation files of one split: finds files and pictures, checks and collects records.

    Args:
        folder: DIR, see the top of this file.
        split: one of the dataset's splits.
        skip_bad: leave bad records out and list them in `Dataset.skipped`, instead of stopping at the first.

    Raises:
        LionError: an unknown split, or no such folder.
    """

    def __init__(self, info: DatasetInfo, folder: Path, split: str, skip_bad: bool) -> None:
        if info.splits and split not in info.splits:
            raise LionError(f"{info.name} has no split {split!r}; its splits are {', '.join(info.splits)}")
        if not folder.is_dir():
            raise LionError(
                f"there is no folder {folder}; {info.name} comes from {info.annotations}: name its folder with "
                "--data DIR"
            )
        self.info, self.folder, self.split, self.skip_bad = info, folder, split, skip_bad
        self.records: list[Record] = []
        self.skipped: list[tuple[str, str]] = []
        self.hashes: dict[str, str] = {}
        self._ids: set[tuple[str, str]] = set()
        self._listings: dict[Path, frozenset[str]] = {}
        self._found: dict[tuple[str, ...], Path | None] = {}
        names = (info.name, *info.folders)
        homes = [folder / name for name in names]
        self.homes = homes if info.own_folder and folder.resolve().name not in names else [*homes, folder]
        roots = [*homes, folder, folder / "coco"]
        self._picture_roots = [path for root in roots for path in (root, root / "images")]

    def find(self, *names: str) -> Path | None:
        """The first of these files that exists, or None."""
        paths = (home / below / name for name, home, below in product(names, self.homes, ("", "annotations")))
        return next((path for path in paths if path.is_file()), None)

    def file(self, *names: str) -> Path:
        """As `find`. Raises: LionError as of `missing` if none exists."""
        if found := self.find(*names):
            return found
        raise self.missing(*names)

    def missing(self, *names: str) -> LionError:
        """The error for files none of which exists: names them, their origin and the flag."""
        return LionError(
            f"{self.info.name} ({self.split}): there is no {' or '.join(names)} in {self.folder} or "
            f"{self.homes[0]}; it comes from {self.info.annotations}: name its folder with --data DIR"
        )

    def bytes(self, path: Path) -> bytes:
        """A file's content; its hash is recorded."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise LionError(f"{path} cannot be read: {error.strerror or error}") from error
        self.hashes[path.relative_to(self.folder).as_posix()] = hashlib.sha256(data).hexdigest()
        return data

    def json(self, path: Path, key: str | None = None, kind: type = list) -> Any:
        """A JSON file's value, or its member `key`. Raises: LionError if it is not JSON or not of this kind."""
        try:
            value = json.loads(self.bytes(path), object_pairs_hook=partial(self._object, path))
        except LionError:
            raise
        except (ValueError, RecursionError) as error:
            raise LionError(f"{path} is not JSON ({error}): it may be cut off, get it again") from error
        return self._checked(path, value, kind) if key is None else self.member(path, value, key, kind)

    def member(self, path: Path, value: Any, key: str, kind: type = list) -> Any:
        """`value[key]` of a JSON file's value. Raises: LionError if there is none, or not of this kind."""
        if not isinstance(value, dict) or key not in value:
            raise LionError(f"{path} has no {key!r}: it is not the file that {self.info.name} comes with")
        return self._checked(path, value[key], kind)

    def _checked(self, path: Path, value: Any, kind: type) -> Any:
        if not isinstance(value, kind):
            found = f"holds a {type(value).__name__} where a {kind.__name__} should be"
            raise LionError(f"{path} {found}: it is not the file that {self.info.name} comes with")
        return value

    def table(self, path: Path, rows: Sequence[Any], key: str, noun: str) -> dict[Any, Any]:
        """Rows of a file by their id. Raises: LionError if two rows share one."""
        out: dict[Any, Any] = {}
        for row in rows:
            with self.record(path, ident(row, key), noun):
                if row[key] in out:
                    raise LionError("it is there twice")
                out[row[key]] = row
        return out

    def text(self, path: Path) -> str:
        """A file's text. Raises: LionError if it is not UTF-8."""
        try:
            return self.bytes(path).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise LionError(f"{path} is not UTF-8 text ({error.reason}): get it again") from error

    def lines(self, path: Path) -> Iterator[tuple[int, str]]:
        """(line number from 1, text) of the lines that are not blank."""
        for number, line in enumerate(self.text(path).split("\n"), start=1):
            if line.strip():
                yield number, line.rstrip("\r")

    def json_lines(self, path: Path) -> Iterator[tuple[int, Any]]:
        """(line number, value) of a JSON Lines file; a line that is not JSON is a bad record."""
        for number, line in self.lines(path):
            with self.record(path, number, "line"):
                try:
                    value = json.loads(line)
                except json.JSONDecodeError as error:
                    raise LionError(f"it is not JSON: {error.msg}") from error
                yield number, value

    def image(self, *names: str, flat: bool = True) -> Path:
        """The picture with the first of these conventional names that exists; it is not opened.

        `flat` allows it to lie outside the folder of its conventional name. Raises: LionError if there is none.
        """
        if names not in self._found:
            alone = [name.rsplit("/", 1)[1] for name in names if "/" in name] if flat else []
            paths = (root / name for name in (*names, *alone) for root in self._picture_roots)
            self._found[names] = next((path for path in paths if path.name in self._listing(path.parent)), None)
        if path := self._found[names]:
            return path
        raise LionError(f"its picture {names[0]} is not in {self.folder}; pictures come from {self.info.pictures}")

    def _listing(self, folder: Path) -> frozenset[str]:
        if folder not in self._listings:
            names = (entry.name for entry in folder.iterdir()) if folder.is_dir() else ()
            self._listings[folder] = frozenset(names)
        return self._listings[folder]

    @contextmanager
    def record(self, file: Path, ident: object, noun: str = "record") -> Iterator[None]:
        """Context in which an error is reported for this record of this file, or with `skip_bad` listed as skipped."""
        try:
            yield
        except LionError as error:
            self._bad(file, ident, noun, str(error))
        except KeyError as error:
            self._bad(file, ident, noun, f"the key {error} is missing")
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, OSError) as error:
            self._bad(file, ident, noun, f"it is not built as in the original ({error})")

    def _bad(self, file: Path, ident: object, noun: str, reason: str) -> None:
        reason = " ".join(reason.split())
        if not self.skip_bad:
            raise LionError(f"{file} {noun} {ident}: {reason} (fix it, or skip bad records with --skip-bad)")
        self.skipped.append((str(ident), reason))

    def add(self, record: Record) -> None:
        """Add a record. Raises: LionError if its id has been added before."""
        if (record.id, record.task) in self._ids:
            raise LionError(f"the id {record.id} is there twice")
        self._ids.add((record.id, record.task))
        self.records.append(record)

    def finish(self, counted: int | None = None) -> Dataset:
        """The dataset; `counted` defaults to the number of records. Raises: LionError if there is none."""
        name, split = self.info.name, self.split
        if not self.records:
            why = ""
            if self.skipped:
                why = f"; the first: {': '.join(self.skipped[0])}"
            elif self.info.splits:
                why = f"; of its splits ({', '.join(self.info.splits)}) name one that is there"
            raise LionError(f"{name} ({split}): no usable record in {', '.join(self.hashes)} of {self.folder}{why}")
        counted = len(self.records) if counted is None else counted
        return Dataset(name, split, self.records, counted, self.info.splits.get(split), self.skipped, self.hashes)

    def _object(self, path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """A JSON object. A repeated key, which `json` accepts, is a bad record, as some datasets are keyed by id."""
        if len(out := dict(pairs)) == len(pairs):
            return out
        out = {}
        for key, value in pairs:
            if key in out:
                self._bad(path, key, "key", "it is there twice")
            else:
                out[key] = value
        return out


@dataclass(frozen=True)
class Reader:
    """Reads a dataset: ``reader(folder, split)``."""

    info: DatasetInfo
    add_records: Callable[[AnnotationReader], int | None]
    """Adds a split's records; returns how many there are of what the official number counts, None for all records."""

    def __call__(self, folder: Path, split: str, *, skip_bad: bool = False) -> Dataset:
        """One split; arguments as of :class:`AnnotationReader`.

        Raises: LionError for an unknown split, a missing file, a bad record, or no usable one.
        """
        annotations = AnnotationReader(self.info, folder, split, skip_bad)
        return annotations.finish(self.add_records(annotations))


def ident(row: Any, *keys: str) -> str:
    """The name of a row in messages, whatever its structure: the first of these ids that it has."""
    name = next((row[key] for key in keys if key in row), "without an id") if isinstance(row, dict) else row
    return " ".join(str(name).split())[:60]


def text(value: Any, what: str) -> str:
    """The value if it is a text that is not blank. Raises: LionError naming what is missing."""
    if not isinstance(value, str) or not value.strip():
        raise LionError(f"its {what} is missing or empty")
    return value


def texts(values: Any, what: str) -> tuple[str, ...]:
    """The values if they are texts and not all blank, as some annotators leave blanks. Raises: LionError otherwise."""
    if not isinstance(values, (list, tuple)) or not all(isinstance(value, str) for value in values):
        raise LionError(f"its {what} are not a list of texts")
    if not any(value.strip() for value in values):
        raise LionError(f"it has no {what}")
    return tuple(values)


def entry(table: Mapping[Any, Any], key: Any, what: str) -> Any:
    """The row of a table that a record refers to by its id. Raises: LionError if there is none."""
    if key not in table:
        raise LionError(f"it refers to the {what} {key}, which is not there")
    return table[key]


def index(value: Any, options: Sequence[Any], what: str) -> int:
    """The value if it is an index into the options, counted from 0. Raises: LionError otherwise."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < len(options):
        raise LionError(f"its {what} {value!r} is not a place among {len(options)}")
    return value


def region_record(
    id: object,
    picture: Path,
    expression: str,
    bbox: Sequence[float],
    size: tuple[float, float],
    meta: Mapping[str, Any],
) -> Record:
    """A record for REC and REG of a box [x, y, width, height] in pixels of a picture of `size` (width, height).

    `meta` gets `bbox` and `size`, too. Raises: LionError if the box has no area or reaches outside the picture.
    """
    (x, y, w, h), (width, height) = bbox, size
    if not (width > 0 and height > 0):
        raise LionError(f"the size of its picture is given as {width} x {height} pixels")
    if not (w > 0 and h > 0):
        raise LionError(f"its box {list(bbox)} (x, y, width, height) has no area")
    box = Box.from_xywh(x, y, w, h, "pixel")
    if min(box.x1, box.y1) < -_SLACK or box.x2 > width + _SLACK or box.y2 > height + _SLACK:
        raise LionError(
            f"its box {list(bbox)} (x, y, width, height) reaches outside the picture of {width} x {height} pixels"
        )
    return Record(
        str(id),
        picture,
        Task.REC,
        expression=expression,
        box=box.to_unit(width, height),
        answers=(expression,),
        also=(Task.REG,),
        meta={**meta, "bbox": tuple(bbox), "size": size},
    )
