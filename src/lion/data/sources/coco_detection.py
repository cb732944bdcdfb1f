"""COCO's detection format, yours or COCO's own: boxes with categories, as REC and REG with the category's name.

Where a picture has several objects of a category's name, it denotes none of them, and the boxes serve REG only.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from lion.data.dataset import AnnotationReader, DatasetInfo
from lion.data.sources.captions import COCO_PICTURES
from lion.data.values import as_read, entry, ident, region_record, text, truth
from lion.errors import LionError
from lion.prompts import Task


@DatasetInfo("coco-detection", {}, COCO_PICTURES, COCO_PICTURES, folders=("coco", "coco_caption")).reader
def coco_detection(reader: AnnotationReader) -> None:
    """`<split>.json`, such as `instances_val2017.json`; pictures lie in the folder of its last word, `val2017`.

    Crowd annotations make no records; beside one, the category's name does not denote a single object. Names are
    compared as people read them (`as_read`). `meta`: `ann_id`, `image_id`, `category`, `bbox` (x, y, width, height in
    pixels), `size` (width, height).
    """
    file = reader.file(f"{reader.split}.json")
    data = reader.json(file, kind=dict)
    tables = (("images", "image"), ("categories", "category"))
    images, categories = (reader.table(file, reader.member(file, data, key), "id", noun) for key, noun in tables)
    folder = reader.split.rsplit("_", 1)[-1]
    alike: Counter[tuple[Path, str]] = Counter()
    found: list[tuple[Any, Path, str]] = []
    for row in reader.member(file, data, "annotations"):
        with reader.record(file, ident(row, "id"), "annotation"):
            image = entry(images, row["image_id"], "image")
            name = " ".join(text(entry(categories, row["category_id"], "category")["name"], "category").split())
            picture = reader.image(f"{folder}/{image['file_name']}", image["file_name"])
            alike[picture, as_read(name)] += 1
            if other := [key for key in row if key != "iscrowd" and key.replace("_", "").casefold() == "iscrowd"]:
                raise LionError(f"its key {other[0]} is called iscrowd in COCO's format; rename it")
            if not truth(row.get("iscrowd", 0), "iscrowd"):
                found.append((row, picture, name))
    if alike and not found and not reader.skipped:
        raise LionError(f"{file} holds crowds alone, and none of them is a single object; mark single ones iscrowd: 0")
    for row, picture, name in found:
        with reader.record(file, ident(row, "id"), "annotation"):
            image = entry(images, row["image_id"], "image")
            meta = {"ann_id": row["id"], "image_id": row["image_id"], "category": name}
            size = (image["width"], image["height"])
            record = region_record(row["id"], picture, name, row["bbox"], size, meta)
            single = alike[picture, as_read(name)] == 1
            reader.add(record if single else replace(record, task=Task.REG, also=()))
