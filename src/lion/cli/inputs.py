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

_NAMED = 3
"""Files left out of a folder that are named; the others are counted."""


def expand(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Every picture meant, and a line for each folder with what was left out of it.

    Pictures come in the order given, folders and patterns sorted. A name that matches nothing stays, and opening it
    raises the reason. In a folder a picture is what has an ending that Pillow reads; a file named outright is tried
    whatever its name.

    Raises: LionError if a name is empty.
    """
    from lion.images import path_of

    pictures: list[str] = []
    notes: list[str] = []
    for name in names:
        if not name:
            raise LionError("a picture's name is empty; name a file, a folder or a pattern")
        path = path_of(name) or name
        found: list[str] = []
        if os.path.isdir(path):
            found, left_out = _pictures_in(path)
            notes += left_out
        elif path_of(name) and not os.path.lexists(path) and has_magic(path):
            found = sorted(match for match in glob(path, recursive=True) if not os.path.isdir(match))
        pictures += found or [path]
    return pictures, notes


def _pictures_in(folder: str) -> tuple[list[str], list[str]]:
    """The pictures of a folder, not of folders in it, sorted; and a line about the rest, if there is any."""
    entries: list[Path] = []
    with suppress(OSError):  # opening it raises the reason
        entries = sorted(Path(folder).iterdir(), key=str)
    pictures = [str(entry) for entry in entries if _is_picture(entry)]
    rest = [entry.name + (os.sep if entry.is_dir() else "") for entry in entries if not _is_picture(entry)]
    if not pictures or not rest:
        return pictures, []
    more = f" and {len(rest) - _NAMED} more" if len(rest) > _NAMED else ""
    return pictures, [f"{folder}: left out, as no pictures by their names: {', '.join(rest[:_NAMED])}{more}"]


def _is_picture(path: Path) -> bool:
    from lion.images import suffixes

    return path.suffix.lower() in suffixes() and not path.name.startswith(".") and not os.path.isdir(path)


def open_picture(name: str, tag_file: TagFile | None = None, box: Box | None = None) -> Look:
    """Open one of the pictures :func:`expand` found, with its tags in a file, once it is known to hold the box.

    Raises: LionError or OSError, with what is wrong with it; LionError if it is not in the file, or the box not in it.
    """
    from lion.images import path_of
    from lion.pipeline import Look
    from lion.pipeline.prepare import unit_box

    if os.path.isdir(name):
        os.listdir(name)  # or says why not
        raise LionError(f"{name}: the folder holds no pictures (.png, .jpg and what else Pillow reads); name another")
    if has_magic(name) and not os.path.lexists(name) and path_of(name):
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
    found = [path] if os.path.exists(path) else glob(path) if has_magic(path) else []
    if any(_is_picture(Path(one)) for one in found):
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
