"""Visual Genome's region descriptions: phrases for boxes, which train REC and REG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lion.data.dataset import Dataset, Origin, Reading, entry, ident, text, unit_box
from lion.data.record import Record
from lion.prompts import Task

_HOME = "https://homes.cs.washington.edu/~ranjay/visualgenome/api.html"
VISUAL_GENOME = Origin("visual-genome", ("train",), _HOME, _HOME, folders=("visual_genome", "vg"))


def visual_genome(folder: Path, split: str, *, skip_bad: bool = False) -> Dataset:
    """`region_descriptions.json` and `image_data.json` (the pictures' sizes); pictures in `VG_100K`, `VG_100K_2`.

    The file has thousands of boxes that reach outside their pictures, so train with `skip_bad`. Phrases lose the blanks
    around them and keep their typos. `meta`: `region_id`, `image_id`, `bbox` (x, y, width, height in pixels), `size`.
    """
    reading = Reading(VISUAL_GENOME, folder, split, skip_bad)
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
                    reading.image(f"VG_100K/{number}.jpg", f"VG_100K_2/{number}.jpg"),
                    Task.REC,
                    expression=phrase,
                    box=unit_box(bbox, *size),
                    answers=(phrase,),
                    also=(Task.REG,),
                    meta={"region_id": region["region_id"], "image_id": number, "bbox": bbox, "size": size},
                )
                reading.add(record)
    return reading.finish()
