"""Folders as Hugging Face's `datasets` reads and writes them: pictures with a table, parquet files, saved datasets.

* ``imagefolder``: ``metadata.jsonl`` or ``.csv`` beside the pictures, which its ``file_name`` names;
* parquet files, as the Hub has them; ``.arrow`` files of ``save_to_disk``.

What a row's columns mean: ``messages`` as :mod:`~lion.data.sources.messages`, ``conversations`` as LLaVA's,
``objects`` with ``bbox`` and ``category`` as `datasets` has it for detection (x, y, width, height in pixels),
``captions``, ``caption`` or ``text``, ``question`` with ``answer``, and the keys of LION's own JSONL. ``width`` and
``height`` are the picture that boxes were drawn in. Other columns and splits are left alone, and named.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lion.data.archives import picture_bytes
from lion.data.dataset import AnnotationReader, Dataset, DatasetInfo
from lion.data.sample import Record
from lion.data.sources import jsonl
from lion.data.sources.messages import records_of as records_of_chat
from lion.data.values import as_read, numbers, region_record, text, truth
from lion.errors import LionError, first_line
from lion.images import path_of, stored_size
from lion.prompts import Task

TABLES = ("metadata.jsonl", "metadata.csv")
SPLITS = ("train", "training")
SIZE = ("width", "height")
KNOWN = jsonl.KEYS | {"messages", "conversations", "objects", "captions", "text", "images", "file_name", *SIZE}


@dataclass
class Rows:
    """A folder's rows, and what was left alone."""

    kind: str
    """In words, for messages."""
    rows: Iterator[tuple[str, dict[str, Any]]]
    """Id and columns of each."""
    folder: Path
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Of columns that hold numbers of classes, the classes' names."""
    others: Sequence[str] = ()
    """Files of other splits, which are left alone."""
    unread: set[str] = field(default_factory=set)
    """Columns that nothing is made of, once the rows are read."""
    damaged: Sequence[tuple[str, str]] = ()
    """Line and reason of what is no row, once the rows are read."""


def find(folder: Path) -> Rows | None:
    """What a folder holds; of several splits that to train on. None if it is no such folder.

    Raises: LionError if it has two tables, or its files cannot be read.
    """
    places = [folder, *(folder / name for name in (*SPLITS, "data"))]
    tables = [path for name in TABLES for glob in (name, f"*/{name}") for path in sorted(folder.glob(glob))]
    for place in places:
        if here := [path for path in tables if path.parent == place]:
            if len(here) > 1:
                raise LionError(f"{place} holds {' and '.join(TABLES)}; keep the one that is meant")
            info = DatasetInfo(here[0].name, {}, annotations=str(here[0]), pictures=str(place))
            reader = AnnotationReader(info, place, "own", skip_bad=True)
            others = _below(folder, tables, here)
            return Rows(
                f"an imagefolder ({here[0].name})",
                _table(reader, here[0]),
                place,
                others=others,
                damaged=reader.skipped,
            )
    for place in places:
        for ending, kind in (("arrow", "a dataset that datasets saved"), ("parquet", "parquet files")):
            if files := sorted(place.glob(f"*.{ending}")):
                split = [file for file in files if file.name.startswith(SPLITS)] or files
                others = _below(folder, [*files, *sorted(folder.glob(f"*/*.{ending}"))], split)
                return Rows(kind, _arrow(split), place, _class_names(split[0]), others)
    return None


def _below(folder: Path, files: Sequence[Path], chosen: Sequence[Path]) -> list[str]:
    """Of the files those that were not chosen, by their names below the folder."""
    return [path.relative_to(folder).as_posix() for path in dict.fromkeys(files) if path not in chosen]


def read(found: Rows, name: str) -> Dataset:
    """The records of a folder; bad rows are listed. Raises: LionError if none is of use."""
    records, bad = list[Record](), list[tuple[str, str]]()
    for ident, row in found.rows:
        found.unread |= {key for key in row if key not in KNOWN}
        try:
            records += [*_records(row, ident, found)]
        except LionError as error:
            bad.append((ident, str(error)))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            bad.append((ident, f"it is not built as expected ({first_line(error)})"))
    bad += [(f"line {number}", reason) for number, reason in found.damaged]
    if not records:
        first = f"; the first: {': '.join(bad[0])}" if bad else ""
        raise LionError(f"{found.folder} has no usable row{first}")
    return Dataset(name, "", records, len(records), skipped=bad)


