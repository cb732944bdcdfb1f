"""Decoding of pictures: any source and any file format that Pillow reads, to an upright RGB image.

Boxes are correct only if the model's input is what a viewer shows, so orientation, transparency, first frame and bit
depth are handled here, before any other step.
"""

import base64
import binascii
import hashlib
import os
import stat
import threading
import warnings
from contextlib import suppress
from functools import cache
from io import BytesIO, TextIOBase
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import unquote, unquote_to_bytes

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError

from lion.errors import LionError, LionWarning

MAX_MEGAPIXELS = 100
"""Larger pictures are refused before they are decoded: an RGB image of this size already takes 300 MB."""

_WEB = ("http:/", "https:/", "ftp:/", "s3:/", "gs:/", "hf:/")
"""Beginnings of web addresses, which are not paths; one slash, since that is what Path makes of two."""

_SHOWN = 60
"""Characters of a data: URI that a message or an answer names."""

_LONGEST_NAME = 255
"""A longer text that names no file is taken for content, such as bare base64, and shortened in messages."""

_NOT_PICTURES = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"})
"""Formats that Pillow identifies and cannot decode by itself; EPS is a program."""

SAVED = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""Endings of pictures that are written, and Pillow's names of their formats."""

_SCALED = {"L;2": 85, "L;4": 17}
"""By Pillow's name for a PNG's grey of few bits: what it multiplies pixels with, though not the transparent one."""


class StoredImage(Protocol):
    """A picture file within another file, such as a member of a tar."""

    @property
    def name(self) -> str:
        """Its name in messages."""

    def read(self) -> bytes:
        """Its bytes. Raises: LionError if they cannot be read."""


ImageSource = str | Path | bytes | BinaryIO | StoredImage | np.ndarray | Image.Image

_TOLD: list[str] = []
"""The first picture that was found nearly black."""

# Guards the one place that changes the process-wide warning filters.
_warning_filters = threading.Lock()


def open_image(source: ImageSource) -> Image.Image:
    """Decode a picture and return it as a viewer shows it, mode RGB.

    EXIF orientation is applied, transparency is laid on white, an animation gives its first frame, 16-bit grey is
    scaled to 8 bits (not clipped, nor stretched: 12 bits kept in 16 are dark, and warned of), CMYK and palettes become
    RGB. 32-bit integers and floats take the smallest usual range that holds them (0 to 255 or 65535; floats also 0 to
    1). Of a PIL image the current frame is taken; one that is plain RGB already comes back as it is, so calling this
    twice costs nothing.

    A PIL image that `Image.open` returned is turned as its file is. One made from it (`rotate`, `convert`, `crop`,
    `copy`) is taken by its pixels: it keeps the file's EXIF block, and nothing tells whether it was turned since.

    Args:
        source: a path, a `file:` URL or a `data:` URI, the bytes of an image file or such a file opened for reading, a
            PIL image, or an array, uint8: (height, width), (height, width, 3) RGB or (height, width, 4) RGBA.

    Raises:
        LionError: another type or array, no such file, a web address, a folder, an empty file, no image, a damaged one,
            or one of more than MAX_MEGAPIXELS megapixels (by its header, before decoding).
    """
    image, note = read_image(source)
    tell(note, source_name(source))
    return image


def read_image(source: ImageSource) -> tuple[Image.Image, str | None]:
    """As `open_image`, which warns of the note: what to know about the picture, such as that it is nearly black."""
    if isinstance(source, Image.Image):
        plain = source.mode == "RGB" and "transparency" not in source.info
        if plain and not isinstance(source, ImageFile.ImageFile):
            return source, None
        return _as_seen(source, source_name(source), copy=True)
    if isinstance(source, np.ndarray):
        return _as_seen(_of_array(source), "the image")
    name = source_name(source)
    with _open(content(source), name) as image:
        return _as_seen(image, name)


def tell(note: str | None, name: str) -> None:
    """Warn of a picture's note, once in a process."""
    if note and not _TOLD:
        _TOLD.append(name)
        warnings.warn(f"{name}: {note} (others like it are not named)", LionWarning, stacklevel=3)


