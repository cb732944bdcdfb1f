"""COCO's detection format, yours or COCO's own: boxes with categories, as REC and REG with the category's name.

Where a picture has several objects of a category, its name denotes none of them, and the boxes serve REG only.
"""

from collections import Counter
from dataclasses import replace

from lion.data.dataset import AnnotationReader, DatasetInfo, entry, ident, region_record, text
from lion.data.sources.captions import COCO_PICTURES
from lion.prompts import Task


@DatasetInfo("coco-detection", {}, COCO_PICTURES, COCO_PICTURES, folders=("coco", "coco_caption")).reader
def coco_detection(reader: AnnotationReader) -> None:
    """`<split>.json`, such as `instances_val2017.json`; pictures lie in the folder of its last word, `val2017`.

    Crowd annotations make no records; beside one, the category's name does not denote a single object.
    `meta`: `ann_id`, `image_id`, `category`, `bbox` (x, y, width, height in pixels), `size` (width, height).
    """
    file = reader.file(f"{reader.split}.json")
    data = reader.json(file, kind=dict)
    tables = (("images", "image"), ("categories", "category"))
    images, categories = (reader.table(file, reader.member(file, data, key), "id", noun) for key, noun in tables)
    rows = reader.member(file, data, "annotations")
    alike = Counter((ident(row, "image_id"), ident(row, "category_id")) for row in rows)
    for row in rows:
        if ident(row, "iscrowd") == "1":
            continue
        with reader.record(file, ident(row, "id"), "annotation"):
            image = entry(images, row["image_id"], "image")
            name = text(entry(categories, row["category_id"], "category")["name"], "category")
            size = (image["width"], image["height"])
            meta = {"ann_id": row["id"], "image_id": row["image_id"], "category": name}
            picture = reader.image(f"{reader.split.rsplit('_', 1)[-1]}/{image['file_name']}", image["file_name"])
            record = region_record(row["id"], picture, name, row["bbox"], size, meta)
            if alike[ident(row, "image_id"), ident(row, "category_id")] > 1:
                record = replace(record, task=Task.REG, also=())
            reader.add(record)
