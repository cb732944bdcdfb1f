"""Where ``--save`` puts each annotated picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path

from lion.errors import LionError

SLOT = "{name}"


def plan_saves(save: str | None, pictures: Sequence[str]) -> list[Path | None]:
    """The file for each picture: a file's name for one, a folder or a pattern with ``{name}`` for several.

    Pictures of the same name are numbered. Raises: LionError if one file is to hold several pictures, its format is
    unknown, or a picture would be overwritten.
    """
    from lion.pipeline.drawing import FORMATS

    if save is None:
        return [None] * len(pictures)
    path = Path(os.path.expanduser(save))
    if SLOT in save:
        pattern = str(path)
    elif path.is_dir() or save.endswith(os.sep) or not path.suffix:
        pattern = str(path / f"{SLOT}.png")
    elif len(pictures) == 1:
        pattern = str(path)
    else:
        raise LionError(f"--save {save} is one file for {len(pictures)} pictures; give a folder or 'out/{SLOT}.png'")
    if Path(pattern).suffix.lower() not in FORMATS:
        raise LionError(f"--save {save}: the name must end in {', '.join(FORMATS)}")
    targets: dict[Path, None] = {}
    originals = {os.path.realpath(picture) for picture in pictures}
    for picture in pictures:
        stem = Path(picture).stem
        names = chain([stem], (f"{stem}-{number}" for number in count(2)))
        target = next(path for name in names if (path := Path(pattern.replace(SLOT, name))) not in targets)
        if os.path.realpath(target) in originals:
            raise LionError(f"--save would overwrite the picture {target}; name another place")
        targets[target] = None
    return list(targets)