def stored_size(source: str | Path | bytes | StoredImage) -> tuple[tuple[int, int], int]:
    """(width, height) of the picture as stored, and the EXIF orientation that turns it (1: not at all, to 8).

    Pixels are not decoded. Raises: LionError as `open_image`.
    """
    with _open(content(source), source_name(source)) as image:
        # Pillow's size of a TIFF is, in some versions, the one that will be shown.
        tags = getattr(image, "tag_v2", None) if image.format == "TIFF" else None
        size = (tags[ExifTags.Base.ImageWidth], tags[ExifTags.Base.ImageLength]) if tags else image.size
        return size, _orientation(image)


def pixel_count(source: str | Path | bytes) -> int:
    """Width times height by the file's header. Raises: LionError as `open_image`, though not for a damaged body."""
    with _open(content(source), name := source_name(source)) as image:
        if (count := image.width * image.height) > MAX_MEGAPIXELS * 1_000_000:
            raise _too_large(name)
        return count


def path_of(source: str) -> str | None:
    """The path that a text names, `~` and `file:` URLs resolved; None for a `data:` URI or a web address."""
    start = source[:9].lower()
    if start.startswith(("data:", *_WEB)):
        return None
    if not start.startswith("file:/"):
        return os.path.expanduser(source)
    rest = unquote(source[5:])
    if not rest.startswith("//"):
        return rest
    host, _, path = rest[2:].partition("/")
    return f"/{path}" if host.lower() in ("", "localhost") else None


def source_name(source: object) -> str:
    """A picture's name in messages and answers: its path, else `the image`; a `data:` URI is shortened."""
    if isinstance(source, (str, os.PathLike)):
        text = os.fspath(source)
        text = text if isinstance(text, str) else os.fsdecode(text)
        content = text[:5].lower() == "data:" or (len(text) > _LONGEST_NAME and not os.path.lexists(text))
        return f"{text[: _SHOWN - 3]}..." if content and len(text) > _SHOWN else text
    name = getattr(source, "filename" if isinstance(source, Image.Image) else "name", None)
    return str(name) if isinstance(name, (str, Path)) and str(name) else "the image"


@cache
def suffixes() -> frozenset[str]:
    """Endings of the files that Pillow reads here, in lower case, with the dot."""
    Image.init()
    formats = Image.OPEN.keys() - _NOT_PICTURES
    return frozenset(ending for ending, kind in Image.registered_extensions().items() if kind in formats)


def image_hash(image: Image.Image) -> str:
    """A hash of size and RGB pixels, 32 hexadecimal digits; independent of file format and metadata.

    Raises:
        LionError: as `open_image`, for an image that cannot be decoded.
    """
    rgb = open_image(image)
    digest = hashlib.blake2b(f"RGB {rgb.width}x{rgb.height}\n".encode(), digest_size=16)
    digest.update(rgb.tobytes())
    return digest.hexdigest()


def _of_array(array: np.ndarray) -> Image.Image:
    """An array as a PIL image. Raises: LionError if it is not uint8, or of another shape."""
    shape = array.shape
    if array.dtype != np.uint8:
        raise LionError(
            f"an array of {array.dtype} is no picture, it must be uint8, 0 to 255; {in_8_bits(array.dtype)}"
        )
    if len(shape) == 3 and shape[0] in (1, 3, 4) and shape[2] not in (3, 4):
        raise LionError(f"an array of shape {shape} has its channels first: array.transpose(1, 2, 0) puts them last")
    if not array.size or not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))):
        raise LionError(
            f"an array of shape {shape} is no picture: give (height, width), (height, width, 3) or (height, width, 4)"
        )
    return Image.fromarray(array)


def in_8_bits(kind: np.dtype[Any]) -> str:
    """How an array of another kind becomes uint8, none of whose values wraps."""
    if kind == np.bool_ or np.issubdtype(kind, np.floating):
        return "from 0 to 1: (255 * array).round().astype('uint8')"
    if kind == np.uint16:
        return "from 0 to 65535: (array // 257).astype('uint8')"
    return "clip its values, or scale them, to that: array.clip(0, 255).astype('uint8')"


