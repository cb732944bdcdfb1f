"""Your own pictures: one JSON object a line.

    {"image": "a.jpg", "caption": "a dog on a beach"}
    {"image": "a.jpg", "question": "what is it?", "answer": "a dog", "history": [["is it day?", "yes"]]}
    {"image": "a.jpg", "expression": "the dog", "box": [0.1, 0.2, 0.5, 0.9], "tags": ["dog", "beach"]}

`image` is a path, relative to the file's folder, or a `data:` URI; `box` is x1, y1, x2, y2 in the unit square of the
picture as people see it, turned by its EXIF orientation. The fields of a line
decide the tasks it serves: a caption, VQA, with `history` dialog, with `expression` and `box` both REC and REG; `task`
limits it to one.

A file called `.csv` has the columns image, question and answer, or image and caption, in its first line.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from lion.boxes import Box, has_written_area
from lion.data.dataset import AnnotationReader, Dataset, DatasetInfo
from lion.data.index import Records
from lion.data.sample import Record
from lion.data.values import numbers
from lion.errors import LionError
from lion.images import StoredImage, content
from lion.prompts import Task

KEYS = frozenset({"image", "caption", "question", "answer", "history", "expression", "box", "tags", "task"})
_TEXTS = frozenset({"caption", "question", "answer", "expression"})
_COLUMNS = frozenset({"image", "caption", "question", "answer"})


def read(path: Path, *, skip_bad: bool = False, records: Records | None = None) -> Dataset:
    """The records of a JSONL or CSV file; see the top of this file. Ids are the lines, counted from 1.

    `records`: what they are added to, such as an index, one by one as lines are read; None for a list.

    Raises: LionError if the file is missing or holds nothing, or a line is bad; names the line and the fix.
    """
    path = Path(os.path.expanduser(path))
    if not path.is_file():
        raise LionError(f"there is no file {path}; give the path of a JSONL or CSV file")
    info = DatasetInfo(path.name, {}, annotations=str(path), pictures=str(path.parent))
    reader = AnnotationReader(info, path.parent, "own", skip_bad)
    records = reader.records if records is None else records
    rows = _table(reader, path) if path.suffix.lower() == ".csv" else reader.json_lines(path)
    for number, row in rows:
        with reader.record(path, number, "line"):
            for record in _records(path, row, str(number)):
                records.append(record)  # no two lines have the same number
    if not len(records) and not reader.skipped:
        raise LionError(f"{path} holds no samples; write one JSON object a line")
    return reader.finish(records=cast(Sequence[Record], records))


def _table(reader: AnnotationReader, path: Path) -> Iterator[tuple[int, Any]]:
    for number, row in reader.cells(path):
        if unknown := sorted(set(row) - _COLUMNS):
            raise LionError(f"{path}: unknown column {unknown[0]}; known are {', '.join(sorted(_COLUMNS))}")
        yield number, {key: value for key, value in row.items() if value}


def _records(path: Path, row: Any, ident: str) -> Iterator[Record]:
    if not isinstance(row, dict) or not isinstance(row.get("image"), str):
        raise LionError('needs a picture, as in {"image": "a.jpg", "caption": "..."}')
    if unknown := sorted(set(row) - KEYS):
        raise LionError(f"unknown key {unknown[0]}; known are {', '.join(sorted(KEYS))}")
    yield from records_of(row, ident, partial(_picture, path))


def _picture(path: Path, row: Mapping[str, Any]) -> Path | bytes:
    given = content(row["image"])
    picture = given if isinstance(given, bytes) else path.parent / given
    if isinstance(picture, Path) and not picture.is_file():
        raise LionError(f"its picture {picture} is not there; paths start at the file's folder")
    return picture


def records_of(
    row: Mapping[str, Any], ident: str, picture: Callable[[Mapping[str, Any]], Path | bytes | StoredImage]
) -> Iterator[Record]:
    """The records of a line's object, of which no key but `KEYS` is read. Raises: LionError if they are not of use."""
    row = {key: value for key, value in row.items() if not (isinstance(value, str) and not value.strip())}
    for key in sorted(_TEXTS & row.keys()):
        if not isinstance(row[key], str | None):
            raise LionError(f"{key}: {json.dumps(row[key])} is no text; put it in quotes")
    history, tags = row.get("history"), row.get("tags")
    history = [] if history is None else history
    if not isinstance(history, list) or not all(_are_texts(pair) and len(pair) == 2 for pair in history):
        raise LionError(f'history: {json.dumps(history)} is no list of rounds, as in [["is it day?", "yes"]]')
    if tags is not None and not (_are_texts(tags) and all(map(str.strip, tags))):
        raise LionError(f'tags: {json.dumps(tags)} is no list of texts, none of them blank, as in ["dog", "beach"]')
    box = None if row.get("box") is None else _box(row["box"])
    tasks = _tasks(row)
    if "task" in row and row["task"] not in tasks:
        raise LionError(f"task {row['task']!r} does not fit; the line serves {', '.join(tasks) or 'none'}")
    if not tasks:
        raise LionError("needs caption, or question and answer, or expression and box")
    if "task" in row:
        tasks = [Task(row["task"])]
    image, tags = picture(row), None if tags is None else tuple(tags)
    if Task.CAPTION in tasks:
        yield Record(ident, image, Task.CAPTION, answers=(row["caption"],), tags=tags)
    for task in {Task.VQA, Task.DIALOG} & set(tasks):
        rounds = tuple((question, answer) for question, answer in history)
        yield Record(ident, image, task, row["question"], history=rounds, answers=(row["answer"],), tags=tags)
    if regional := [task for task in tasks if task in (Task.REC, Task.REG)]:
        first, *also = regional
        phrase = row["expression"]
        yield Record(ident, image, first, expression=phrase, box=box, answers=(phrase,), tags=tags, also=tuple(also))


def row_of(record: Record) -> dict[str, Any]:
    """The object of a line for a record that `records_of` made, without `image`; of one answer, the first."""
    row: dict[str, Any] = {} if record.tags is None else {"tags": list(record.tags)}
    if record.task == Task.CAPTION:
        return row | {"caption": record.answers[0]}
    if record.task in (Task.VQA, Task.DIALOG):
        history = {"history": [list(pair) for pair in record.history]} if record.history else {}
        return row | {"question": record.question, "answer": record.answers[0]} | history
    assert record.box is not None
    task = {} if record.also else {"task": str(record.task)}
    return row | {"expression": record.expression, "box": list(record.box.xyxy())} | task


def _box(value: Any) -> Box:
    try:
        x1, y1, x2, y2 = numbers(value, "value", 4)
        box = Box(x1, y1, x2, y2)
        if box != box.clamp():
            raise LionError(f"{value} reaches outside the picture; divide pixels by its width and height")
        if not has_written_area(box):
            raise LionError(f"{value} has no area")
    except LionError as error:
        raise LionError(f"box: {error} (a box is x1,y1,x2,y2 in the unit square)") from error
    return box


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _tasks(row: Mapping[str, Any]) -> list[Task]:
    """The tasks for which a line has all fields."""
    tasks = []
    if row.get("caption"):
        tasks.append(Task.CAPTION)
    if row.get("question") and row.get("answer"):
        tasks.append(Task.DIALOG if row.get("history") else Task.VQA)
    if row.get("expression") and row.get("box"):
        tasks += [Task.REC, Task.REG]
    return tasks
