"""VSR, Visual Spatial Reasoning: is a statement about two things in a picture true?"""

from __future__ import annotations

import json
from pathlib import Path

from lion.data.dataset import Dataset, Origin, Reading, index, text
from lion.data.record import Record
from lion.prompts import Task

VSR = Origin(
    "vsr",
    ("train", "dev", "test", "random-train", "random-dev", "random-test"),
    "https://github.com/cambridgeltl/visual-spatial-reasoning (data/splits)",
    "the same page, or COCO 2017: https://cocodataset.org/#download",
    {"train": 3_489, "dev": 340, "test": 1_222, "random-train": 7_680, "random-dev": 1_097, "random-test": 2_195},
)
VERDICTS = ("false", "true")
"""A label is a place in it."""


def vsr(folder: Path, split: str, *, skip_bad: bool = False) -> Dataset:
    """`zeroshot/<split>.jsonl` (train, dev, test: the ones LION reports) or `random/<split>.jsonl`.

    The statement stands in `question`. A record's id is its line, counted from 1. `meta`: `relation`, `image_link`.
    """
    reading = Reading(VSR, folder, split, skip_bad)
    name = split.replace("random-", "random/") if split.startswith("random-") else f"zeroshot/{split}"
    file = reading.file(f"{name}.jsonl", f"splits/{name}.jsonl", f"data/splits/{name}.jsonl")
    for number, line in reading.lines(file):
        with reading.record(file, number, "line"):
            row = json.loads(line)
            coco = "/".join(row["image_link"].split("/")[-2:])
            label = index(row["label"], VERDICTS, "label")
            record = Record(
                str(number),
                reading.image(row["image"], coco),
                Task.VQA,
                text(row["caption"], "caption"),
                answers=(VERDICTS[label],),
                choices=VERDICTS,
                correct=label,
                meta={"relation": row["relation"], "image_link": row["image_link"]},
            )
            reading.add(record)
    return reading.finish()
