"""The drawn world as RefCOCO, RefCOCO+ and RefCOCOg: REFER's pickles and instances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lion.data.pickled import dumps
from lion.data.writers.facts import Album, Fact, coco_name, info
from lion.world.language import EXPRESSION_KINDS
from lion.world.scene import Scene, SceneObject
from lion.world.vocabulary import CATEGORIES, words

_LIVING = frozenset({"bird", "butterfly", "cat", "crab", "dog", "fish"})
"""Stand for the people of UNC's testA."""
_MOST_THINGS = 10
"""Annotation ids are the picture's number times this, and the thing's place."""


def refcoco(album: Album) -> None:
    """`refs(unc).p`; of the test split living things become testA, the others testB."""
    _write(album, "refs(unc).p", EXPRESSION_KINDS, album.split.startswith("test"))


def refcoco_plus(album: Album) -> None:
    """The same with phrases that name no places."""
    _write(album, "refs(unc).p", ("unique", "attribute"), album.split.startswith("test"))


def refcocog(album: Album) -> None:
    """`refs(umd).p`."""
    _write(album, "refs(umd).p", EXPRESSION_KINDS, False)


def _write(album: Album, file: str, kinds: Sequence[str], living: bool) -> None:
    """One ref for each thing that is meant, with every phrase for it as a sentence."""
    by_thing: dict[tuple[int, int], list[Fact]] = {}
    for fact in album.expressions(kinds):
        assert fact.target is not None
        by_thing.setdefault((fact.number, fact.target), []).append(fact)
    scenes: dict[int, Scene] = {}
    refs: list[dict[str, Any]] = []
    sentences = 0
    for (number, target), facts in by_thing.items():
        now = scenes[number] = facts[0].scene
        thing = now.objects[target]
        picture = coco_name("train2014", number)
        album.draw(now, picture)
        said = [
            {"tokens": words(fact.text), "raw": fact.text, "sent_id": sentences + place, "sent": fact.text}
            for place, fact in enumerate(facts)
        ]
        sentences += len(said)
        ref = {
            "sent_ids": [one["sent_id"] for one in said],
            "file_name": f"{picture.rsplit('/', 1)[1].removesuffix('.jpg')}_{len(refs)}.jpg",
            "ann_id": _annotation_id(number, target),
            "ref_id": len(refs),
            "image_id": number,
            "split": ("testA" if thing.category in _LIVING else "testB") if living else album.split,
            "sentences": said,
            "category_id": CATEGORIES.index(thing.category) + 1,
        }
        refs.append(ref)
    (album.folder / file).write_bytes(dumps(refs))
    album.json("instances.json", _instances(scenes, album.pixels))


def _annotation_id(number: int, place: int) -> int:
    return number * _MOST_THINGS + place + 1


def _instances(scenes: dict[int, Scene], pixels: int) -> dict[str, Any]:
    """Every thing of every scene, in COCO's form."""
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
        _annotation(thing, number, place, pixels)
        for number, now in scenes.items()
        for place, thing in enumerate(now.objects)
    ]
    return {
        "info": info("RefCOCO", 2026),
        "images": images,
        "licenses": [{"url": "", "id": 1, "name": ""}],
        "annotations": annotations,
        "categories": [{"supercategory": "", "id": i, "name": name} for i, name in enumerate(CATEGORIES, start=1)],
    }


def _annotation(thing: SceneObject, number: int, place: int, pixels: int) -> dict[str, Any]:
    x1, y1, x2, y2 = thing.box.to_pixel(pixels, pixels).xyxy()
    return {
        "segmentation": [[x1, y1, x2, y1, x2, y2, x1, y2]],
        "area": (x2 - x1) * (y2 - y1),
        "iscrowd": 0,
        "image_id": number,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "category_id": CATEGORIES.index(thing.category) + 1,
        "id": _annotation_id(number, place),
    }