def content(source: Any) -> str | bytes:
    """A path, or the bytes of an image file. Raises: LionError if the source is neither or cannot be read."""
    name = source_name(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    if isinstance(source, (str, os.PathLike)):
        text = os.fsdecode(os.fspath(source))
        if not text:
            raise LionError("a picture's name is empty: name a file")
        if (path := path_of(text)) is not None:
            return path
        if text[:5].lower() != "data:":
            raise LionError(f"{name} is a web address: download the picture and name the file")
        head, _, body = text.partition(",")
        data = unquote_to_bytes(body)
        if not head.lower().endswith(";base64"):
            return data
        try:
            return base64.b64decode(b"".join(data.split()), validate=True)
        except binascii.Error as error:
            raise LionError(f"{name} is not base64 ({error}): copy it whole") from error
    if isinstance(source, TextIOBase):
        raise LionError(f"{name} is opened as text: open it with mode 'rb'")
    if not hasattr(source, "read"):
        raise LionError(
            "a picture is a path, the bytes of a file, an open file, a PIL image or a NumPy array, not "
            f"{type(source).__name__}"
        )
    try:
        if hasattr(source, "seekable") and source.seekable():
            source.seek(0)  # it may have just been written
        return bytes(source.read())
    except LionError:  # of a StoredImage, which knows what to do
        raise
    except (OSError, ValueError, TypeError) as error:  # ValueError: it is closed
        raise LionError(f"{name} cannot be read ({error}): open it again with mode 'rb'") from error


def _open(source: str | bytes, name: str) -> Image.Image:
    """Read the header of a file or of its bytes; the pixels are still encoded."""
    if isinstance(source, bytes):
        empty = not source
    else:
        try:
            entry = os.stat(source)
        except (FileNotFoundError, NotADirectoryError, ValueError):  # no name of a file has a zero byte
            raise LionError(f"{name}: there is no such file; check the path") from None
        except OSError as error:  # a name too long, a folder that is closed, a disk that is gone
            raise LionError(f"{name}: {error.strerror}; check the path") from error
        if stat.S_ISDIR(entry.st_mode):
            raise LionError(f"{name} is a folder: name the pictures in it")
        if not stat.S_ISREG(entry.st_mode):
            raise LionError(f"{name} is not an ordinary file: save the picture to one first")
        empty = entry.st_size == 0
    if empty:
        raise LionError(f"{name} is empty (0 bytes): copy or download it again")
    try:
        with _warning_filters, warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is checked instead
            image = Image.open(BytesIO(source) if isinstance(source, bytes) else source)
    except PermissionError:
        raise LionError(f"{name} cannot be read: you lack the permission (see chmod)") from None
    except Image.DecompressionBombError:
        raise _too_large(name) from None
    except UnidentifiedImageError:
        raise LionError(f"{name} is not a picture Pillow can read: convert it to PNG or JPEG") from None
    except Exception as error:  # a damaged header: every format's reader fails in its own way
        raise _damaged(name, error) from error
    if image.format == "EPS":  # a program, which Pillow would hand to Ghostscript
        image.close()
        raise LionError(f"{name} is not a picture but a program (EPS): convert it to PNG or JPEG")
    return image


def _as_seen(image: Image.Image, name: str, copy: bool = False) -> tuple[Image.Image, str | None]:
    """Decode, turn upright, flatten to RGB, as a `copy` of what someone else may write to; and the note, if nearly
    black."""
    if image.width * image.height > MAX_MEGAPIXELS * 1_000_000:
        raise _too_large(name)
    tiles = getattr(image, "tile", None)
    try:
        _load(image)
        upright = _upright(image)
    except Exception as error:  # a damaged body: every format's decoder fails in its own way
        raise _damaged(name, error) from error
    rawmode = tiles[0][3] if tiles else None
    try:
        peak, white = _peak_and_white(upright, rawmode)
        shared = upright.mode == "RGB" and not copy and "transparency" not in upright.info
        rgb = upright._new(upright.im) if shared else _flatten(upright, rawmode, white)  # a third faster than a copy
        rgb.info.clear()
        return rgb, _note(upright, peak, white)
    except Exception as error:  # an entry of the header that makes no sense, no memory
        if "conversion" in str(error):
            raise LionError(f"{name}, of Pillow's mode {image.mode}, makes no RGB ({error}): convert it") from error
        raise _damaged(name, error) from error


def _peak_and_white(image: Image.Image, rawmode: object) -> tuple[float, float]:
    """The largest value of a picture of more than 8 bits, and the one that is white; equal ones of any other.

    16 bits take their full range. 32 bits and floats carry none: the smallest usual one that holds them.
    """
    scaled = isinstance(rawmode, tuple) and ";" not in str(rawmode[0])  # PGM, which Pillow scales to 16 bits
    sixteen = (image.mode == "I" and scaled) or ";16" in f"{image.mode} {rawmode}"
    if image.mode == "F" or image.mode.startswith("I"):
        pixels = np.asarray(image)
        peak = float(pixels.max(initial=0, where=np.isfinite(pixels)))
        usual = (1.0, 255.0, 65535.0) if image.mode == "F" else (65535.0,) if sixteen else (255.0, 65535.0)
        return peak, next((top for top in usual if peak <= top), peak if image.mode == "F" else 2.0**31 - 1)
    if sixteen and image.mode in ("RGB", "RGBA", "LA"):  # Pillow has the upper bytes alone
        byte = int(np.asarray(image)[..., : len(image.mode.rstrip("A"))].max(initial=0))
        return byte and byte << 8 | 255, 65535.0
    return 255.0, 255.0


def _note(image: Image.Image, peak: float, white: float) -> str | None:
    """What to know of values below 0, or that fill an eighth of their range at most, such as 12 bits kept in 16."""
    if image.mode in ("F", "I") and not (np.asarray(image) >= 0).all():
        return "the picture has values below 0 or NaN, which are black; scale its values to 0 to 1, or to 0 to 255"
    if not 0 < peak < white / 8:
        return None
    bits = int(peak).bit_length()
    fix = "save it with values that reach it"
    if white == 65535:
        fix = f"if it holds {bits} bits, save it with its values times {65535 // (2**bits - 1)}"
    return f"the picture is nearly black: its largest value is {peak:g} of {white:g}; {fix}"


def _load(image: Image.Image) -> None:
    """Decode, without Pillow's mapping of files into memory, which scrambles an uncompressed TIFF that is turned."""
    name = getattr(image, "filename", None)
    if name is None:
        image.load()
        return
    image.filename = ""  # type: ignore[attr-defined]
    try:
        image.load()
    finally:
        image.filename = name  # type: ignore[attr-defined]


def _too_large(name: str) -> LionError:
    return LionError(f"{name} has more than {MAX_MEGAPIXELS} megapixels, the limit: make it smaller first")


def _damaged(name: str, error: Exception) -> LionError:
    reason = " ".join(str(error).split()) or type(error).__name__
    fix = "open it again" if "closed" in reason else "it may be cut off or damaged, copy or download it again"
    return LionError(f"{name} cannot be decoded ({reason}): {fix}")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none, or the EXIF block is broken: viewers show it as stored."""
    with suppress(Exception):
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
        return value if value in range(1, 9) else 1
    return 1


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation to a picture straight from its file."""
    if not isinstance(image, ImageFile.ImageFile) or _orientation(image) == 1:
        return image
    return ImageOps.exif_transpose(image)


def _flatten(image: Image.Image, rawmode: object, white: float) -> Image.Image:
    """Any mode to a new RGB image; transparency on white, deep grey scaled to 8 bits.

    `white` is the value of deep grey that becomes 255; `rawmode` is Pillow's name of the file's pixels, None if
    unknown: it tells in which depth a PNG names the colour that is transparent.
    """
    transparent = image.info.get("transparency")
    if image.mode == "F" or image.mode.startswith("I"):
        deep, image = image, _to_8_bits(image, white)
        if isinstance(transparent, int):
            image.putalpha(Image.fromarray((np.asarray(deep) != transparent).astype(np.uint8) * 255))
    elif isinstance(transparent, int) and rawmode in _SCALED:
        image = image.copy()
        image.info["transparency"] = transparent * _SCALED[str(rawmode)]
    elif isinstance(transparent, tuple) and (rawmode == "RGB;16B" or max(transparent) > 255):
        image = image.copy()  # Pillow has the upper byte of each pixel alone
        image.info["transparency"] = tuple(value >> 8 for value in transparent)
    if image.mode == "La":
        image = image.convert("LA")  # the one way that Pillow has
    if image.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("RGB")


def _to_8_bits(image: Image.Image, white: float) -> Image.Image:
    """Grey of 16 bits, 32 bits or floats to 8 bits, `white` to 255."""
    pixels = np.nan_to_num(np.asarray(image, dtype=np.float32))
    return Image.fromarray((np.clip(pixels / white, 0, 1) * 255).round().astype(np.uint8))
