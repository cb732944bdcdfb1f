"""Visual Genome: phrases for regions, which train REC and REG, and questions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lion.data.dataset import Dataset, Origin, Reading, entry, ident, text, unit_box
from lion.data.record import Record
from lion.prompts import Task

_HOME = "https://homes.cs.washington.edu/~ranjay/visualgenome/api.html"
VISUAL_GENOME = Origin("visual-genome", ("train", "questions"), _HOME, _HOME, folders=("visual_genome", "vg"))


def visual_genome(folder: Path, split: str, *, skip_bad: bool = False) -> Dataset:
    """`region_descriptions.json` and `image_data.json` (the pictures' sizes), or `question_answers.json` (questions).

    Pictures lie in `VG_100K`, `VG_100K_2`. Some boxes reach outside their pictures, so train with `skip_bad`. Phrases
    lose the blanks around them and keep their typos. `meta`: `region_id`, `image_id`, `bbox` (x, y, width, height in
    pixels), `size`; of a question: `image_id`.
    """
    reading = Reading(VISUAL_GENOME, folder, split, skip_bad)
    if split == "questions":
        return _questions(reading)
    file = reading.file("region_descriptions.json")
    sizes = reading.file("image_data.json")
    images = reading.table(sizes, reading.json(sizes), "image_id", "image")
    for row in reading.json(file):
        regions: list[Any] = []
        with reading.record(file, ident(row, "id"), "image"):
            regions = row["regions"]
        for region in regions:
            with reading.record(file, ident(region, "region_id"), "region"):
                number = region["image_id"]
                image = entry(images, number, "image")
                phrase = text(region["phrase"], "phrase").strip()
                bbox = tuple(region[key] for key in ("x", "y", "width", "height"))
                size = (image["width"], image["height"])
                record = Record(
                    str(region["region_id"]),
                    _picture(reading, number),
                    Task.REC,
                    expression=phrase,
                    box=unit_box(bbox, *size),
                    answers=(phrase,),
                    also=(Task.REG,),
                    meta={"region_id": region["region_id"], "image_id": number, "bbox": bbox, "size": size},
                )
                reading.add(record)
    return reading.finish()


def _questions(reading: Reading) -> Dataset:
    file = reading.file("question_answers.json")
    for row in reading.json(file):
        asked: list[Any] = []
        with reading.record(file, ident(row, "id"), "image"):
            asked = row["qas"]
        for one in asked:
            with reading.record(file, ident(one, "qa_id"), "question"):
                picture, question = _picture(reading, one["image_id"]), text(one["question"], "question")
                meta, answers = {"image_id": one["image_id"]}, (text(one["answer"], "answer"),)
                reading.add(Record(str(one["qa_id"]), picture, Task.VQA, question, answers=answers, meta=meta))
    return reading.finish()


def _picture(reading: Reading, number: int) -> Path:
    return reading.image(f"VG_100K/{number}.jpg", f"VG_100K_2/{number}.jpg")
