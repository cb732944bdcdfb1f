"""Writes scenes of the world to disk, for other tools and for inspection.

OUT/world-<split>.json          version, split, seed, size, pixels
OUT/<split>/000000.png ...      the pictures
OUT/<split>/metadata.jsonl      one line a picture with all its texts; this makes OUT a dataset that
                                `datasets.load_dataset("imagefolder", data_dir=OUT)` reads
OUT/annotations/<split>.json    boxes in COCO's format (pixels, x y width height), for detection tools
"""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image

import lion.world.language as language
from lion.atomic import atomic_write_json
from lion.errors import LionError
from lion.locks import FolderLock
from lion.random import stream
from lion.world.dialog import dialog
from lion.world.draw import render
from lion.world.scene import Scene, scene
from lion.world.vocabulary import CATEGORIES, WORLD_VERSION

_CAPTIONS = 3


def write(
    out: str | os.PathLike[str],
    size: int,
    seed: int = 0,
    *,
    split: str = "train",
    pixels: int = 256,
    progress: Callable[[], None] | None = None,
) -> Path:
    """Write the first `size` scenes of a split to the folder `out`, which may already hold other splits.

    An interrupted run is resumed by a call with the same arguments. `progress` is called after each picture.

    Raises: LionError for `size` below 1, an unknown split, `pixels` out of range, a folder that holds other files, or
        a split that another process is writing.
    """
    if size < 1:
        raise LionError(f"size={size} is out of range; ask for one scene or more")
    root = Path(os.path.expanduser(out))
    render(scene(split, 0), pixels)  # what cannot be drawn is reported before anything is written
    _claim(root, {"version": WORLD_VERSION, "split": split, "seed": seed, "size": size, "pixels": pixels})
    with FolderLock(root / split):
        _write(root, split, size, seed, pixels, progress or (lambda: None))
    return root


def _write(root: Path, split: str, size: int, seed: int, pixels: int, progress: Callable[[], None]) -> None:
    """The pictures and tables of `write`, in a folder that is this process's alone."""
    folder = root / split
    coco: list[dict[str, Any]] = []
    unfinished = folder / ".metadata.tmp"
    with unfinished.open("w", encoding="utf-8") as lines:
        for index in range(size):
            now = scene(split, index, seed=seed)
            name = f"{index:06d}.png"
            if not (folder / name).exists() or not (folder / name).stat().st_size:
                _save(render(now, pixels), folder / name)
            lines.write(json.dumps({"file_name": name, **record(now, pixels)}) + "\n")
            coco += _coco_boxes(now, index, pixels, len(coco))
            progress()
    images = [{"id": i, "file_name": f"{split}/{i:06d}.png", "width": pixels, "height": pixels} for i in range(size)]
    categories = [{"id": i, "name": name} for i, name in enumerate(CATEGORIES, 1)]
    tables = {"images": images, "annotations": coco, "categories": categories}
    atomic_write_json(root / "annotations" / f"{split}.json", tables)
    os.replace(unfinished, folder / "metadata.jsonl")


def record(now: Scene, pixels: int) -> dict[str, Any]:
    """All texts about a scene, in plain types; `bbox` is [x, y, width, height] in pixels, as in COCO."""
    rng = stream("lion-world-writer", WORLD_VERSION, now.id)
    boxes = [list(obj.box.to_pixel(pixels, pixels).xywh()) for obj in now.objects]
    objects = {
        "bbox": boxes,
        "category": [obj.category for obj in now.objects],
        "colour": [obj.colour for obj in now.objects],
        "size": [obj.size for obj in now.objects],
        "description": [language.describe(now, index) for index in range(len(now.objects))],
    }
    questions = [found for kind in language.VQA_KINDS if (found := language.vqa(now, rng, kind))]
    phrases = [phrase for kind in language.EXPRESSION_KINDS if (phrase := language.expression(now, rng, kind))]
    return {
        "id": now.id,
        "theme": now.theme,
        "objects": objects,
        "tags": language.tags(now),
        "noisy_tags": language.noisy_tags(now, rng),
        "captions": [language.caption(now, rng) for _ in range(_CAPTIONS)],
        "questions": [asdict(one) for one in questions],
        "expressions": [{**asdict(one), "bbox": boxes[one.target]} for one in phrases],
        "dialog": [asdict(one) for one in dialog(now, rng)],
        "pope": [
            asdict(language.pope(now, rng, flavour, positive))
            for flavour in language.POPE_FLAVOURS
            for positive in (True, False)
        ],
    }


def _claim(root: Path, wanted: dict[str, Any]) -> None:
    """Reserve the folder for this split. Raises: LionError if it holds something else."""
    note = root / f"world-{wanted['split']}.json"
    if note.exists():
        try:
            found = {} | json.loads(note.read_text("utf-8"))
        except (ValueError, TypeError) as error:
            raise LionError(f"{note} is damaged; choose another folder") from error
        if found != wanted:
            differing = ", ".join(f"{key}={found.get(key)!r}" for key in wanted if found.get(key) != wanted[key])
            raise LionError(f"{root} holds another '{wanted['split']}' split ({differing}); choose another folder")
    elif root.exists() and not root.is_dir():
        raise LionError(f"{root} is a file; choose a folder")
    elif root.exists() and any(root.iterdir()) and not any(root.glob("world-*.json")):
        raise LionError(f"{root} is not empty; choose another folder")
    else:
        atomic_write_json(note, wanted)


def _save(picture: Image.Image, path: Path) -> None:
    """Atomic, but without waiting for the disk: a picture lost in a power cut is drawn again."""
    unfinished = path.with_suffix(".tmp")
    picture.save(unfinished, format="PNG", compress_level=4)
    os.replace(unfinished, path)


def _coco_boxes(now: Scene, index: int, pixels: int, first: int) -> list[dict[str, Any]]:
    boxes = [obj.box.to_pixel(pixels, pixels) for obj in now.objects]
    return [
        {
            "id": number,
            "image_id": index,
            "category_id": CATEGORIES.index(obj.category) + 1,
            "bbox": list(box.xywh()),
            "area": box.area,
            "iscrowd": 0,
            "colour": obj.colour,
            "size": obj.size,
        }
        for number, (obj, box) in enumerate(zip(now.objects, boxes, strict=True), start=first + 1)
    ]
