"""RefCOCO, RefCOCO+ and RefCOCOg: expressions for one box each, on COCO train2014 pictures.

REFER distributes each as `refs(unc).p` or `refs(umd).p`, a Python 2 pickle, and `instances.json` with the boxes. The
pickle may be replaced by the same list as JSON under the same name.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from lion.data.dataset import AnnotationReader, DatasetInfo, Reader
from lion.data.pickled import loads
from lion.data.sources.captions import COCO_PICTURES
from lion.data.values import entry, ident, identifier, region_record, text, texts
from lion.errors import LionError

_REFER = "https://github.com/lichengunc/refer"
_PICTURES = ("train2014", "mscoco/images/train2014")


def _refer(name: str, refs: str, splits: Mapping[str, int]) -> Reader:
    """The reader of a dataset with this name of its file of refs."""
    info = DatasetInfo(name, splits, _REFER, COCO_PICTURES, folders=(f"refcoco/{name}",), own_folder=True)
    return Reader(info, partial(_add_records, refs=refs))


def _add_records(reader: AnnotationReader, refs: str) -> None:
    """One record per sentence; `answers` holds all sentences of the same ref, the references of REG.

    `meta`: `ref_id`, `ann_id`, `image_id`, `category`, `raw` (the sentence as typed), `bbox` (x, y, width, height in
    pixels) and `size` of the picture (width, height).
    """
    file = reader.file(f"{refs}.p", f"{refs}.json")
    rows = reader.json(file) if file.suffix == ".json" else _unpickle(reader, file)
    if not isinstance(rows, list):
        raise LionError(f"{file} is not a list of refs as REFER distributes it: get it from {_REFER}")
    boxes = reader.file("instances.json")
    data = reader.json(boxes, kind=dict)
    nouns = {"annotations": "annotation", "images": "image", "categories": "category"}
    annotations, images, categories = (
        reader.table(boxes, reader.member(boxes, data, key), "id", noun) for key, noun in nouns.items()
    )
    for row in rows:
        sentences: list[Any] = []
        with reader.record(file, ident(row, "ref_id"), "ref"):
            if row["split"] == reader.split:
                expressions = texts([one["sent"] for one in row["sentences"] if "sent" in one], "sentences")
                expressions = tuple(one for one in expressions if one.strip())  # a blank one is a bad sentence below
                sentences = row["sentences"]
        for sentence in sentences:
            with reader.record(file, ident(sentence, "sent_id"), "sentence"):
                annotation = entry(annotations, row["ann_id"], "annotation")
                image = entry(images, row["image_id"], "image")
                if identifier(annotation.get("image_id", row["image_id"])) != identifier(row["image_id"]):
                    raise LionError(f"its box belongs to another image, {annotation['image_id']}")
                size = (image["width"], image["height"])
                category = entry(categories, row["category_id"], "category")["name"]
                ids = {key: row[key] for key in ("ref_id", "ann_id", "image_id")}
                meta = {**ids, "category": category, "raw": sentence.get("raw")}
                # The ref's own file_name has a suffix that no picture has. The second place is REFER's own.
                picture = reader.image(*(f"{place}/{image['file_name']}" for place in _PICTURES))
                expression = text(sentence["sent"], "sent")
                record = region_record(sentence["sent_id"], picture, expression, annotation["bbox"], size, meta)
                reader.add(replace(record, answers=expressions))


def _unpickle(reader: AnnotationReader, file: Path) -> Any:
    data = reader.bytes(file)
    try:
        return loads(data)
    except LionError as error:
        raise LionError(f"{file}: {error}") from error


refcoco = _refer("refcoco", "refs(unc)", {"train": 120_624, "val": 10_834, "testA": 5_657, "testB": 5_095})
"""RefCOCO, UNC's splits: testA has people, testB all other objects."""
refcoco_plus = _refer("refcoco+", "refs(unc)", {"train": 120_191, "val": 10_758, "testA": 5_726, "testB": 4_889})
"""RefCOCO+, whose expressions name no places; UNC's splits."""
refcocog = _refer("refcocog", "refs(umd)", {"train": 80_512, "val": 4_896, "test": 9_602})
"""RefCOCOg, UMD's splits."""
