"""Bytes of a picture to what model and tagger read of it, in processes of their own whose memory is bounded. Loads no
torch.
"""

import os
import resource
from collections.abc import Sequence

from PIL import Image

from lion.errors import LionError
from lion.images import image_hash, open_image, stored_size

_BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"II*\x00", b"MM\x00*")
"""Of PNG, JPEG, GIF, BMP and TIFF; WebP and AVIF have theirs further on."""


def check(data: bytes, megapixels: int) -> int:
    """The megapixels of a picture, rounded up, by its header; nothing is decoded.

    The format is told by the content alone, whatever a client calls it.

    Raises: LionError if it is no picture of a format known here, or larger than ``megapixels``.
    """
    known = data.startswith(_BEGINNINGS)
    known |= (data[:4] == b"RIFF" and data[8:12] == b"WEBP") or (
        data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis")
    )
    if not known:
        raise LionError("the image is not a PNG, JPEG, GIF, WebP, AVIF, BMP or TIFF picture: convert it to PNG or JPEG")
    (width, height), _ = stored_size(data)
    if width * height > megapixels * 1_000_000:
        raise LionError(f"the image has {width} x {height} pixels, and {megapixels} megapixels is the limit: shrink it")
    return -(-width * height // 1_000_000)


Squash = tuple[int, int]
"""Side of the square that a picture becomes, and PIL's filter."""


def begin(megabytes: int) -> None:
    """Let this process give way to those that answer, and take no more address space than that; beyond it a picture is
    an error, not a dead server."""
    os.nice(10)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = megabytes * 2**20 if hard == resource.RLIM_INFINITY else min(megabytes * 2**20, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def decode(data: bytes, squashes: Sequence[Squash | None]) -> tuple[tuple[int, int], str, list[Image.Image]]:
    """(width, height), the hash of the pixels, and what becomes of the picture: the square for each squash, all of it
    for None.

    Raises: LionError as :func:`lion.images.open_image`, or if it takes more memory than there is.
    """
    try:
        image = open_image(data)
        images = [image if squash is None else image.resize((squash[0],) * 2, squash[1]) for squash in squashes]
        return image.size, image_hash(image), images
    except MemoryError as error:
        raise LionError("the image takes more memory than this server gives a picture: make it smaller") from error
