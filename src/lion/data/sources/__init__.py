"""A file for each dataset, which reads its original distribution into records; and the table of all of them.

Beside them, `world` makes samples of drawn scenes, and `jsonl` reads the user's own file, given by its path.
"""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Literal

from lion.data.dataset import Dataset, Reader
from lion.data.files import place as absolute
from lion.data.index import OnRecords, Records, indexed
from lion.data.sources import jsonl, shards
from lion.data.sources.aokvqa import aokvqa
from lion.data.sources.captions import coco_caption, flickr30k, textcaps
from lion.data.sources.coco_detection import coco_detection
from lion.data.sources.gqa import gqa
from lion.data.sources.iconqa import iconqa
from lion.data.sources.llava import llava
from lion.data.sources.messages import messages
from lion.data.sources.mmbench import mmbench
from lion.data.sources.ocrvqa import ocrvqa
from lion.data.sources.pope import pope
from lion.data.sources.refcoco import refcoco, refcoco_plus, refcocog
from lion.data.sources.visdial import visdial
from lion.data.sources.visual_genome import visual_genome
from lion.data.sources.vqa import okvqa, vqav2
from lion.data.sources.vsr import vsr
from lion.errors import LionError

DatasetName = Literal[
    "aokvqa", "coco-caption", "coco-detection", "flickr30k", "gqa", "iconqa", "llava", "messages", "mmbench", "ocrvqa",
    "okvqa", "pope", "refcoco", "refcoco+", "refcocog", "textcaps", "visdial", "visual-genome", "vqav2", "vsr",
]  # fmt: skip

_READERS = (
    aokvqa, coco_caption, coco_detection, flickr30k, gqa, iconqa, llava, messages, mmbench, ocrvqa, okvqa,
    pope, refcoco, refcoco_plus, refcocog, textcaps, visdial, visual_genome, vqav2, vsr,
)  # fmt: skip
READERS: Mapping[str, Reader] = {reader.info.name: reader for reader in _READERS}
"""By the name that recipes and `lion eval` use; `docs/reference/datasets.md` has their files."""


def open_index(
    name: str, place: str | Path, split: str = "", *, skip_bad: bool = False, report: OnRecords | None = None
) -> Dataset:
    """A dataset with its records in an index, which is built where there is none; see lion.data.index.

    Args:
        name: one of `READERS`, or jsonl, or shards.
        place: the folder of the dataset; of jsonl its file, of shards a folder, pattern or file, or a URL of one.
        split: one of the dataset's splits.

    Raises: LionError as `read` and `jsonl.read`.
    """
    if name == "shards":
        found = str(absolute(str(place)))
        stamps = partial(shards.stamps, found)
        return indexed((name, found, skip_bad), Path(), partial(_read_shards, found, skip_bad), stamps, report)
    place = Path(os.path.abspath(os.path.expanduser(place)))
    named = (name, place, split, skip_bad)
    if name == "jsonl":
        return indexed(named, place.parent, partial(_read_own, place, skip_bad), report=report)
    return indexed(named, place, lambda _: read(name, place, split, skip_bad=skip_bad), report=report)


def _read_own(path: Path, skip_bad: bool, records: Records) -> Dataset:
    return jsonl.read(path, skip_bad=skip_bad, records=records)


def _read_shards(path: str, skip_bad: bool, records: Records) -> Dataset:
    return shards.read(path, skip_bad=skip_bad, records=records)


def read(name: str, folder: Path, split: str, *, skip_bad: bool = False) -> Dataset:
    """One split of a dataset by name; see :class:`lion.data.dataset.Reader`. Raises: LionError, also for the name."""
    if name not in READERS:
        raise LionError(f"there is no dataset {name!r}; choose one of {', '.join(READERS)}")
    return READERS[name](folder, split, skip_bad=skip_bad)
