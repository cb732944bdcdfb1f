"""VSR, Visual Spatial Reasoning: is a statement about two objects in a picture true?"""

from lion.data.dataset import AnnotationReader, DatasetInfo
from lion.data.sample import Record
from lion.data.values import index, text
from lion.prompts import Task

VERDICTS = ("false", "true")
"""A label is an index into it."""


@DatasetInfo(
    "vsr",
    {"train": 3_489, "dev": 340, "test": 1_222, "random-train": 7_680, "random-dev": 1_097, "random-test": 2_195},
    annotations="https://github.com/cambridgeltl/visual-spatial-reasoning (data/splits)",
    pictures="the same page, or COCO 2017: https://cocodataset.org/#download",
).reader
def vsr(reader: AnnotationReader) -> None:
    """`zeroshot/<split>.jsonl` (train, dev, test: the ones LION reports) or `random/<split>.jsonl`.

    The statement stands in `question`. A record's id is its line, counted from 1. `meta`: `relation`, `image_link`.
    """
    split = reader.split
    name = split.replace("random-", "random/") if split.startswith("random-") else f"zeroshot/{split}"
    file = reader.file(f"{name}.jsonl", f"splits/{name}.jsonl", f"data/splits/{name}.jsonl")
    for number, row in reader.json_lines(file):
        with reader.record(file, number, "line"):
            coco = "/".join(row["image_link"].split("/")[-2:])
            label = index(row["label"], VERDICTS, "label")
            record = Record(
                str(number),
                reader.image(row["image"], coco),
                Task.VQA,
                text(row["caption"], "caption"),
                answers=(VERDICTS[label],),
                choices=VERDICTS,
                correct=label,
                meta={"relation": row["relation"], "image_link": row["image_link"]},
            )
            reader.add(record)
