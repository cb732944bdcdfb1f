"""Parses arguments: pictures from files, folders and patterns, questions, boxes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING

from lion.boxes import Box, unit_box
from lion.errors import LionError

if TYPE_CHECKING:
    from lion.pipeline import Look
    from lion.tagging import TagFile

STDIN = "-"
"""As a picture: the bytes of its file, from standard input."""

_NAMED = 3
"""Files left out of a folder that are named; the others are counted."""


def expand(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Every picture meant, once, and lines on what was left out.

    Pictures come in the order given, folders and patterns sorted. A name that matches nothing stays, and opening it
    raises the reason. In a folder, and in those below it, a picture is what has an ending that Pillow reads; a file
    named outright is tried whatever its name. Links to its folder do not make several of a picture.

    Raises: LionError if a name is empty.
    """
    from lion.data.files import in_its_folder
    from lion.images import path_of

    once: dict[str, str] = {}
    again, notes = list[str](), list[str]()
    for name in names:
        if not name:
            raise LionError("a picture's name is empty; name a file, a folder or a pattern")
        path = path_of(name) or name
        found: list[str] = []
        if os.path.isdir(path):
            found, left_out = _pictures_in(path)
            notes += left_out
        elif path_of(name) and not os.path.lexists(path) and has_magic(path):
            matches = sorted(glob(path, recursive=True))
            found = [match for match in matches if not os.path.isdir(match)]
            if "**" not in path and (folders := [match for match in matches if os.path.isdir(match)]):
                notes.append(f"{path}: left out as folders: {_listed(folders)}")
        for picture in found or [path]:
            place = in_its_folder(picture) if path_of(name) else picture
            again += [picture] if place in once else []
            once.setdefault(place, picture)
    if again:
        notes.append(f"named more than once, and answered once: {_listed(again)}")
    return list(once.values()), notes


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _pictures_in(folder: str) -> tuple[list[str], list[str]]:
    """The pictures of a folder and of those in it, sorted; and a line about the rest, if there is any."""
    kinds: dict[str, list[str]] = {"hidden": [], "links": [], "not readable": [], "no pictures by their names": []}
    pictures = []
    unreadable = kinds["not readable"]
    for place, folders, files in os.walk(folder, onerror=lambda error: unreadable.append(str(error.filename))):
        inside = Path(place)
        kinds["hidden"] += [f"{inside / name}{os.sep}" for name in folders if name.startswith(".")]
        folders[:] = [name for name in folders if not name.startswith(".")]
        kinds["links"] += [f"{inside / name}{os.sep}" for name in folders if (inside / name).is_symlink()]
        for path in (inside / name for name in files):
            if path.name.startswith("."):
                kinds["hidden"].append(str(path))
            elif is_picture(path):
                pictures.append(str(path))
            else:
                kinds["no pictures by their names"].append(str(path))
    below = {
        kind: sorted(name.removeprefix(f"{Path(folder)}{os.sep}") for name in names) for kind, names in kinds.items()
    }
    rest = "; as ".join(f"{kind}: {_listed(names)}" for kind, names in below.items() if names)
    return sorted(pictures), [f"{folder}: left out as {rest}"] if pictures and rest else []


def is_picture(path: Path) -> bool:
    """Whether it is no folder and has an ending that Pillow reads."""
    from lion.images import suffixes

    return path.suffix.lower() in suffixes() and not os.path.isdir(path)


def open_picture(name: str, tag_file: TagFile | None = None, box: Box | None = None) -> Look:
    """Open one of the pictures :func:`expand` found, with its tags in a file, once it is known to hold the box.

    Raises: LionError or OSError, with what is wrong with it; LionError if it is not in the file, or the box not in it.
    """
    from lion.pipeline import Look

    _check_folder_or_pattern(name)
    look = replace(Look.open(sys.stdin.buffer.read()), name=name) if name == STDIN else Look.open(name)
    if box is not None:
        unit_box(box, look.size)
    if tag_file is not None:
        look.evidence.tags = tuple(tag_file.of(look.hash))
    return look


def errors_of_all(names: Sequence[str]) -> list[tuple[str, LionError | OSError]]:
    """Where no picture is one, by its first bytes, each with what is wrong with it; else nothing. Needs no model."""
    from lion.images import stored_size

    errors: list[tuple[str, LionError | OSError]] = []
    for name in names:
        try:
            _check_folder_or_pattern(name)
            if name != STDIN:
                stored_size(name)
            return []
        except (LionError, OSError) as error:
            errors.append((name, error))
    return errors


def _check_folder_or_pattern(name: str) -> None:
    from lion.images import path_of

    if os.path.isdir(name):
        os.listdir(name)  # or says why not
        raise LionError(f"{name}: the folder holds no pictures (.png, .jpg and what else Pillow reads); name another")
    if has_magic(name) and not os.path.lexists(name) and path_of(name):
        raise LionError(f"{name}: no file matches this pattern; check it")


def split_last(words: Sequence[str], verb: str, what: str) -> tuple[list[str], str]:
    """``IMAGE... "question"`` of a verb: the pictures, and the last word, which is not empty and no picture.

    Raises: LionError if there is nothing but one word, or the last one is empty or a file.
    """
    *images, last = words
    if not images:
        raise LionError(f'a picture and a {what} are needed: lion {verb} IMAGE "{what}"')
    if not last.strip():
        raise LionError(f"the {what} is empty; put it last, in quotes")
    path = os.path.expanduser(last)
    found = [path] if os.path.exists(path) else glob(path) if has_magic(path) else []
    if any(is_picture(Path(one)) for one in found):
        raise LionError(f'the last word must be the {what}, but {last} is a file; write lion {verb} IMAGE... "{what}"')
    if os.path.basename(path) != path and os.path.isdir(path):  # a bare word may be a question and a folder, too
        raise LionError(
            f'the last word must be the {what}, but {last} is a folder; write lion {verb} IMAGE... "{what}"'
        )
    return images, last


def parse_box(text: str, pixels: bool) -> Box:
    """``x1,y1,x2,y2`` of an option, brackets allowed.

    Raises: LionError if it is not four numbers in order, or not in the unit square where it should be.
    """
    try:
        numbers = [float(number) for number in text.strip().strip("[]").split(",")]
        x1, y1, x2, y2 = numbers
    except ValueError as error:
        raise LionError(f"--box '{text}' is not four numbers; write --box x1,y1,x2,y2") from error
    box = Box(x1, y1, x2, y2, "pixel" if pixels else "unit")
    return box if pixels else unit_box(box, (1, 1))
