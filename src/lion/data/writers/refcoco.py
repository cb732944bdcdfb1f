"""The drawn world as RefCOCO, RefCOCO+ and RefCOCOg: REFER's pickles and instances."""

from collections.abc import Sequence
from typing import Any

from lion.data.pickled import dumps, loads
from lion.data.writers.facts import Album, Fact, coco_name, info
from lion.world.language import EXPRESSION_KINDS
from lion.world.scene import Scene, SceneObject
from lion.world.vocabulary import CATEGORIES, words

_LIVING = frozenset({"bird", "butterfly", "cat", "crab", "dog", "fish"})
"""They take the place of people in UNC's testA."""
_MOST_OBJECTS = 10
"""An annotation id is the picture's number times this, plus the object's place."""


def refcoco(album: Album) -> None:
    """`refs(unc).p`; of the test split animals become testA, the others testB."""
    _write(album, "refs(unc).p", EXPRESSION_KINDS, album.split.startswith("test"))


def refcoco_plus(album: Album) -> None:
    """The same with expressions that name no places."""
    _write(album, "refs(unc).p", ("unique", "attribute"), album.split.startswith("test"))


def refcocog(album: Album) -> None:
    """`refs(umd).p`."""
    _write(album, "refs(umd).p", EXPRESSION_KINDS, False)


def _write(album: Album, file: str, kinds: Sequence[str], living: bool) -> None:
    """One ref for each object that has expressions, which are its sentences."""
    by_object: dict[tuple[int, int], list[Fact]] = {}
    for fact in album.expressions(kinds):
        assert fact.target is not None
        by_object.setdefault((fact.number, fact.target), []).append(fact)
    scenes: dict[int, Scene] = {}
    refs: list[dict[str, Any]] = []
    sentences = album.first
    for (number, target), facts in by_object.items():
        now = scenes[number] = facts[0].scene
        obj = now.objects[target]
        picture = coco_name("train2014", number)
        album.draw(now, picture)
        rows = [
            {"tokens": words(fact.text), "raw": fact.text, "sent_id": sentences + place, "sent": fact.text}
            for place, fact in enumerate(facts)
        ]
        sentences += len(rows)
        ref = {
            "sent_ids": [one["sent_id"] for one in rows],
            "file_name": f"{picture.rsplit('/', 1)[1].removesuffix('.jpg')}_{len(refs)}.jpg",
            "ann_id": _annotation_id(number, target),
            "ref_id": album.first + len(refs),
            "image_id": number,
            "split": ("testA" if obj.category in _LIVING else "testB") if living else album.split,
            "sentences": rows,
            "category_id": CATEGORIES.index(obj.category) + 1,
        }
        refs.append(ref)
    path = album.folder / file
    earlier = loads(path.read_bytes()) if path.exists() else []
    path.write_bytes(dumps(earlier + refs))
    album.json("instances.json", _instances(scenes, album.pixels))


def _annotation_id(number: int, place: int) -> int:
    return number * _MOST_OBJECTS + place + 1


def _instances(scenes: dict[int, Scene], pixels: int) -> dict[str, Any]:
    """All objects of all scenes, in COCO's form."""
    images = [
        {
            "license": 1,
            "file_name": coco_name("train2014", number).rsplit("/", 1)[1],
            "coco_url": "",
            "height": pixels,
            "width": pixels,
            "date_captured": "",
            "flickr_url": "",
            "id": number,
        }
        for number in scenes
    ]
    annotations = [
        _annotation(obj, number, place, pixels)
        for number, now in scenes.items()
        for place, obj in enumerate(now.objects)
    ]
    return {
        "info": info("RefCOCO"),
        "images": images,
        "licenses": [{"url": "", "id": 1, "name": ""}],
        "annotations": annotations,
        "categories": [{"supercategory": "", "id": i, "name": name} for i, name in enumerate(CATEGORIES, start=1)],
    }


def _annotation(obj: SceneObject, number: int, place: int, pixels: int) -> dict[str, Any]:
    x1, y1, x2, y2 = obj.box.to_pixel(pixels, pixels).xyxy()
    return {
        "segmentation": [[x1, y1, x2, y1, x2, y2, x1, y2]],
        "area": (x2 - x1) * (y2 - y1),
        "iscrowd": 0,
        "image_id": number,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "category_id": CATEGORIES.index(obj.category) + 1,
        "id": _annotation_id(number, place),
    }
