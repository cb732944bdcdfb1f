"""Boxes with an explicit coordinate space, and their text form.

A box is always (x1, y1, x2, y2), the upper left and the lower right corner; y grows downwards. Its space is ``unit``
(fractions of the picture's width and height, what the model reads and writes) or ``pixel``. LION stretches every
picture to a square, so unit coordinates hold for the original picture without correction.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from lion.errors import LionError

Space = Literal["unit", "pixel"]
"""What a box counts in: shares of the picture's width and height, or pixels."""

# A number as a language model may write it. ASCII digits only; a word such as "nan" is not a number here.
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
_FOUR_NUMBERS = re.compile(r"\s*" + r"\s*,\s*".join([f"({_NUMBER})"] * 4) + r"\s*")
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle (x1, y1, x2, y2) in ``unit`` or ``pixel`` space; it may have no area and may reach outside.

    Raises: LionError if a coordinate is no finite number, as truth values and texts are none, the corners are out of
        order or the space has another name.
    """

    x1: float
    y1: float
    x2: float
    y2: float
    space: Space = "unit"

    def __post_init__(self) -> None:
        if self.space not in ("unit", "pixel"):
            raise LionError(f"a box's space is 'unit' or 'pixel', not {self.space!r}")
        for name in ("x1", "y1", "x2", "y2"):  # NumPy's and torch's numbers, which JSON does not know, become Python's
            value = getattr(self, name)
            try:
                if isinstance(value, (bool, str, bytes)) or str(getattr(value, "dtype", "")).endswith("bool"):
                    raise TypeError(value)
                object.__setattr__(self, name, float(value))
            except (TypeError, ValueError) as error:
                raise LionError(f"a box's {name} is a number, not {value!r:.60}") from error
        if not all(math.isfinite(value) for value in self.xyxy()):
            raise LionError(f"a box needs four finite numbers, not {self.xyxy()}")
        if self.x1 > self.x2 or self.y1 > self.y2:
            raise LionError(f"a box is x1,y1,x2,y2 with x1 <= x2 and y1 <= y2, not {self.xyxy()} (x,y,width,height?)")

    @classmethod
    def from_xywh(cls, x: float, y: float, width: float, height: float, space: Space = "unit") -> "Box":
        """From the upper left corner and the size, as COCO stores boxes."""
        return cls(x, y, x + width, y + height, space)

    def xyxy(self) -> tuple[float, float, float, float]:
        """(x1, y1, x2, y2)."""
        return self.x1, self.y1, self.x2, self.y2

    def xywh(self) -> tuple[float, float, float, float]:
        """(x1, y1, width, height)."""
        return self.x1, self.y1, self.x2 - self.x1, self.y2 - self.y1

    def to_unit(self, width: float, height: float) -> "Box":
        """The same box as fractions of a picture of ``width`` x ``height`` pixels; a unit box is returned as it is.

        Raises: LionError for a picture without pixels.
        """
        if self.space == "unit":
            return self
        if not (width > 0 and height > 0):
            raise LionError(f"a picture of {width} x {height} pixels holds no box")
        return Box(self.x1 / width, self.y1 / height, self.x2 / width, self.y2 / height)

    def to_pixel(self, width: float, height: float) -> "Box":
        """The same box in pixels of a picture of ``width`` x ``height``; a pixel box is returned as it is."""
        if self.space == "pixel":
            return self
        return Box(self.x1 * width, self.y1 * height, self.x2 * width, self.y2 * height, "pixel")

    def clamp(self, width: float | None = None, height: float | None = None) -> "Box":
        """The part inside the picture (no area if there is none); a pixel box needs the picture's size."""
        right, bottom = self._extent(width, height)
        return Box(
            min(max(self.x1, 0), right),
            min(max(self.y1, 0), bottom),
            min(max(self.x2, 0), right),
            min(max(self.y2, 0), bottom),
            self.space,
        )

    def flip_horizontal(self, width: float | None = None) -> "Box":
        """The box in the horizontally flipped picture; a pixel box needs the picture's width."""
        right, _ = self._extent(width, 0)
        return Box(right - self.x2, self.y1, right - self.x1, self.y2, self.space)

    def turn(self, orientation: int) -> "Box":
        """A unit box of a stored picture in the picture as its EXIF orientation (1 to 8) shows it."""
        x1, y1, x2, y2 = self.xyxy() if orientation <= 4 else (self.y1, self.x1, self.y2, self.x2)
        if orientation in (2, 3, 6, 7):
            x1, x2 = 1 - x2, 1 - x1
        if orientation in (3, 4, 7, 8):
            y1, y2 = 1 - y2, 1 - y1
        return Box(x1, y1, x2, y2)

    def _extent(self, width: float | None, height: float | None) -> tuple[float, float]:
        if self.space == "unit":
            return 1.0, 1.0
        if width is None or height is None:
            raise LionError("a pixel box needs the picture's size here: pass it as width and height")
        return width, height

    @property
    def area(self) -> float:
        """Width times height in the box's own space."""
        return (self.x2 - self.x1) * (self.y2 - self.y1)

    @property
    def center(self) -> tuple[float, float]:
        """(x, y) of the middle."""
        return self.x1 + (self.x2 - self.x1) / 2, self.y1 + (self.y2 - self.y1) / 2

    def iou(self, other: "Box") -> float:
        """Intersection over union in [0, 1], continuous coordinates; 0 where neither box has an area.

        Raises: LionError if the boxes live in different spaces.
        """
        if self.space != other.space:
            raise LionError(f"cannot compare a {self.space} box with a {other.space} box: convert one of them first")
        width = min(self.x2, other.x2) - max(self.x1, other.x1)
        height = min(self.y2, other.y2) - max(self.y1, other.y1)
        shared = max(width, 0.0) * max(height, 0.0)
        union = self.area + other.area - shared
        return shared / union if union > 0 else 0.0


