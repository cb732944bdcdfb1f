"""VQAv2 and OK-VQA: a file of questions and one of annotations with ten answers each, on COCO 2014 pictures."""

from __future__ import annotations

from pathlib import Path

from lion.data.dataset import Dataset, Origin, Reading, entry, ident, text, texts
from lion.data.record import Record
from lion.data.sources.captions import COCO_PICTURES
from lion.prompts import Task

VQAV2 = Origin(
    "vqav2",
    ("train", "val", "test"),
    "https://visualqa.org/download.html",
    COCO_PICTURES,
    {"train": 443_757, "val": 214_354, "test": 447_793},
    ("vqa",),
)
OKVQA = Origin(
    "okvqa",
    ("train", "val"),
    "https://okvqa.allenai.org/download.html",
    COCO_PICTURES,
    {"train": 9_009, "val": 5_046},
    ("ok-vqa",),
)


def vqav2(folder: Path, split: str, *, skip_bad: bool = False) -> Dataset:
    """VQAv2: `v2_OpenEnded_mscoco_*_questions.json`, `v2_mscoco_*_annotations.json`; its test answers are hidden."""
    return _read(Reading(VQAV2, folder, split, skip_bad), "v2_")


def okvqa(folder: Path, split: str, *, skip_bad: bool = False) -> Dataset:
    """OK-VQA: as VQAv2. `answers` are the lemmatised ones, as scored; `raw_answer` is in `meta["answers"]`."""
    return _read(Reading(OKVQA, folder, split, skip_bad), "")


def _read(reading: Reading, prefix: str) -> Dataset:
    """`meta`: `question_id`, `image_id`, `question_type`, `answer_type`, and `answers`, the official records."""
    part = "test2015" if reading.split == "test" else f"{reading.split}2014"
    file = reading.file(f"{prefix}OpenEnded_mscoco_{part}_questions.json")
    questions = reading.json(file, "questions")
    annotations = {}
    if reading.split != "test":
        truth = reading.file(f"{prefix}mscoco_{part}_annotations.json")
        annotations = reading.table(truth, reading.json(truth, "annotations"), "question_id", "annotation")
    for asked in questions:
        with reading.record(file, ident(asked, "question_id"), "question"):
            number, image_id = asked["question_id"], asked["image_id"]
            meta = {"question_id": number, "image_id": image_id}
            answers: tuple[str, ...] = ()
            if reading.split != "test":
                truth_row = entry(annotations, number, "annotation")
                given = truth_row["answers"]
                answers = texts([one["answer"] for one in given], "reference answers")
                kinds = {key: truth_row.get(key) for key in ("question_type", "answer_type")}
                meta |= {**kinds, "answers": given}
            picture = reading.image(f"{part}/COCO_{part}_{image_id:012d}.jpg")
            question = text(asked["question"], "question")
            reading.add(Record(str(number), picture, Task.VQA, question, answers=answers, meta=meta))
    return reading.finish()
