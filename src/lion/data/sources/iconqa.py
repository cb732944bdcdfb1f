"""IconQA, its text-choice questions: abstract diagrams, options in words, the answer a place among them."""

import re
from typing import Any

from lion.data.dataset import AnnotationReader, DatasetInfo
from lion.data.sample import Record
from lion.data.values import entry, index, text, texts
from lion.prompts import Task

_HOW_TO_COUNT = re.compile(r"^\s*Count\b[^.?!]*\bby\b[^.?!]*[.?!]\s+(?=\S)", re.IGNORECASE)
"""A first sentence such as "Count the balls by fives.", which the dataset's own loader leaves out."""


@DatasetInfo(
    "iconqa",
    {"train": 18_946, "val": 6_316, "test": 6_316},
    annotations="https://iconqa.github.io",
    pictures="https://iconqa.github.io",
    folders=("iconqa/iconqa_data", "iconqa_data"),
).reader
def iconqa(reader: AnnotationReader) -> None:
    """`problems.json` with `pid_splits.json`, or, without them, `iconqa/<split>/choose_txt/<pid>/data.json`.

    Pictures are `iconqa/<split>/choose_txt/<pid>/image.png`. A first sentence on how to count is removed from
    questions. `meta`: `grade`, `label`, `skills` (of `pid2skills.json`).
    """
    file = reader.find("problems.json")
    if file is None:
        _folders(reader)
        return
    problems = reader.json(file, kind=dict)
    splits = reader.file("pid_splits.json")
    skills_file = reader.find("pid2skills.json")
    skills = reader.json(skills_file, kind=dict) if skills_file else {}
    for pid in reader.json(splits, f"choose_txt_{reader.split}"):
        with reader.record(splits, pid, "problem"):
            _add(reader, str(pid), entry(problems, str(pid), "problem"), skills.get(str(pid)))


def _folders(reader: AnnotationReader) -> None:
    below = f"{reader.split}/choose_txt"
    places = (home / place for home in reader.homes for place in (f"iconqa/{below}", below))
    found = next((place for place in places if place.is_dir()), None)
    if found is None:
        raise reader.missing("problems.json", f"iconqa/{below}/PID/data.json")
    for place in sorted(found.iterdir(), key=lambda path: (len(path.name), path.name)):
        file = place / "data.json"
        with reader.record(file, place.name, "problem"):
            _add(reader, place.name, reader.json(file, kind=dict), None)


def _add(reader: AnnotationReader, pid: str, row: dict[str, Any], skills: list[str] | None) -> None:
    choices = texts(row["choices"], "choices")
    correct = index(row["answer"], choices, "answer")
    place = f"{reader.split}/choose_txt/{pid}/image.png"
    picture = reader.image(f"iconqa/{place}", place)
    question = _HOW_TO_COUNT.sub("", text(row["question"], "question"), count=1)
    meta = {"grade": row.get("grade"), "label": row.get("label"), "skills": skills}
    answers = (choices[correct],)
    reader.add(Record(pid, picture, Task.VQA, question, answers=answers, choices=choices, correct=correct, meta=meta))
