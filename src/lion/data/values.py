"""Checks of the values in annotation files: each returns the value, or raises what is wrong with it in one line."""

import math
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lion.boxes import Box, has_written_area
from lion.data.sample import Record
from lion.errors import LionError
from lion.prompts import Task

_SLACK = 0.5
"""Pixels that a box may reach outside its picture: official boxes may be rounded outwards."""


def ident(row: Any, *keys: str) -> str:
    """The name of a row in messages, whatever its structure: the first of these ids that it has."""
    name = next((row[key] for key in keys if key in row), "without an id") if isinstance(row, dict) else row
    return " ".join(str(name).split())[:60]


def text(value: Any, what: str) -> str:
    """The value if it is a text that is not blank. Raises: LionError naming what is missing."""
    if not isinstance(value, str) or not value.strip():
        raise LionError(f"its {what} is missing or empty")
    return value


def texts(values: Any, what: str) -> tuple[str, ...]:
    """The values if they are texts and not all blank, as some annotators leave blanks. Raises: LionError otherwise."""
    if not isinstance(values, (list, tuple)) or not all(isinstance(value, str) for value in values):
        raise LionError(f"its {what} are not a list of texts")
    if not any(value.strip() for value in values):
        raise LionError(f"it has no {what}")
    return tuple(values)


def identifier(value: Any) -> str:
    """An id as text: 1, 1.0 and "1" are the same one, since exporters mix types.

    Raises: LionError if it is neither a text nor a whole number.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise LionError(f"its id {value!r} is neither a text nor a whole number")
    return str(value)


def entry(table: Mapping[str, Any], key: Any, what: str) -> Any:
    """The row of a table that a record refers to by its id. Raises: LionError if there is none."""
    if (name := identifier(key)) not in table:
        raise LionError(f"it refers to the {what} {key}, which is not there")
    return table[name]


def as_read(phrase: str) -> str:
    """The phrase as people read it, to compare: without case, invisible characters, widths and repeated blanks."""
    if not phrase.isascii():
        phrase = unicodedata.normalize("NFKC", "".join(one for one in phrase if unicodedata.category(one) != "Cf"))
    return " ".join(phrase.casefold().split())


def numbers(values: Any, what: str, count: int) -> tuple[float, ...]:
    """The values if they are so many finite numbers; texts and booleans are none. Raises: LionError otherwise."""
    fine = isinstance(values, (list, tuple)) and len(values) == count
    if not fine or not all(type(value) in (int, float) and math.isfinite(value) for value in values):
        raise LionError(f"its {what} is not {count} numbers: {values!r}")
    return tuple(values)


def integer(value: Any, what: str) -> int:
    """The value if it is a whole number, no boolean. Raises: LionError otherwise."""
    if type(value) is not int:
        raise LionError(f"its {what} {value!r} is no whole number")
    return value


def index(value: Any, options: Sequence[Any], what: str) -> int:
    """The value if it is an index into the options, counted from 0. Raises: LionError otherwise."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < len(options):
        raise LionError(f"its {what} {value!r} is not a place among {len(options)}")
    return value


def truth(value: Any, what: str) -> bool:
    """The truth value, as exporters write it: a boolean, 0 or 1, also as text. Raises: LionError for anything else."""
    word = str(value).strip().lower()
    if word not in ("0", "0.0", "false", "1", "1.0", "true"):
        raise LionError(f"its {what} {value!r} is neither 0 nor 1")
    return word in ("1", "1.0", "true")


def region_record(
    id: object,
    picture: Path | bytes,
    expression: str,
    bbox: Sequence[float],
    size: tuple[float, float],
    meta: Mapping[str, Any],
) -> Record:
    """A record for REC and REG of a box [x, y, width, height] in pixels of a picture of `size` (width, height).

    `meta` gets `bbox` and `size`, too. Raises: LionError if the box has no area or reaches outside the picture.
    """
    x, y, w, h = numbers(bbox, "box", 4)
    width, height = numbers(size, "picture's width and height", 2)
    if not (width > 0 and height > 0):
        raise LionError(f"the size of its picture is given as {width} x {height} pixels")
    if not (w > 0 and h > 0):
        raise LionError(f"its box {list(bbox)} (x, y, width, height) has no area")
    box = Box.from_xywh(x, y, w, h, "pixel")
    if min(box.x1, box.y1) < -_SLACK or box.x2 > width + _SLACK or box.y2 > height + _SLACK:
        raise LionError(
            f"its box {list(bbox)} (x, y, width, height) reaches outside the picture of {width} x {height} pixels"
        )
    unit = box.to_unit(width, height)
    if not has_written_area(unit.clamp()):
        raise LionError(f"its box {list(bbox)} (x, y, width, height) has no area inside the picture")
    return Record(
        identifier(id),
        picture,
        Task.REC,
        expression=expression,
        box=unit,
        answers=(expression,),
        also=(Task.REG,),
        meta={**meta, "bbox": tuple(bbox), "size": size},
    )
