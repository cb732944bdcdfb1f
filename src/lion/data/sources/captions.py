"""Captioning: COCO Caption, Flickr30K and TextCaps; one record per picture with all its reference captions.

COCO and Flickr30K are scored on Andrej Karpathy's splits; his `train` includes `restval`, as everybody trains on it.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from lion.data.dataset import Dataset, Origin, Reading, entry, ident, text, texts
from lion.data.record import Record
from lion.errors import LionError
from lion.prompts import Task

COCO_PICTURES = "https://cocodataset.org/#download"
_KARPATHY = "https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip (or LAVIS's json files)"

COCO_CAPTION = Origin(
    "coco-caption",
    ("train", "val", "test", "train2014", "val2014", "train2017", "val2017"),
    f"{_KARPATHY}; the captions_*.json of train2014 to val2017: {COCO_PICTURES}",
    COCO_PICTURES,
    {"train": 113_287, "val": 5_000, "test": 5_000},
    ("coco_caption", "coco"),
)
FLICKR30K = Origin(
    "flickr30k",
    ("train", "val", "test"),
    _KARPATHY,
    "https://shannon.cs.illinois.edu/DenotationGraph/",
    {"train": 29_000, "val": 1_014, "test": 1_000},
)
TEXTCAPS = Origin(
    "textcaps",
    ("train", "val", "test"),
    "https://textvqa.org/textcaps/dataset/",
    "https://textvqa.org/textcaps/dataset/",
    {"train": 21_953, "val": 3_166, "test": 3_289},
)


def coco_caption(folder: Path, split: str, *, skip_bad: bool = False) -> Dataset:
    """COCO Caption: `dataset_coco.json` or LAVIS's `coco_karpathy_*.json`, plain `captions_*.json` for train2014 etc.

    `meta`: `image_id`, which official result files name.
    """
    reading = Reading(COCO_CAPTION, folder, split, skip_bad)
    if split not in ("train", "val", "test"):
        _plain(reading, reading.file(f"captions_{split}.json"), split)
        return reading.finish()
    lavis = f"coco_karpathy_{split}.json"
    file = reading.file("dataset_coco.json", lavis, f"coco_karpathy_{split}_gt.json")
    if file.name == "dataset_coco.json":
        for image in reading.json(file, "images"):
            with reading.record(file, ident(image, "cocoid", "filename"), "image"):
                if not _in_split(image, split):
                    continue
                name = f"{image['filepath']}/{image['filename']}"
                _add(reading, image["cocoid"], [one["raw"] for one in image["sentences"]], name)
    elif file.name == lavis:
        for name, references in _lavis(reading, file).items():
            with reading.record(file, name, "image"):
                _add(reading, int(PurePosixPath(name).stem.rsplit("_", 1)[-1]), references, name)
    else:
        _plain(reading, file, "val2014")
    return reading.finish()


def flickr30k(folder: Path, split: str, *, skip_bad: bool = False) -> Dataset:
    """Flickr30K: `dataset_flickr30k.json`, LAVIS's `flickr30k_*.json`, or `results_20130124.token`.

    The last knows no splits, so it needs a list of picture names beside it, `karpathy_<split>_images.txt`. (The split
    of Flickr30K Entities is another one.)
    """
    reading = Reading(FLICKR30K, folder, split, skip_bad)
    file = reading.file("dataset_flickr30k.json", f"flickr30k_{split}.json", "results_20130124.token")
    references: dict[str, list[Any]] = {}
    if file.name == "dataset_flickr30k.json":
        for image in reading.json(file, "images"):
            with reading.record(file, ident(image, "filename"), "image"):
                if not _in_split(image, split):
                    continue
                _add_flickr(reading, image["filename"], [one["raw"] for one in image["sentences"]])
        return reading.finish()
    if file.name == f"flickr30k_{split}.json":
        references = _lavis(reading, file)
    else:
        names = reading.file(f"karpathy_{split}_images.txt")
        references = {line.strip(): [] for _, line in reading.lines(names)}
        places: set[str] = set()
        for number, line in reading.lines(file):
            with reading.record(file, number, "line"):
                place, caption = line.split("\t")
                if place in places:
                    raise LionError(f"{place} is there twice")
                places.add(place)
                references.get(place.rsplit("#", 1)[0], []).append(caption)
    for name, captions in references.items():
        with reading.record(file, name, "image"):
            _add_flickr(reading, name, captions)
    return reading.finish()


def textcaps(folder: Path, split: str, *, skip_bad: bool = False) -> Dataset:
    """TextCaps: `TextCaps_0.1_<split>.json`, which repeats a picture's references in a row for each caption.

    The captions of its test split are not public. `meta`: `image_id`, `image_classes`, `size` (width, height).
    """
    reading = Reading(TEXTCAPS, folder, split, skip_bad)
    file = reading.file(f"TextCaps_0.1_{split}.json")
    rows: dict[str, dict[str, Any]] = {}
    key = "image_id" if split == "test" else "caption_id"
    for number, row in reading.table(file, reading.json(file, "data"), key, "row").items():
        with reading.record(file, number, "row"):
            rows.setdefault(text(row["image_id"], "image_id"), row)
    for number, row in rows.items():
        with reading.record(file, number, "image"):
            references = () if split == "test" else texts(row.get("reference_strs"), "reference captions")
            pictures = (f"{'test' if split == 'test' else 'train'}_images/{number}.jpg", row["image_path"])
            size = (row["image_width"], row["image_height"])
            meta = {"image_id": number, "image_classes": row.get("image_classes", []), "size": size}
            reading.add(Record(number, reading.image(*pictures), Task.CAPTION, answers=references, meta=meta))
    return reading.finish()


def _in_split(image: dict[str, Any], split: str) -> bool:
    """Whether a row of Karpathy's files belongs to a split."""
    return image["split"] == split or (split == "train" and image["split"] == "restval")


