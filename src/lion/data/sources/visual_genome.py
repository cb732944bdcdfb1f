"""Visual Genome: phrases for regions, which train REC and REG, and questions.

A phrase of several boxes of a picture denotes none of them, and they serve REG only.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from lion.data.dataset import AnnotationReader, DatasetInfo
from lion.data.sample import Record
from lion.data.values import as_read, entry, ident, identifier, region_record, text
from lion.prompts import Task

_HOME = "https://homes.cs.washington.edu/~ranjay/visualgenome/api.html"


@DatasetInfo("visual-genome", dict.fromkeys(("train", "questions")), _HOME, _HOME, ("visual_genome", "vg")).reader
def visual_genome(reader: AnnotationReader) -> None:
    """`region_descriptions.json` and `image_data.json` (the pictures' sizes), or `question_answers.json` (questions).

    Pictures lie in `VG_100K`, `VG_100K_2`. Some boxes reach outside their pictures, so train with `skip_bad`. Phrases
    lose the blanks around them and keep their typos. `meta`: `region_id`, `image_id`, `bbox` (x, y, width, height in
    pixels), `size`; of a question: `image_id`.
    """
    if reader.split == "questions":
        _questions(reader)
        return
    file = reader.file("region_descriptions.json")
    sizes = reader.file("image_data.json")
    images = reader.table(sizes, reader.json(sizes), "image_id", "image")
    for region in _entries(reader, file, "regions"):
        with reader.record(file, ident(region, "region_id"), "region"):
            number = region["image_id"]
            image = entry(images, number, "image")
            phrase = text(region["phrase"], "phrase").strip()
            bbox = tuple(region[key] for key in ("x", "y", "width", "height"))
            size = (image["width"], image["height"])
            meta = {"region_id": region["region_id"], "image_id": number}
            reader.add(region_record(region["region_id"], _picture(reader, number), phrase, bbox, size, meta))
    keys = [(one.image, as_read(one.expression or "")) for one in reader.records]
    boxes: dict[object, set[object]] = {}
    for key, one in zip(keys, reader.records, strict=True):
        boxes.setdefault(key, set()).add(one.box)
    for place, key in enumerate(keys):
        if len(boxes[key]) > 1:
            reader.records[place] = replace(reader.records[place], task=Task.REG, also=())


def _questions(reader: AnnotationReader) -> None:
    file = reader.file("question_answers.json")
    for row in _entries(reader, file, "qas"):
        with reader.record(file, ident(row, "qa_id"), "question"):
            picture, question = _picture(reader, row["image_id"]), text(row["question"], "question")
            meta, answers = {"image_id": row["image_id"]}, (text(row["answer"], "answer"),)
            reader.add(Record(identifier(row["qa_id"]), picture, Task.VQA, question, answers=answers, meta=meta))


def _entries(reader: AnnotationReader, file: Path, key: str) -> Iterator[Any]:
    """The rows under a key of every image."""
    for image in reader.json(file):
        rows: list[Any] = []
        with reader.record(file, ident(image, "id"), "image"):
            rows = list(image[key])
        yield from rows


def _picture(reader: AnnotationReader, number: object) -> Path:
    return reader.image(*(f"{place}/{identifier(number)}.jpg" for place in ("VG_100K", "VG_100K_2")))
