"""Referring expression comprehension (REC): accuracy at an IoU threshold, as RefCOCO papers report it.

One sample an expression, hit if IoU >= threshold, continuous coordinates, and the first box of the text counts. A text
without a readable box is a miss, never left out. All boxes are in the unit square, in which LION answers; since images
are stretched to it, IoU is the same as in pixels. A box over the image's edge is not clipped, as in the evaluations in
use: the part outside lowers its IoU.
"""

from collections.abc import Sequence

from lion.boxes import Box, parse_boxes
from lion.errors import LionError
from lion.metrics.statistics import Estimate, mean

HIT = 0.5
"""The IoU from which an answer is right."""


def first_box(text: str) -> Box | None:
    """The first box of a text, in unit space; None if there is none or it is wrong. It may reach outside the image."""
    boxes = parse_boxes(text, over_the_edge=True).boxes
    return boxes[0] if boxes else None


def rec(
    predictions: Sequence[str], references: Sequence[Box], thresholds: Sequence[float] = (0.5, 0.75, 0.9)
) -> dict[str, Estimate]:
    """Score texts against unit boxes: ``accuracy@T`` for each threshold, ``mean_iou`` and ``unparsed``.

    ``mean_iou`` counts an unreadable box as 0; ``unparsed`` is the share of such texts.
    Raises: LionError without samples or for a reference in pixels; ValueError for unequal lengths.
    """
    found = rec_ious(predictions, references)
    ious = [iou or 0.0 for iou in found]
    scores = {f"accuracy@{t:g}": mean([iou >= t for iou in ious]) for t in thresholds}
    return {**scores, "mean_iou": mean(ious), "unparsed": mean([iou is None for iou in found])}


def rec_ious(predictions: Sequence[str], references: Sequence[Box]) -> list[float | None]:
    """The IoU of each text's first box with its reference, None where the text has no readable one.

    Raises: LionError for a reference in pixels; ValueError for unequal lengths.
    """
    if pixels := [one for one in references if one.space != "unit"]:
        raise LionError(f"REC is scored in the unit square: turn the reference {pixels[0].xyxy()} with to_unit()")
    boxes = map(first_box, predictions)
    return [None if box is None else box.iou(true) for box, true in zip(boxes, references, strict=True)]