def _records(row: dict[str, Any], ident: str, found: Rows) -> Iterator[Record]:
    def picture(given: Any) -> Path | bytes:
        if isinstance(given, str):
            path = found.folder / (path_of(given) or given)
            if not path.is_file():
                raise LionError(f"its picture {path} is not there")
            return path
        return picture_bytes(given, str(found.folder / "_"))

    def first(*keys: str) -> Any:
        """The value of the first of these columns that has one; the others of the row are left alone."""
        there = [key for key in keys if row.get(key)]
        found.unread.update(there[1:])
        return row[there[0]] if there else None

    chat = first("messages", "conversations")
    given = first("image", "file_name")
    if chat:
        found.unread |= {key for key in jsonl.KEYS - {"image"} | {"captions", "text"} if row.get(key)}
    if row.get("messages"):
        yield from records_of_chat({"images": given, **row}, ident, picture)
        return
    if chat:
        found.unread |= {"objects"} if row.get("objects") else set()
        roles = {"human": "user", "gpt": "assistant"}
        turns = [{"role": roles.get(one["from"], one["from"]), "content": one["value"]} for one in chat]
        yield from records_of_chat({"images": given, "messages": turns}, ident, picture)
        return
    if given is None:
        raise LionError("it has no picture (image or file_name)")
    image, made = picture(given), 0
    if captions := first("captions", "caption", "text"):
        words = captions if isinstance(captions, list) else [captions]
        yield Record(ident, image, Task.CAPTION, answers=tuple(text(one, "caption") for one in words))
        made += 1
    for record in _objects(row, ident, image, found.names):
        yield record
        made += 1
    rest = {key: value for key, value in row.items() if key in jsonl.KEYS - {"caption", "image"} and value is not None}
    if "question" in rest or "expression" in rest:
        yield from jsonl.records_of(rest, ident, lambda _: image)
        made += 1
    if not made:
        raise LionError(f"none of its columns says anything about the picture ({', '.join(row)})")


def _objects(
    row: Mapping[str, Any], ident: str, image: Path | bytes, names: Mapping[str, Sequence[str]]
) -> Iterator[Record]:
    """Boxes with a category: REC and REG, or of several of a category REG alone; of a crowd none."""
    objects: Mapping[str, Any] = row.get("objects") or {}
    boxes = objects.get("bbox") or []
    key = next((key for key in ("category", "categories", "name", "label") if key in objects), "")
    if boxes and not key:
        raise LionError("its objects have boxes and no category")
    size, orientation = stored_size(image) if boxes else ((0, 0), 1)
    if all(row.get(side) is not None for side in SIZE):  # whoever trains compares it with the picture's
        width, height = numbers([row[side] for side in SIZE], "width and height", 2)
        size, orientation = (int(width), int(height)), 1
    if orientation != 1:
        raise LionError("its picture is stored turned (EXIF): save it as it is to be seen, for its boxes")
    called = [_category(one, names.get(key, ())) for one in objects.get(key, [])]
    crowds = [truth(one, "iscrowd") for one in objects.get("iscrowd") or [0] * len(boxes)]
    alike = Counter(map(as_read, called))
    for number, (box, name, crowd) in enumerate(zip(boxes, called, crowds, strict=True)):
        if not crowd:
            record = region_record(f"{ident}:{number}", image, name, box, size, {})
            yield record if alike[as_read(name)] == 1 else replace(record, task=Task.REG, also=())


def _category(value: Any, names: Sequence[str]) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value < len(names):
            raise LionError(f"its category {value} is a number without a name")
        return names[value]
    return text(value, "category")


def _table(reader: AnnotationReader, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, row in reader.cells(path) if path.suffix == ".csv" else reader.json_lines(path):
        with reader.record(path, number, "line"):
            if not isinstance(row, dict):
                raise LionError('it is no object such as {"file_name": "a.jpg", "text": "a dog"}')
        if isinstance(row, dict):
            yield f"line {number}", {key: value for key, value in row.items() if value != ""}


def _arrow(files: Sequence[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    pyarrow = _pyarrow(files[0])
    for file in files:
        if file.suffix == ".parquet":
            import pyarrow.parquet as parquet

            batches = parquet.ParquetFile(file).iter_batches(64)
        else:
            batches = iter(pyarrow.ipc.open_stream(pyarrow.memory_map(str(file))))
        number = 0
        for batch in batches:
            for row in batch.to_pylist():
                yield f"{file.name} row {number}", row
                number += 1


def _class_names(file: Path) -> dict[str, Sequence[str]]:
    """The names of classes, from the features that `datasets` writes into a file's schema."""
    pyarrow = _pyarrow(file)
    if file.suffix == ".parquet":
        import pyarrow.parquet as parquet

        schema = parquet.read_schema(file)
    else:
        schema = pyarrow.ipc.open_stream(pyarrow.memory_map(str(file))).schema
    features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    names: dict[str, Sequence[str]] = {}

    def walk(key: str, value: Any) -> None:
        if isinstance(value, dict):
            if value.get("_type") == "ClassLabel":
                names[key] = value.get("names", [])
            for name, inner in value.items():
                walk(key if name in ("feature", "_type") else name, inner)
        elif isinstance(value, list):
            for inner in value:
                walk(key, inner)

    walk("", features)
    return names


def _pyarrow(file: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
    except ModuleNotFoundError as error:
        raise LionError(f"{file} needs pyarrow; pip install pyarrow") from error
    return pyarrow
