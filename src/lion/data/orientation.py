"""Boxes of pictures that are stored turned: cameras store the sensor's bitmap, and say in EXIF how to show it.

Pictures are always shown as people see them. Some annotation tools draw boxes on that, others on the bitmap, and which
one it was only the picture's size in the annotation file can tell.
"""

from dataclasses import replace

from lion.data.sample import Record
from lion.errors import LionError
from lion.images import stored_size


def as_shown(record: Record) -> Record:
    """The record with its box in the picture as people see it; itself where its box is, or it has no box.

    A record without `size` (width, height) in its `meta` has a box in the picture as shown. The picture's header is
    read; one that cannot be read is left to whoever opens it. Raises: LionError if the picture is of another shape than
    `size`, or is turned in a way that `size` does not show.
    """
    if record.box is None or "size" not in record.meta:
        return record
    size = tuple(record.meta["size"])
    try:
        stored, orientation = stored_size(record.image)
    except LionError:
        return record
    shown = stored if orientation <= 4 else stored[::-1]
    for alike in (tuple.__eq__, _same_shape):
        if alike(size, shown):
            if orientation == 1 or not alike(size, stored):
                return record
            raise LionError(
                f"its picture is stored turned (EXIF orientation {orientation}), and the size of {_text(size)} does "
                "not tell whether its box was drawn before or after: save the picture as it is to be seen"
            )
        if alike(size, stored):
            return replace(record, box=record.box.turn(orientation))
    raise LionError(
        f"its picture has {_text(shown)} pixels, and the annotation file says {_text(size)}: get the picture that the "
        "box was drawn in"
    )


def _same_shape(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether one may be the other made smaller or larger, up to a pixel's rounding; unit boxes hold for both."""
    return abs(one[0] * other[1] - one[1] * other[0]) <= max(*one, *other)


def _text(size: tuple[float, ...]) -> str:
    return " x ".join(f"{value:g}" for value in size)
