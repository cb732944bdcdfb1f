"""Pictures with the answer drawn on them: boxes with labels, and a strip of text underneath.

Everything scales with the picture. A picture too small to hold letters is enlarged first, in whole pixels, and one too
narrow stands on a wider canvas; so a drawn picture is for people, and its pixels are no longer the model's.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from PIL import Image, ImageDraw, ImageFont

from lion.atomic import atomic_write
from lion.boxes import LabelledBox
from lion.errors import LionError
from lion.images import MAX_MEGAPIXELS, SAVED, ImageSource, open_image

COLOURS = ("#e6194b", "#0a6cff", "#c95a00", "#1a9641", "#911eb4", "#007c89", "#c2187f", "#8a5a00")
SMALLEST_SIDE = 320
"""Pixels the longer side has at least after enlarging, and the canvas in width."""
PREVIEW_SIDE = 1024

Rectangle = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Pen:
    """Sizes that follow the canvas."""

    font: ImageFont.FreeTypeFont | ImageFont.ImageFont
    line: int
    pad: int

    @classmethod
    def for_canvas(cls, width: int, height: int) -> _Pen:
        letter = max(14, round(min(0.02 * max(width, height), 0.1 * min(width, height), width / 20)))
        return cls(ImageFont.load_default(letter), max(2, letter // 7), max(2, letter // 4))

    def wrap(self, text: str, room: int) -> str:
        """The text broken into lines of at most ``room`` pixels; a word that is too long is broken too."""
        lines: list[str] = []
        for paragraph in text.splitlines():
            line = ""
            for word in paragraph.split():
                while (head := self._fitting(word, room)) < len(word):
                    lines += [line] if line else []
                    lines.append(word[:head])
                    line, word = "", word[head:]
                longer = f"{line} {word}".strip()
                if line and self.font.getlength(longer) > room:
                    lines.append(line)
                    line = word
                else:
                    line = longer
            lines.append(line)
        return "\n".join(lines)

    def _fitting(self, word: str, room: int) -> int:
        """How many letters of the word fit, at least one."""
        length = len(word)
        while length > 1 and self.font.getlength(word[:length]) > room:
            length -= 1
        return max(length, 1)

    def measure(self, text: str) -> tuple[int, int]:
        """Width and height of the text with its padding."""
        box = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox((0, 0), text, font=self.font)
        return round(box[2]) + 2 * self.pad, round(box[3]) + 2 * self.pad


class Opened(Protocol):
    """What holds an opened picture: a Look, an Explanation."""

    @property
    def image(self) -> Image.Image:
        """The picture, RGB."""


def _opened(image: ImageSource | Opened) -> Image.Image:
    held = getattr(image, "image", None)
    if hasattr(image, "boxes"):
        raise LionError("an answer is no picture: annotate(look, answer.boxes, answer.text) makes one")
    return held if isinstance(held, Image.Image) else open_image(cast("ImageSource", image))


def annotate(image: ImageSource | Opened, boxes: Sequence[LabelledBox] = (), text: str = "") -> Image.Image:
    """Draw every box with its label, and ``text`` in a strip under the picture, on a new RGB picture.

    The picture, or that of a look, is taken as people see it, as boxes are (:func:`lion.images.open_image`).

    Raises: LionError if it is no picture, or with its letters would take more than twice the pixels one may have.
    """
    image = _opened(image)
    factor = max(1, -(-SMALLEST_SIDE // max(image.size)))
    picture = image
    if factor > 1:
        picture = picture.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    width = max(picture.width, SMALLEST_SIDE)
    pen = _Pen.for_canvas(width, picture.height)
    strip = pen.wrap(text, width - 2 * pen.pad) if text.strip() else ""
    labels = [pen.wrap(box.label, width - 2 * pen.pad) for box in boxes]
    height = max(picture.height, sum(pen.measure(label)[1] for label in labels if label))
    below = pen.measure(strip)[1] if strip else 0
    if width * (height + below) > 2e6 * MAX_MEGAPIXELS:
        raise LionError(f"a picture of {image.width} x {image.height} is too long and thin to be drawn on; cut it")
    canvas = Image.new("RGB", (width, height + below), "white")
    canvas.paste(picture)
    draw = ImageDraw.Draw(canvas)
    rectangles = [_rectangle(box, picture.size) for box in boxes]
    colours = [COLOURS[index % len(COLOURS)] for index in range(len(boxes))]
    for rectangle, colour in zip(rectangles, colours, strict=True):
        _draw_frame(draw, rectangle, colour, pen)
    taken: list[Rectangle] = []
    for label, rectangle, colour in zip(labels, rectangles, colours, strict=True):
        if label:
            taken.append(_draw_label(draw, label, rectangle, colour, pen, (width, height), taken))
    if strip:
        draw.multiline_text((pen.pad, height + pen.pad), strip, font=pen.font, fill="black")
    return canvas


def preview(image: Image.Image, boxes: Sequence[LabelledBox] = (), text: str = "") -> bytes:
    """The bytes of a PNG for a notebook: :func:`annotate` on a picture of at most PREVIEW_SIDE pixels each way."""
    small = image.copy()
    small.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
    buffer = io.BytesIO()
    (annotate(small, boxes, text) if boxes or text else small).save(buffer, "PNG")
    return buffer.getvalue()


def save_picture(image: ImageSource | Opened, path: str | Path) -> None:
    """Write a picture, or that of a look, atomically, in the format its name ends in.

    Raises: LionError if it is no picture, the format is not one of png, jpg, jpeg and webp, or the place cannot be
        written.
    """
    picture, target = _opened(image), Path(path)
    if target.suffix.lower() not in SAVED:
        raise LionError(f"cannot save '{path}': the name must end in {', '.join(SAVED)}")
    buffer = io.BytesIO()
    try:
        picture.save(buffer, SAVED[target.suffix.lower()])
    except (OSError, ValueError) as error:  # a side longer than the format allows
        raise LionError(f"cannot save '{path}': {error}; a .png may be of any size") from error
    try:
        atomic_write(target, buffer.getvalue())
    except OSError as error:
        raise LionError(f"cannot save '{path}': {error.strerror or error}; name another place") from error


def _rectangle(box: LabelledBox, size: tuple[int, int]) -> Rectangle:
    """The box in pixels of the drawn picture, at least one pixel each way and inside."""
    x1, y1, x2, y2 = box.unit.clamp().to_pixel(*size).xyxy()
    left, top = min(round(x1), size[0] - 1), min(round(y1), size[1] - 1)
    return left, top, max(round(x2) - 1, left), max(round(y2) - 1, top)


def _draw_frame(draw: ImageDraw.ImageDraw, rectangle: Rectangle, colour: str, pen: _Pen) -> None:
    """A coloured line inside a white one, so that it shows on any ground."""
    x1, y1, x2, y2 = rectangle
    halo = max(1, pen.line // 2)
    draw.rectangle((x1 - halo, y1 - halo, x2 + halo, y2 + halo), outline="white", width=pen.line + 2 * halo)
    draw.rectangle(rectangle, outline=colour, width=pen.line)


def _draw_label(
    draw: ImageDraw.ImageDraw,
    label: str,
    rectangle: Rectangle,
    colour: str,
    pen: _Pen,
    canvas: tuple[int, int],
    taken: Sequence[Rectangle],
) -> Rectangle:
    """White letters on the frame's colour, above the box where there is room and no other label; returns the place."""
    x1, y1, _, y2 = rectangle
    width, height = pen.measure(label)
    left = max(0, min(x1, canvas[0] - width))
    tops = [max(0, min(top, canvas[1] - height)) for top in (y1 - height, y2 + 1, y1, y2 - height)]
    tops += range(0, canvas[1] - height + 1, pen.pad)
    places = [(left, top, left + width, top + height) for top in tops]
    place = next((place for place in places if not any(_overlap(place, other) for other in taken)), places[0])
    draw.rectangle(place, fill=colour)
    draw.multiline_text((place[0] + pen.pad, place[1] + pen.pad), label, font=pen.font, fill="white")
    return place


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
