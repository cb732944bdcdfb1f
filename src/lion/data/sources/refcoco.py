"""RefCOCO, RefCOCO+ and RefCOCOg: expressions for one box each, on COCO train2014 pictures.

REFER distributes each as `refs(unc).p` or `refs(umd).p`, a Python 2 pickle, and `instances.json` with the boxes. The
pickle may be replaced by the same list as JSON under the same name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lion.data.dataset import Dataset, Origin, Reading, entry, ident, text, texts, unit_box
from lion.data.pickled import loads
from lion.data.record import Record
from lion.data.sources.captions import COCO_PICTURES
from lion.errors import LionError
from lion.prompts import Task

_REFER = "https://github.com/lichengunc/refer"
_PICTURES = ("train2014", "mscoco/images/train2014")
_UNC = ("train", "val", "testA", "testB")
REFCOCO = Origin(
    "refcoco",
    _UNC,
    _REFER,
    COCO_PICTURES,
    {"train": 120_624, "val": 10_834, "testA": 5_657, "testB": 5_095},
    ("refcoco/refcoco",),
    own_folder=True,
)
REFCOCO_PLUS = Origin(
    "refcoco+",
    _UNC,
    _REFER,
    COCO_PICTURES,
    {"train": 120_191, "val": 10_758, "testA": 5_726, "testB": 4_889},
    ("refcoco/refcoco+",),
    own_folder=True,
)
REFCOCOG = Origin(
    "refcocog",
    ("train", "val", "test"),
    _REFER,
    COCO_PICTURES,
    {"train": 80_512, "val": 4_896, "test": 9_602},
    ("refcoco/refcocog",),
    own_folder=True,
)


def refcoco(folder: Path, split: str, *, skip_bad: bool = False) -> Dataset:
    """RefCOCO, UNC's splits: testA has people, testB all else."""
    return _read(Reading(REFCOCO, folder, split, skip_bad), "refs(unc)")


def refcoco_plus(folder: Path, split: str, *, skip_bad: bool = False) -> Dataset:
    """RefCOCO+, whose expressions name no places; UNC's splits."""
    return _read(Reading(REFCOCO_PLUS, folder, split, skip_bad), "refs(unc)")


def refcocog(folder: Path, split: str, *, skip_bad: bool = False) -> Dataset:
    """RefCOCOg, UMD's splits."""
    return _read(Reading(REFCOCOG, folder, split, skip_bad), "refs(umd)")


def _read(reading: Reading, refs: str) -> Dataset:
    """One record per sentence; `answers` holds all sentences of the same ref, the references of REG.

    `meta`: `ref_id`, `ann_id`, `image_id`, `category`, `raw` (the sentence as typed), `bbox` (x, y, width, height in
    pixels) and `size` of the picture (width, height).
    """
    file = reading.file(f"{refs}.p", f"{refs}.json")
    rows = reading.json(file) if file.suffix == ".json" else _unpickle(reading, file)
    if not isinstance(rows, list):
        raise LionError(f"{file} is not a list of refs as REFER distributes it: get it from {_REFER}")
    boxes = reading.file("instances.json")
    data = reading.json(boxes, kind=dict)
    nouns = {"annotations": "annotation", "images": "image", "categories": "category"}
    annotations, images, categories = (
        reading.table(boxes, reading.member(boxes, data, key), "id", noun) for key, noun in nouns.items()
    )
    for row in rows:
        sentences: list[Any] = []
        with reading.record(file, ident(row, "ref_id"), "ref"):
            if row["split"] == reading.split:
                expressions = texts([one["sent"] for one in row["sentences"] if "sent" in one], "sentences")
                sentences = row["sentences"]
        for sentence in sentences:
            with reading.record(file, ident(sentence, "sent_id"), "sentence"):
                annotation = entry(annotations, row["ann_id"], "annotation")
                image = entry(images, row["image_id"], "image")
                size = (image["width"], image["height"])
                meta = {
                    "ref_id": row["ref_id"],
                    "ann_id": row["ann_id"],
                    "image_id": row["image_id"],
                    "category": entry(categories, row["category_id"], "category")["name"],
                    "raw": sentence.get("raw"),
                    "bbox": tuple(annotation["bbox"]),
                    "size": size,
                }
                record = Record(
                    str(sentence["sent_id"]),
                    # The ref's own file_name has a suffix that no picture has. The second place is REFER's own.
                    reading.image(*(f"{place}/{image['file_name']}" for place in _PICTURES)),
                    Task.REC,
                    expression=text(sentence["sent"], "sent"),
                    box=unit_box(annotation["bbox"], *size),
                    answers=expressions,
                    also=(Task.REG,),
                    meta=meta,
                )
                reading.add(record)
    return reading.finish()


def _unpickle(reading: Reading, file: Path) -> Any:
    data = reading.bytes(file)
    try:
        return loads(data)
    except LionError as error:
        raise LionError(f"{file}: {error}") from error
