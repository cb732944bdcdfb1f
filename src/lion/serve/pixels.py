"""Bytes of a picture to what model and tagger read of it, in processes of their own whose memory and time are bounded.
Loads no torch.
"""

import io
import os
import resource
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import parent_process
from types import FrameType

from PIL import Image, ImageFile

from lion.errors import LionError
from lion.images import content, image_hash, read_image, stored_size

_BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"II*\x00", b"MM\x00*")
"""Of PNG, JPEG, GIF, BMP and TIFF; WebP and AVIF have theirs further on."""

PREVIEW_SIDE = 1024
"""Pixels that a preview has each way, at most."""

SMALL = 4
"""Megapixels of a picture that delays no others: as JPEG it takes a decoder about a tenth of a second."""

BLOCK = 4096
"""Bytes that a decoder is given at a time: between two of them it can be stopped."""

Squash = tuple[int, int]
"""Side of the square that a picture becomes, and PIL's filter."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a picture has become."""

    size: tuple[int, int]
    """(width, height) of the picture as people see it."""
    hash: str
    """Of the pixels in :attr:`images`: of all of the picture only where all of it is among them."""
    note: str | None
    images: tuple[Image.Image, ...]
    """The square for each squash; the picture itself for None."""


class Large(Exception):
    """A picture that is not decoded here, but where large ones delay no small ones."""


def begin(megabytes: int, niceness: int) -> None:
    """Make this a process that decodes: it ends with the server however that ends, and takes no more address space than
    that; beyond it a picture is an error, not a dead server.

    Args:
        megabytes: of address space.
        niceness: how far it steps back where the cores are busy, 0 to 19 as of ``nice``.
    """
    os.nice(niceness)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGPROF, _too_long)
    ImageFile.MAXBLOCK = BLOCK
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = megabytes * 2**20 if hard == resource.RLIM_INFINITY else min(megabytes * 2**20, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _end_with_parent() -> None:
    if parent := parent_process():
        parent.join()
        os._exit(1)


def _too_long(number: int, frame: FrameType | None) -> None:
    raise TimeoutError("it takes too long")


def check(data: bytes, megapixels: int) -> float:
    """Megapixels of a picture. The format is told by the content alone, whatever a client calls it; nothing is decoded.

    Raises: LionError if it is no picture of a format known here, or by its header larger than ``megapixels``.
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
    return width * height / 1_000_000


def decode(
    given: str | bytes, megapixels: int, seconds: float, here: float, squashes: Sequence[Squash | None]
) -> Decoded:
    """What a picture becomes for those squashes. Raises: as :func:`opened`."""
    with opened(given, megapixels, seconds, here) as (image, note):
        images = tuple(image if squash is None else image.resize((squash[0],) * 2, squash[1]) for squash in squashes)
        hashed = [image] if None in squashes else images  # a third of the time, where the picture is large
        return Decoded(image.size, "".join(map(image_hash, hashed)), note, images)


def preview(given: str | bytes, megapixels: int, seconds: float, here: float) -> bytes:
    """A small PNG of the picture. Raises: as :func:`opened`."""
    with opened(given, megapixels, seconds, here) as (image, _):
        small = image.copy()
        small.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
        buffer = io.BytesIO()
        small.save(buffer, "PNG")
        return buffer.getvalue()


@contextmanager
def opened(
    given: str | bytes, megapixels: int, seconds: float, here: float
) -> Iterator[tuple[Image.Image, str | None]]:
    """A picture to work on, and its note.

    Args:
        given: a file, or a data: URL.
        megapixels: that a picture may have.
        seconds: of CPU time that it may take.
        here: megapixels that it may have in this process.

    A small file can keep a decoder busy for hours. One that takes more than ``seconds`` of CPU time is stopped between
    two blocks; if it does not come to the end of one, the process is ended.

    Raises: LionError as :func:`check` and :func:`lion.images.read_image`, or if it takes too much memory or time; Large
    for more megapixels than ``here``.
    """
    signal.setitimer(signal.ITIMER_PROF, seconds, 1.0)  # again, where the first was passed over
    signal.setitimer(signal.ITIMER_VIRTUAL, 3 * seconds)  # nobody handles its signal
    try:
        data = _file(given)
        if check(data, megapixels) > here:
            raise Large
        yield read_image(data)
    except MemoryError as error:
        raise LionError("the image takes more memory than this server gives a picture: make it smaller") from error
    except TimeoutError as error:
        raise LionError("the image takes too long to decode: save it anew as PNG or JPEG") from error
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def is_data(url: str) -> bool:
    """Whether a URL holds the picture itself."""
    return url[:5].lower() == "data:"


def _file(given: str | bytes) -> bytes:
    """The bytes of a picture. Raises: LionError where a data: URL is malformed."""
    data = content(given) if isinstance(given, bytes) or is_data(given) else None
    if not isinstance(data, bytes):
        raise LionError("a picture is a file's bytes or a data: URL here, never a path")
    return data
