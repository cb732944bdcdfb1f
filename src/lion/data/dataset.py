"""Reading a dataset from its original files: finding files and pictures, validating and collecting records.

DIR stands for the folder that the user names. A dataset lies in DIR itself or in a folder of its own below it, its
annotation files there or under `annotations/`. A picture with the conventional name `val2014/x.jpg` is looked for in
the dataset's folder, in DIR and in DIR/coco, each with and without `images/`, at last without its conventional folder.
Any other folder in a picture's name is part of the name.
"""

from __future__ import annotations

import builtins
import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from lion.data.sample import Record
from lion.data.values import ident, identifier
from lion.errors import LionError, unique_keys
from lion.images import path_of

_FOLDERS = frozenset({
    "images", "train2014", "val2014", "test2015", "train2017", "val2017", "test2017", "train_images", "test_images",
    "flickr30k-images", "flickr30k_images", "VG_100K", "VG_100K_2", "VisualDialog_val2018", "VisualDialog_test2018",
})  # fmt: skip
"""Folders that datasets distribute pictures in, which may be left out, as each picture's own name is unique."""


class BadRecord(LionError):
    """A record that cannot be used. Whoever has another way to skip such records raises it again with that.

    Args:
        problem: file, record and reason.
        skip: how bad records are skipped.
    """

    def __init__(self, problem: str, skip: str = "skip_bad=True") -> None:
        super().__init__(f"{problem} (fix it, or skip bad records with {skip})")
        self.problem = problem


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

    @property
    def own(self) -> bool:
        """Whether users write files of this format themselves, so that no page has them."""
        return not self.splits

    @property
    def origin(self) -> str:
        """What to do where its files are not found."""
        name = "name its folder with --data DIR, in a recipe with folder: DIR"
        return name if self.own else f"{self.name} comes from {self.annotations}: {name}"

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
        folder = Path(os.path.expanduser(folder))
        if not folder.is_dir():
            raise LionError(f"there is no folder {folder}; {info.origin}")
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
            f"{self.homes[0]}; {self.info.origin}"
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
        except UnicodeDecodeError as error:
            raise self._not_utf8(path, error) from error
        except (ValueError, RecursionError) as error:
            raise LionError(f"{path} is not JSON ({error}): it may be cut off, mend it or get it again") from error
        return self._checked(path, value, kind) if key is None else self.member(path, value, key, kind)

    def member(self, path: Path, value: Any, key: str, kind: type = list) -> Any:
        """`value[key]` of a JSON file's value. Raises: LionError if there is none, or not of this kind."""
        if not isinstance(value, dict) or key not in value:
            raise LionError(f"{path} has no {key!r}: {self._other_file}")
        return self._checked(path, value[key], kind)

    def _checked(self, path: Path, value: Any, kind: type) -> Any:
        if not isinstance(value, kind):
            found = f"holds a {type(value).__name__} where a {kind.__name__} should be"
            raise LionError(f"{path} {found}: {self._other_file}")
        return value

    def table(self, path: Path, rows: Sequence[Any], key: str, noun: str) -> dict[str, Any]:
        """Rows of a file by their id, see `identifier`. Raises: LionError if two rows share one."""
        out: dict[str, Any] = {}
        for row in rows:
            with self.record(path, ident(row, key), noun):
                if (name := identifier(row[key])) in out:
                    raise LionError("it is there twice")
                out[name] = row
        return out

    def text(self, path: Path) -> str:
        """A file's text. Raises: LionError if it is not UTF-8."""
        try:
            return self.bytes(path).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise self._not_utf8(path, error) from error

    def _not_utf8(self, path: Path, error: UnicodeDecodeError) -> LionError:
        return LionError(f"{path} is not UTF-8 text ({error.reason}): save it as UTF-8")

    @property
    def _other_file(self) -> str:
        name = self.info.name
        return (
            f"it is no file in the format of {name}" if self.info.own else f"it is not the file that {name} comes with"
        )

    def lines(self, path: Path) -> Iterator[tuple[int, str]]:
        """(line number from 1, text) of the lines that are not blank, read one by one; then the hash is recorded."""
        digest = hashlib.sha256()
        for number, line in enumerate(self._raw_lines(path), start=1):
            digest.update(line)
            try:
                text = line.decode("utf-8" if number > 1 else "utf-8-sig")
            except UnicodeDecodeError as error:
                raise self._not_utf8(path, error) from error
            if text.strip():
                yield number, text.removesuffix("\n").rstrip("\r")
        self.hashes[path.relative_to(self.folder).as_posix()] = digest.hexdigest()

    def _raw_lines(self, path: Path) -> Iterator[builtins.bytes]:
        try:
            with path.open("rb") as file:
                yield from file
        except OSError as error:
            raise LionError(f"{path} cannot be read: {error.strerror or error}") from error

    def json_lines(self, path: Path) -> Iterator[tuple[int, Any]]:
        """(line number, value) of a JSON Lines file; a line that is not JSON is a bad record."""
        for number, line in self.lines(path):
            with self.record(path, number, "line"):
                if line.lstrip().startswith("["):
                    raise LionError("a list is no JSON Lines; write one object a line, without brackets and commas")
                try:
                    value = json.loads(line, object_pairs_hook=unique_keys)
                except json.JSONDecodeError as error:
                    raise LionError(f"it is not JSON: {error.msg}; write one whole object a line") from error
                yield number, value

    def cells(self, path: Path, delimiter: str = ",") -> Iterator[tuple[int, dict[str, str]]]:
        """(line number from 1, cells by column) of a table; a line of too many cells is a bad record.

        Raises: LionError if it is no table, or two columns share a name.
        """
        csv.field_size_limit(1 << 30)  # a cell may hold a picture
        table = csv.DictReader(io.StringIO(self.text(path), newline=""), delimiter=delimiter, strict=True)
        try:
            columns = table.fieldnames or ()
            if twice := sorted(name for name in set(columns) if columns.count(name) > 1):
                raise LionError(f"{path}: the column {twice[0]} is there twice; give each a name of its own")
            for row in table:
                with self.record(path, table.line_num, "line"):
                    if None in row:  # what csv calls the cells without a column
                        raise LionError(
                            "it has more cells than the first line has columns; is a quotation mark missing?"
                        )
                    yield table.line_num, row
        except csv.Error as error:
            raise LionError(f"{path} line {table.line_num}: {error}; is a quotation mark missing?") from error

    def image(self, *names: str) -> Path:
        """The picture with the first of these names that exists; it is not opened.

        It may lie outside the conventional folder of its name. Raises: LionError if there is none.
        """
        if names not in self._found:
            given = [path_of(name) or name for name in names]
            alone = [rest for name in given if (rest := _without_folders(name)) != name]
            paths = (root / name for name in (*given, *alone) for root in self._picture_roots)
            self._found[names] = next((path for path in paths if path.name in self._listing(path.parent)), None)
        if path := self._found[names]:
            return path
        where = "put it there, or correct its name" if self.info.own else f"pictures come from {self.info.pictures}"
        raise LionError(f"its picture {names[0]} is not in {self.folder}; {where}")

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
        except BadRecord:  # of something in this one
            raise
        except LionError as error:
            self._bad(file, ident, noun, str(error))
        except KeyError as error:
            self._bad(file, ident, noun, f"the key {error} is missing")
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, OSError) as error:
            self._bad(file, ident, noun, f"it is not built as in the original ({error})")

    def _bad(self, file: Path, ident: object, noun: str, reason: str) -> None:
        reason = " ".join(reason.split())
        if not self.skip_bad:
            raise BadRecord(f"{file} {noun} {ident}: {reason}")
        self.skipped.append((str(ident), reason))

    def add(self, record: Record) -> None:
        """Add a record. Raises: LionError if its id has been added before."""
        if (record.id, record.task) in self._ids:
            raise LionError(f"the id {record.id} is there twice")
        self._ids.add((record.id, record.task))
        self.records.append(record)

    def finish(self, counted: int | None = None, records: Sequence[Record] | None = None) -> Dataset:
        """The dataset, of `records` if not of those added here; `counted` defaults to their number.

        Raises: LionError if there is none.
        """
        name, split = self.info.name, self.split
        records = self.records if records is None else records
        if not len(records):
            why = ""
            if self.skipped:
                why = f"; the first: {': '.join(self.skipped[0])}"
            elif self.info.splits:
                why = f"; of its splits ({', '.join(self.info.splits)}) name one that is there"
            raise LionError(f"{name} ({split}): no usable record in {', '.join(self.hashes)} of {self.folder}{why}")
        counted = len(records) if counted is None else counted
        return Dataset(name, split, records, counted, self.info.splits.get(split), self.skipped, self.hashes)

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


def _without_folders(name: str) -> str:
    """A picture's name without the conventional folders that it begins with."""
    folder, slash, rest = name.partition("/")
    return _without_folders(rest) if slash and folder in _FOLDERS else name
