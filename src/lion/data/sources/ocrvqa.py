"""OCR-VQA: questions about the covers of books."""

from pathlib import PurePosixPath

from lion.data.dataset import AnnotationReader, DatasetInfo
from lion.data.sample import Record
from lion.data.values import identifier, text
from lion.errors import LionError
from lion.prompts import Task

_HOME = "https://ocr-vqa.github.io"
_SPLITS = {"train": 1, "val": 2, "test": 3}


@DatasetInfo("ocrvqa", dict.fromkeys(_SPLITS), _HOME, _HOME, folders=("ocr-vqa",)).reader
def ocrvqa(reader: AnnotationReader) -> None:
    """`dataset.json`; pictures are `images/<key>` with the ending of their address.

    A record's id is the book's key and the question's place. `meta`: `key`, `title`, `authorName`, `genre`.
    """
    file = reader.file("dataset.json")
    for key, book in reader.json(file, kind=dict).items():
        with reader.record(file, key, "book"):
            if identifier(book["split"]) != str(_SPLITS[reader.split]):
                continue
            if len(book["questions"]) != len(book["answers"]):
                raise LionError(f"it has {len(book['questions'])} questions and {len(book['answers'])} answers")
            picture = reader.image(f"images/{key}{PurePosixPath(book['imageURL']).suffix}")
            meta = {"key": key, **{name: book.get(name) for name in ("title", "authorName", "genre")}}
            for place, (question, answer) in enumerate(zip(book["questions"], book["answers"], strict=True)):
                question, answers = text(question, "question"), (text(answer, "answer"),)
                reader.add(Record(f"{key}_{place}", picture, Task.VQA, question, answers=answers, meta=meta))
