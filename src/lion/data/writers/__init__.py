"""The drawn world in the original files of the datasets, so that every reader, prompt and metric can run on it.

`write_as("refcoco", OUT, 100, split="test")` fills OUT/refcoco with the files, keys and folders that
`lion.data.sources` reads. Questions of the val and test splits are the world's frozen ones, where the seed is the
world's own (0).
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from lion.atomic import atomic_directory
from lion.data.writers import captions, choices, questions, refcoco, visdial
from lion.data.writers.facts import Album
from lion.errors import LionError
from lion.world.vocabulary import SPLITS

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

    The folder appears whole or not at all. `progress` is called after each picture.

    Raises: LionError for an unknown name or split, `size` below 1, `pixels` out of range, or a folder that exists.
    """
    if name not in FORMATS:
        raise LionError(f"the world cannot be written as {name!r}; choose one of {', '.join(FORMATS)}")
    if split not in SPLITS:
        raise LionError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
    if size < 1:
        raise LionError(f"size={size} is out of range; ask for one scene or more")
    folder = Path(out) / name
    if folder.exists():
        raise LionError(f"{folder} is there already; choose another OUT, or remove it")
    writer, splits = FORMATS[name]
    with atomic_directory(folder) as unfinished:
        writer(Album(unfinished, split, splits[split], size, seed, pixels, progress or (lambda: None)))
    return folder
