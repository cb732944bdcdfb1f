"""GQA: compositional questions with one answer each; LION reports the balanced test-dev questions."""

from __future__ import annotations

from pathlib import Path

from lion.data.dataset import Dataset, Origin, Reading, text
from lion.data.record import Record
from lion.prompts import Task

GQA = Origin(
    "gqa",
    ("train", "val", "testdev"),
    "https://cs.stanford.edu/people/dorarad/gqa/download.html",
    "https://cs.stanford.edu/people/dorarad/gqa/download.html",
    {"train": 943_000, "val": 132_062, "testdev": 12_578},
)


def gqa(folder: Path, split: str, *, skip_bad: bool = False) -> Dataset:
    """`<split>_balanced_questions.json`. `meta`: `imageId`, `types`, `groups`, `fullAnswer`."""
    reading = Reading(GQA, folder, split, skip_bad)
    file = reading.file(f"{split}_balanced_questions.json", f"questions/{split}_balanced_questions.json")
    for number, row in reading.json(file, kind=dict).items():
        with reading.record(file, number, "question"):
            picture = reading.image(f"images/{row['imageId']}.jpg")
            answers = (text(row["answer"], "answer"),)
            meta = {"imageId": row["imageId"], **{key: row.get(key) for key in ("types", "groups", "fullAnswer")}}
            question = text(row["question"], "question")
            reading.add(Record(number, picture, Task.VQA, question, answers=answers, meta=meta))
    return reading.finish()