def _lavis(reading: Reading, file: Path) -> dict[str, list[Any]]:
    """Captions by picture of LAVIS's files: a row per picture with all captions, in train files a row per caption."""
    references: dict[str, list[Any]] = {}
    for number, row in enumerate(reading.json(file), start=1):
        with reading.record(file, number, "row"):
            one = row["caption"]
            if isinstance(one, list) and row["image"] in references:
                raise LionError(f"{row['image']} is there twice")
            references.setdefault(row["image"], []).extend(one if isinstance(one, list) else [one])
    return references


def _plain(reading: Reading, file: Path, folder: str) -> None:
    """COCO's own form: images and captions in two tables."""
    data = reading.json(file, kind=dict)
    images = reading.table(file, reading.member(file, data, "images"), "id", "image")
    references: dict[Any, list[Any]] = {number: [] for number in images}
    for number, row in reading.table(file, reading.member(file, data, "annotations"), "id", "caption").items():
        with reading.record(file, number, "caption"):
            entry(references, row["image_id"], "image").append(row["caption"])
    for number, image in images.items():
        with reading.record(file, number, "image"):
            usual = f"{'' if folder.endswith('2017') else f'COCO_{folder}_'}{number:012d}.jpg"
            _add(reading, number, references[number], f"{folder}/{image.get('file_name', usual)}")


def _add(reading: Reading, number: int, references: Any, picture: str) -> None:
    found = reading.image(picture)
    answers = texts(references, "reference captions")
    reading.add(Record(str(number), found, Task.CAPTION, answers=answers, meta={"image_id": number}))


def _add_flickr(reading: Reading, name: str, references: Any) -> None:
    file = PurePosixPath(text(name, "file name")).name
    picture = reading.image(f"flickr30k-images/{file}", f"flickr30k_images/{file}")
    stem = PurePosixPath(file).stem
    answers = texts(references, "reference captions")
    reading.add(Record(stem, picture, Task.CAPTION, answers=answers, meta={"image_id": stem}))
