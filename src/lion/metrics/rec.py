"""Referring expression comprehension: is the box in the text the right one?

Accuracy at an IoU threshold as RefCOCO papers report it: one sample an expression, hit if IoU >= threshold, continuous
coordinates, and the first box of the text counts. A text without a readable box is a miss, never left out.
"""

from collections.abc import Sequence

from lion.boxes import Box, parse_boxes
from lion.metrics.statistics import Estimate, mean


def first_box(text: str) -> Box | None:
    """The first box of a text, in unit space; None if there is none or it is wrong."""
    boxes = parse_boxes(text).boxes
    return boxes[0] if boxes else None


def rec(
    predictions: Sequence[str], references: Sequence[Box], thresholds: Sequence[float] = (0.5,)
) -> dict[str, Estimate]:
    """Score texts against unit boxes: ``accuracy@T`` for each threshold, ``mean_iou`` and ``unparsed``.

    ``mean_iou`` counts an unreadable box as 0; ``unparsed`` is the share of such texts.
    Raises: LionError without samples or for a reference in pixels; ValueError for unequal lengths.
    """
    boxes = [first_box(text) for text in predictions]
    overlaps = [0.0 if box is None else box.iou(reference) for box, reference in zip(boxes, references, strict=True)]
    scores = {f"accuracy@{t:g}": mean([overlap >= t for overlap in overlaps]) for t in thresholds}
    return {**scores, "mean_iou": mean(overlaps), "unparsed": mean([box is None for box in boxes])}
