"""Captioning: COCO Caption, Flickr30K and TextCaps; one record per picture with all its reference captions.

COCO and Flickr30K are scored on Andrej Karpathy's splits; his `train` includes `restval`, as is usual.
"""

from pathlib import Path, PurePosixPath
from typing import Any

from lion.data.dataset import AnnotationReader, DatasetInfo
from lion.data.sample import Record
from lion.data.values import entry, ident, identifier, text, texts
from lion.errors import LionError
from lion.prompts import Task

COCO_PICTURES = "https://cocodataset.org/#download"
_PLAIN_SPLITS = ("train2014", "val2014", "train2017", "val2017")
"""Splits of COCO's own annotation files."""
_KARPATHY = "https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip (or LAVIS's json files)"
_TEXTCAPS = "https://textvqa.org/textcaps/dataset/"


@DatasetInfo(
    "coco-caption",
    {"train": 113_287, "val": 5_000, "test": 5_000, **dict.fromkeys(_PLAIN_SPLITS)},
    annotations=f"{_KARPATHY}; the captions_*.json of train2014 to val2017: {COCO_PICTURES}",
    pictures=COCO_PICTURES,
    folders=("coco_caption", "coco"),
).reader
def coco_caption(reader: AnnotationReader) -> None:
    """COCO Caption: `dataset_coco.json` or LAVIS's `coco_karpathy_*.json`, plain `captions_*.json` for train2014 etc.

    `meta`: `image_id`, which official result files name.
    """
    if reader.split in _PLAIN_SPLITS:
        _plain(reader, reader.file(f"captions_{reader.split}.json"), reader.split)
        return
    lavis = f"coco_karpathy_{reader.split}.json"
    file = reader.file("dataset_coco.json", lavis, f"coco_karpathy_{reader.split}_gt.json")
    if file.name == "dataset_coco.json":
        for image in reader.json(file, "images"):
            with reader.record(file, ident(image, "cocoid", "filename"), "image"):
                if _in_split(image, reader.split):
                    name = f"{image['filepath']}/{image['filename']}"
                    _add(reader, file, image["cocoid"], [one["raw"] for one in image["sentences"]], name)
    elif file.name == lavis:
        for name, references in _lavis(reader, file).items():
            with reader.record(file, name, "image"):
                _add(reader, file, int(PurePosixPath(name).stem.rsplit("_", 1)[-1]), references, name)
    else:
        _plain(reader, file, "val2014")


@DatasetInfo(
    "flickr30k",
    {"train": 29_000, "val": 1_014, "test": 1_000},
    annotations=_KARPATHY,
    pictures="https://shannon.cs.illinois.edu/DenotationGraph/",
).reader
def flickr30k(reader: AnnotationReader) -> None:
    """Flickr30K: `dataset_flickr30k.json`, LAVIS's `flickr30k_*.json`, or `results_20130124.token`.

    The last knows no splits, so it needs a list of picture names beside it, `karpathy_<split>_images.txt`. (The split
    of Flickr30K Entities is another one.)
    """
    file = reader.file("dataset_flickr30k.json", f"flickr30k_{reader.split}.json", "results_20130124.token")
    references: dict[str, list[Any]] = {}
    if file.name == "dataset_flickr30k.json":
        for image in reader.json(file, "images"):
            with reader.record(file, ident(image, "filename"), "image"):
                if _in_split(image, reader.split):
                    _add_flickr(reader, file, image["filename"], [one["raw"] for one in image["sentences"]])
        return
    if file.name == f"flickr30k_{reader.split}.json":
        references = _lavis(reader, file)
    else:
        names = reader.file(f"karpathy_{reader.split}_images.txt")
        references = {line.strip(): [] for _, line in reader.lines(names)}
        places: set[str] = set()
        for number, line in reader.lines(file):
            with reader.record(file, number, "line"):
                place, caption = line.split("\t")
                if place in places:
                    raise LionError(f"{place} is there twice")
                places.add(place)
                references.get(place.rsplit("#", 1)[0], []).append(caption)
    for name, captions in references.items():
        with reader.record(file, name, "image"):
            _add_flickr(reader, file, name, captions)


