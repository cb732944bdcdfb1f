"""Flips and crops that transform boxes with the image, and skip images whose text refers to positions.

A mirrored image under "the cup on the left", or a crop with unchanged boxes, would be a wrong label.
"""

import re
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from lion.boxes import Box

_SIDES = re.compile(r"\b(left|right|leftmost|rightmost|left-\w+|right-\w+|clockwise|east|west)\b", re.IGNORECASE)
_PLACES = re.compile(
    r"\b(left|right|leftmost|rightmost|top|bottom|upper|lower|middle|cent(er|re)|corner|edge|side|first|second|third|"
    r"last|topmost|closest|nearest|farthest)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Augment:
    """Random mirror images and crops.

    Args:
        flip: probability of a horizontal flip; not where the text names a side.
        crop: largest share cut off each side. Only images with a box are cropped, never into the box, and not where
            the text names a position.
    """

    flip: float = 0.0
    crop: float = 0.0

    def __call__(
        self, image: Image.Image, box: Box | None, words: str, rng: np.random.Generator
    ) -> tuple[Image.Image, Box | None]:
        """The RGB picture and its unit box, both changed or both as they were.

        `words` is all text of the sample, instruction and answer; `rng` gives one number for the flip, four for a crop.
        """
        if self.flip and rng.random() < self.flip and not _SIDES.search(words):
            image, box = ImageOps.mirror(image), box and box.flip_horizontal()
        if self.crop and box is not None and not _PLACES.search(words):
            image, box = _crop(image, box, self.crop, rng)
        return image, box


def _crop(image: Image.Image, box: Box, most: float, rng: np.random.Generator) -> tuple[Image.Image, Box]:
    """Cut a random margin off each side, never into the box, along whole pixels."""
    left, top, right, bottom = (rng.random() * most for _ in range(4))
    width, height = image.size
    inside = box.clamp().to_pixel(width, height)
    x1, y1 = int(min(left * width, inside.x1)), int(min(top * height, inside.y1))
    x2 = int(np.ceil(max((1 - right) * width, inside.x2)))
    y2 = int(np.ceil(max((1 - bottom) * height, inside.y2)))
    if x2 <= x1 or y2 <= y1:
        return image, box
    moved = Box(inside.x1 - x1, inside.y1 - y1, inside.x2 - x1, inside.y2 - y1, "pixel")
    cut = image.crop((x1, y1, x2, y2))
    return cut, moved.to_unit(*cut.size).clamp()
