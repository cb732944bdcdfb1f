"""IconQA, its text-choice questions: abstract diagrams, options in words, the answer a place among them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from lion.data.dataset import Dataset, Origin, Reading, entry, index, text, texts
from lion.data.record import Record
from lion.prompts import Task

ICONQA = Origin(
    "iconqa",
    ("train", "val", "test"),
    "https://iconqa.github.io",
    "https://iconqa.github.io",
    {"train": 18_946, "val": 6_316, "test": 6_316},
    ("iconqa/iconqa_data", "iconqa_data"),
)

_HOW_TO_COUNT = re.compile(r"^\s*Count\b[^.?!]*\bby\b[^.?!]*[.?!]\s+(?=\S)", re.IGNORECASE)
"""A first sentence such as "Count the balls by fives.", which the dataset's own loader leaves out."""


def iconqa(folder: Path, split: str, *, skip_bad: bool = False) -> Dataset:
    """`problems.json` with `pid_splits.json`, or, without them, `iconqa/<split>/choose_txt/<pid>/data.json`.

    Pictures are `iconqa/<split>/choose_txt/<pid>/image.png`. Questions come without a first sentence that says how to
    count. `meta`: `grade`, `label`, `skills` (of `pid2skills.json`).
    """
    reading = Reading(ICONQA, folder, split, skip_bad)
    file = reading.find("problems.json")
    if file is None:
        return _folders(reading)
    problems = reading.json(file, kind=dict)
    splits = reading.file("pid_splits.json")
    skills_file = reading.find("pid2skills.json")
    skills = reading.json(skills_file, kind=dict) if skills_file else {}
    for pid in reading.json(splits, f"choose_txt_{split}"):
        with reading.record(splits, pid, "problem"):
            _add(reading, str(pid), entry(problems, str(pid), "problem"), skills.get(str(pid)))
    return reading.finish()


def _folders(reading: Reading) -> Dataset:
    below = f"{reading.split}/choose_txt"
    places = (home / place for home in reading.homes for place in (f"iconqa/{below}", below))
    found = next((place for place in places if place.is_dir()), None)
    if found is None:
        raise reading.missing("problems.json", f"iconqa/{below}/PID/data.json")
    for place in sorted(found.iterdir(), key=lambda path: (len(path.name), path.name)):
        file = place / "data.json"
        with reading.record(file, place.name, "problem"):
            _add(reading, place.name, reading.json(file, kind=dict), None)
    return reading.finish()


def _add(reading: Reading, pid: str, row: dict[str, Any], skills: list[str] | None) -> None:
    choices = texts(row["choices"], "choices")
    correct = index(row["answer"], choices, "answer")
    place = f"{reading.split}/choose_txt/{pid}/image.png"
    picture = reading.image(f"iconqa/{place}", place, flat=False)
    question = _HOW_TO_COUNT.sub("", text(row["question"], "question"), count=1)
    meta = {"grade": row.get("grade"), "label": row.get("label"), "skills": skills}
    answers = (choices[correct],)
    reading.add(Record(pid, picture, Task.VQA, question, answers=answers, choices=choices, correct=correct, meta=meta))