@DatasetInfo("textcaps", {"train": 21_953, "val": 3_166, "test": 3_289}, _TEXTCAPS, _TEXTCAPS).reader
def textcaps(reader: AnnotationReader) -> None:
    """TextCaps: `TextCaps_0.1_<split>.json`, which repeats a picture's references in a row for each caption.

    The captions of its test split are not public. `meta`: `image_id`, `image_classes`, `size` (width, height).
    """
    hidden = reader.split == "test"
    file = reader.file(f"TextCaps_0.1_{reader.split}.json")
    rows: dict[str, dict[str, Any]] = {}
    key = "image_id" if hidden else "caption_id"
    for number, row in reader.table(file, reader.json(file, "data"), key, "row").items():
        with reader.record(file, number, "row"):
            rows.setdefault(text(row["image_id"], "image_id"), row)
    for number, row in rows.items():
        with reader.record(file, number, "image"):
            references = () if hidden else _whole(reader, file, number, row.get("reference_strs"))
            pictures = (f"{'test' if hidden else 'train'}_images/{number}.jpg", row["image_path"])
            size = (row["image_width"], row["image_height"])
            meta = {"image_id": number, "image_classes": row.get("image_classes", []), "size": size}
            reader.add(Record(number, reader.image(*pictures), Task.CAPTION, answers=references, meta=meta))


def _in_split(image: dict[str, Any], split: str) -> bool:
    """Whether a row of Karpathy's files belongs to a split."""
    return image["split"] == split or (split == "train" and image["split"] == "restval")


def _lavis(reader: AnnotationReader, file: Path) -> dict[str, list[Any]]:
    """Captions by picture of LAVIS's files: a row per picture with all captions, in train files a row per caption."""
    references: dict[str, list[Any]] = {}
    for number, row in enumerate(reader.json(file), start=1):
        with reader.record(file, number, "row"):
            one = row["caption"]
            if isinstance(one, list) and row["image"] in references:
                raise LionError(f"{row['image']} is there twice")
            references.setdefault(row["image"], []).extend(one if isinstance(one, list) else [one])
    return references


def _plain(reader: AnnotationReader, file: Path, folder: str) -> None:
    """COCO's own form: images and captions in two tables."""
    data = reader.json(file, kind=dict)
    images = reader.table(file, reader.member(file, data, "images"), "id", "image")
    references: dict[str, list[Any]] = {number: [] for number in images}
    for number, row in reader.table(file, reader.member(file, data, "annotations"), "id", "caption").items():
        with reader.record(file, number, "caption"):
            entry(references, row["image_id"], "image").append(row["caption"])
    for number, image in images.items():
        with reader.record(file, number, "image"):
            usual = f"{'' if folder.endswith('2017') else f'COCO_{folder}_'}{number:0>12}.jpg"
            _add(reader, file, image["id"], references[number], f"{folder}/{image.get('file_name', usual)}")


def _whole(reader: AnnotationReader, file: Path, id: object, captions: Any) -> tuple[str, ...]:
    """The captions of a picture; a blank one, to which no caption is like, is a bad record."""
    whole = []
    for caption in texts(captions, "reference captions"):
        with reader.record(file, id, "image"):
            whole.append(text(caption, "reference caption"))
    return tuple(whole)


def _add(reader: AnnotationReader, file: Path, id: object, references: Any, *pictures: str) -> None:
    picture, answers = reader.image(*pictures), _whole(reader, file, id, references)
    reader.add(Record(identifier(id), picture, Task.CAPTION, answers=answers, meta={"image_id": id}))


def _add_flickr(reader: AnnotationReader, file: Path, name: str, references: Any) -> None:
    name = text(name, "file name").removeprefix("flickr30k-images/")
    pictures = [f"{folder}/{name}" for folder in ("flickr30k-images", "flickr30k_images")]
    _add(reader, file, PurePosixPath(name).stem, references, *pictures)
