"""OCR-VQA: questions about the covers of books."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from lion.data.dataset import Dataset, Origin, Reading, text
from lion.data.record import Record
from lion.errors import LionError
from lion.prompts import Task

_SPLITS = {"train": 1, "val": 2, "test": 3}
OCRVQA = Origin(
    "ocrvqa", tuple(_SPLITS), "https://ocr-vqa.github.io", "https://ocr-vqa.github.io", folders=("ocr-vqa",)
)


def ocrvqa(folder: Path, split: str, *, skip_bad: bool = False) -> Dataset:
    """`dataset.json`; pictures are `images/<key>` with the ending of their address.

    A record's id is the book's key and the question's place. `meta`: `key`, `title`, `authorName`, `genre`.
    """
    reading = Reading(OCRVQA, folder, split, skip_bad)
    file = reading.file("dataset.json")
    for key, book in reading.json(file, kind=dict).items():
        with reading.record(file, key, "book"):
            if book["split"] != _SPLITS[split]:
                continue
            if len(book["questions"]) != len(book["answers"]):
                raise LionError(f"it has {len(book['questions'])} questions and {len(book['answers'])} answers")
            picture = reading.image(f"images/{key}{PurePosixPath(book['imageURL']).suffix}")
            meta = {"key": key, **{name: book.get(name) for name in ("title", "authorName", "genre")}}
            for place, (asked, answer) in enumerate(zip(book["questions"], book["answers"], strict=True)):
                question, answers = text(asked, "question"), (text(answer, "answer"),)
                record = Record(f"{key}_{place}", picture, Task.VQA, question, answers=answers, meta=meta)
                reading.add(record)
    return reading.finish()