@dataclass(frozen=True, slots=True)
class LabelledBox:
    """A box with the words it belongs to, in the unit square and in pixels of the picture as people see it."""

    label: str
    unit: Box
    pixel: Box
    score: float | None = field(default=None, compare=False)
    """Of a box that a model found, the overlap (IoU) that it expects with the true one, in [0, 1]; None if unknown."""

    @classmethod
    def of(cls, label: str, unit: Box, size: tuple[int, int], score: float | None = None) -> Self:
        """From a unit box and the picture's (width, height)."""
        return cls(label, unit, unit.to_pixel(*size), score)

    def to_json(self) -> dict[str, Any]:
        """``{"label", "unit": [x1, y1, x2, y2], "pixel": [...], "score"}``; pixels to 1 decimal, others to 4."""
        return {
            "label": self.label,
            "unit": [round(value, 4) for value in self.unit.xyxy()],
            "pixel": [round(value, 1) for value in self.pixel.xyxy()],
            "score": self.score and round(self.score, 4),
        }


@dataclass(frozen=True, slots=True)
class BoxParse:
    """The boxes read from a text, from left to right, and why reading stopped."""

    ok: bool
    """At least one box was read."""
    boxes: tuple[Box, ...]
    """Unit boxes with an area, up to the first invalid one; so ``boxes[0]`` is always the text's first box."""
    reason: str | None
    """The error in one line, or None."""


def format_box(box: Box, decimals: int = 3) -> str:
    """A unit box as LION writes it: ``[0.120,0.340,0.560,0.780]`` (three decimals as released, no blanks).

    Sides shorter than the last decimal vanish in the rounding (`has_written_area`). Raises: LionError for a pixel box
    or one that reaches outside the picture.
    """
    if box.space != "unit":
        raise LionError("only a unit box can be written as text: call to_unit(width, height) first")
    if box != box.clamp():
        raise LionError(f"the box {box.xyxy()} reaches outside the picture: unit coordinates lie between 0 and 1")
    return "[" + ",".join(f"{abs(value):.{decimals}f}" for value in box.xyxy()) + "]"


def has_written_area(box: Box, decimals: int = 6) -> bool:
    """Whether a unit box still has an area once it is written; by default, with more decimals than any model writes.

    Raises: LionError as `format_box`.
    """
    return parse_boxes(format_box(box, decimals)).ok


def parse_boxes(text: str, *, over_the_edge: bool = False) -> BoxParse:
    """Read every ``[x1,y1,x2,y2]`` of a text from left to right; other brackets are passed over.

    Never raises and never corrects: numbers outside [0, 1], corners out of order and boxes without an area are reported
    with a reason, and nothing after them is read. With ``over_the_edge`` a box may reach out of the picture, so long
    as some of it is inside.
    """
    groups = [match[1] for match in _BRACKETS.finditer(text)]
    boxes: list[Box] = []
    for group in groups:
        four = _FOUR_NUMBERS.fullmatch(group)
        if four is None:
            continue
        x1, y1, x2, y2 = (float(number) for number in four.groups())
        if problem := _problem(x1, y1, x2, y2, over_the_edge):
            return BoxParse(bool(boxes), tuple(boxes), f"box {len(boxes) + 1} [{_shorten(group)}]: {problem}")
        boxes.append(Box(x1, y1, x2, y2))
    if boxes:
        return BoxParse(True, tuple(boxes), None)
    if groups:
        return BoxParse(False, (), f"[{_shorten(groups[0])}] is not four numbers")
    return BoxParse(False, (), "no [x1,y1,x2,y2] in the text")


def _problem(x1: float, y1: float, x2: float, y2: float, over_the_edge: bool) -> str | None:
    if not all(math.isfinite(value) and (over_the_edge or 0 <= value <= 1) for value in (x1, y1, x2, y2)):
        return "coordinates must lie between 0 and 1"
    if x1 > x2 or y1 > y2:
        return "corners are out of order (x1 <= x2, y1 <= y2)"
    if x1 == x2 or y1 == y2:
        return "the box has no area"
    if min(x2, y2) <= 0 or max(x1, y1) >= 1:
        return "the box lies outside the picture, whose coordinates are between 0 and 1"
    return None


def _shorten(group: str) -> str:
    line = " ".join(group.split())
    return line if len(line) <= 40 else line[:37] + "..."


def unit_box(box: Box, size: tuple[int, int]) -> Box:
    """The box in the unit square of a picture of ``size`` (width, height).

    Raises: LionError if it reaches outside the picture or has no area.
    """
    unit = box.to_unit(*size)
    if unit != unit.clamp():
        inside = "0 to 1 each way" if box.space == "unit" else f"{size[0]}x{size[1]} pixels"
        hint = "; for pixels say so: --pixels, or Box(..., 'pixel')" if box.space == "unit" else ""
        raise LionError(f"the box {shown_box(box)} reaches outside the picture, which is {inside}{hint}")
    if not has_written_area(unit):
        raise LionError(f"the box {shown_box(box)} has no area; x1 < x2 and y1 < y2 are needed")
    return unit


def shown_box(box: Box) -> str:
    """The corners as ``--box`` takes them."""
    return ",".join(f"{value:g}" for value in box.xyxy())
