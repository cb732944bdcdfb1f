"""Parses arguments: pictures from files, folders and patterns, questions, boxes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING

from lion.boxes import Box
from lion.errors import LionError

if TYPE_CHECKING:
    from lion.pipeline import Look
    from lion.tagging import TagFile

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp"})
"""What counts as a picture inside a folder; a file named outright is tried whatever its name."""


def expand(names: Sequence[str]) -> list[str]:
    """Every picture meant, in the order given, folders and patterns sorted. A name that matches nothing stays, and
    opening it raises the reason.

    Raises: LionError if a name is empty.
    """
    pictures: list[str] = []
    for name in names:
        if not name:
            raise LionError("a picture's name is empty; name a file, a folder or a pattern")
        path = os.path.expanduser(name)
        found: list[str] = []
        if os.path.isdir(path):
            with suppress(OSError):  # opening it raises the reason
                found = sorted(str(child) for child in Path(path).iterdir() if _is_picture(child))
        elif not os.path.lexists(path) and has_magic(path):
            found = sorted(match for match in glob(path, recursive=True) if not os.path.isdir(match))
        pictures += found or [path]
    return pictures


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and not os.path.isdir(path)


def open_picture(name: str, tag_file: TagFile | None = None, box: Box | None = None) -> Look:
    """Open one of the pictures :func:`expand` found, with its tags in a file, once it is known to hold the box.

    Raises: LionError or OSError, with what is wrong with it; LionError if it is not in the file, or the box not in it.
    """
    from lion.images import WEB
    from lion.pipeline import Look
    from lion.pipeline.prepare import unit_box

    if os.path.isdir(name):
        os.listdir(name)  # or says why not
        raise LionError(f"{name}: the folder holds no pictures ({', '.join(sorted(SUFFIXES))}); name another")
    if has_magic(name) and not os.path.lexists(name) and not name.startswith(WEB):
        raise LionError(f"{name}: no file matches this pattern; check it")
    look = Look.open(name)
    if box is not None:
        unit_box(box, look.size)
    if tag_file is not None:
        look.evidence.tags = tuple(tag_file.of(look.hash))
    return look


def split_last(words: Sequence[str], what: str) -> tuple[list[str], str]:
    """``IMAGE... "question"``: the pictures, and the last word, which is not empty and no picture.

    Raises: LionError if there is nothing but one word, or the last one is empty or a file.
    """
    *images, last = words
    if not images:
        raise LionError(f'a picture and a {what} are needed: lion ... IMAGE "{what}"')
    if not last.strip():
        raise LionError(f"the {what} is empty; put it last, in quotes")
    path = os.path.expanduser(last)
    if os.path.splitext(path)[1].lower() in SUFFIXES and (os.path.exists(path) or (has_magic(path) and glob(path))):
        raise LionError(f'the last word must be the {what}, but {last} is a file; write IMAGE... "{what}"')
    if os.path.basename(path) != path and os.path.isdir(path):  # a bare word may be a question and a folder, too
        raise LionError(f'the last word must be the {what}, but {last} is a folder; write IMAGE... "{what}"')
    return images, last


def parse_box(text: str, pixels: bool) -> Box:
    """``x1,y1,x2,y2`` of an option, brackets allowed.

    Raises: LionError if it is not four numbers in order.
    """
    try:
        numbers = [float(number) for number in text.strip().strip("[]").split(",")]
        x1, y1, x2, y2 = numbers
    except ValueError as error:
        raise LionError(f"--box '{text}' is not four numbers; write --box x1,y1,x2,y2") from error
    return Box(x1, y1, x2, y2, "pixel" if pixels else "unit")
