"""The drawn world in the original files of the datasets, so that every reader, prompt and metric can run on it.

`write_as("refcoco", OUT, 100, split="test")` fills OUT/refcoco with the files, keys and folders that
`lion.data.sources` reads. Questions of the val and test splits are the world's frozen ones, where the seed is the
world's own (0).
"""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lion.atomic import atomic_directory, atomic_write_json
from lion.data.drawn import FILE, mark_of_folder
from lion.data.writers import captions, choices, questions, refcoco, visdial
from lion.data.writers.facts import Album
from lion.errors import LionError
from lion.locks import LOCK, FolderLock
from lion.world.vocabulary import SPLITS, WORLD_VERSION

_LIKE_VQA = {"train": "train", "val": "val", "test": "val"}
_AS_NAMED = {"train": "train", "val": "val", "test": "test"}
_UNC = {"train": "train", "val": "val", "test": "testA, testB"}
FORMATS: Mapping[str, tuple[Callable[[Album], None], Mapping[str, str]]] = {
    "aokvqa": (choices.aokvqa, _LIKE_VQA),
    "coco-caption": (captions.coco_caption, _AS_NAMED),
    "flickr30k": (captions.flickr30k, _AS_NAMED),
    "gqa": (questions.gqa, {"train": "train", "val": "val", "test": "testdev"}),
    "iconqa": (choices.iconqa, _AS_NAMED),
    "mmbench": (choices.mmbench, dict.fromkeys(SPLITS, "dev")),
    "okvqa": (questions.okvqa, _LIKE_VQA),
    "pope": (questions.pope, dict.fromkeys(SPLITS, "random, popular, adversarial")),
    "refcoco": (refcoco.refcoco, _UNC),
    "refcoco+": (refcoco.refcoco_plus, _UNC),
    "refcocog": (refcoco.refcocog, _AS_NAMED),
    "textcaps": (captions.textcaps, _LIKE_VQA),
    "visdial": (visdial.visdial, _LIKE_VQA),
    "vqav2": (questions.vqav2, _LIKE_VQA),
    "vsr": (questions.vsr, {"train": "train", "val": "dev", "test": "test"}),
}
"""Writer of each dataset, and the name of its split for each of the world's: where the dataset hides the answers of its
test split, the world's test split becomes the one that is scored."""
_APART = 1_000_000
"""Between the first picture's ids of two splits in a folder."""


def write_as(
    name: str,
    out: str | os.PathLike[str],
    size: int,
    seed: int = 0,
    *,
    split: str = "train",
    pixels: int = 256,
    progress: Callable[[], None] | None = None,
) -> Path:
    """Write `size` scenes of the world's `split` with their texts as the dataset `name`, to the folder OUT/name.

    The folder, which may hold other splits of the same world, appears whole or stays as it was. `progress` is called
    after each picture.

    Raises: LionError for an unknown name or split, `size` below 1, `pixels` out of range, or a folder that the split
    cannot join.
    """
    if name not in FORMATS:
        raise LionError(f"the world cannot be written as {name!r}; choose one of {', '.join(FORMATS)}")
    if split not in SPLITS:
        raise LionError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
    if size < 1:
        raise LionError(f"size={size} is out of range; ask for one scene or more")
    folder = Path(os.path.expanduser(out)) / name
    mark = {"dataset": name, "world_version": WORLD_VERSION, "seed": seed, "pixels": pixels}
    with FolderLock(folder.parent, f".{name}{LOCK}"):
        there = _splits_of(folder, mark, split)
        writer, splits = FORMATS[name]
        with atomic_directory(folder) as unfinished:
            if there:
                shutil.copytree(folder, unfinished, dirs_exist_ok=True)
            first = len(there) * _APART
            writer(Album(unfinished, split, splits[split], size, seed, pixels, progress or (lambda: None), first))
            atomic_write_json(unfinished / FILE, {**mark, "splits": {**there, split: size}})
    return folder


def _splits_of(folder: Path, mark: Mapping[str, Any], split: str) -> dict[str, int]:
    """The splits that the folder holds, by size. Raises: LionError if this one cannot join them."""
    if not folder.exists():
        return {}
    found = mark_of_folder(folder)
    if found is None:
        raise LionError(f"{folder} is there already, without the {FILE} of a drawn folder; choose another OUT")
    names, there = FORMATS[mark["dataset"]][1], {str(key): int(size) for key, size in found["splits"].items()}
    if split in there:
        raise LionError(f"{folder}: the {split} split is there already; choose another OUT, or remove the folder")
    for key in mark:
        if found.get(key) != mark[key]:
            raise LionError(f"{folder} holds another {key} ({found.get(key)}, not {mark[key]}); choose another OUT")
    for other in there:
        if names.get(other) == names[split]:
            raise LionError(
                f"{folder}: {mark['dataset']} has the world's {other} split and {split} split in the same files "
                f"({names[split]}), and {other} is there already; choose another OUT"
            )
    return there
