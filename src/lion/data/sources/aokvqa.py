"""A-OKVQA: questions with four choices and ten direct answers, on COCO 2017 pictures; test answers are hidden."""

from __future__ import annotations

from pathlib import Path

from lion.data.dataset import Dataset, Origin, Reading, ident, index, text, texts
from lion.data.record import Record
from lion.data.sources.captions import COCO_PICTURES
from lion.prompts import Task

AOKVQA = Origin(
    "aokvqa",
    ("train", "val", "test"),
    "https://github.com/allenai/aokvqa",
    COCO_PICTURES,
    {"train": 17_056, "val": 1_145, "test": 6_702},
)


def aokvqa(folder: Path, split: str, *, skip_bad: bool = False) -> Dataset:
    """`aokvqa_v1p0_<split>.json`. `meta`: `question_id`, `image_id`, `difficult_direct_answer`, `rationales`."""
    reading = Reading(AOKVQA, folder, split, skip_bad)
    file = reading.file(f"aokvqa_v1p0_{split}.json")
    for row in reading.json(file):
        with reading.record(file, ident(row, "question_id"), "question"):
            number, choices = text(row["question_id"], "question_id"), texts(row["choices"], "choices")
            hidden = split == "test"
            record = Record(
                number,
                reading.image(f"{split}2017/{row['image_id']:012d}.jpg"),
                Task.VQA,
                text(row["question"], "question"),
                answers=() if hidden else texts(row["direct_answers"], "direct answers"),
                choices=choices,
                correct=None if hidden else index(row["correct_choice_idx"], choices, "correct_choice_idx"),
                meta={
                    "question_id": number,
                    "image_id": row["image_id"],
                    "difficult_direct_answer": row["difficult_direct_answer"],
                    "rationales": row.get("rationales", []),
                },
            )
            reading.add(record)
    return reading.finish()
