"""Decoding of pictures: any source and any file format that Pillow reads, to an upright RGB image.

Boxes are correct only if the model's input is what a viewer shows, so orientation, transparency, first frame and bit
depth are handled here, before any other step.
"""

import hashlib
import os
import stat
import threading
import warnings
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from lion.errors import LionError

MAX_MEGAPIXELS = 100
"""Larger pictures are refused before they are decoded: an RGB image of this size already takes 300 MB."""

WEB = ("http://", "https://")
"""Prefixes of web addresses, which are not paths."""

_AFFECTS_VIEW = frozenset({"transparency", "exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"})
"""Metadata that changes how pixels are shown; Pillow finds an orientation in four places."""

ImageSource = str | Path | bytes | Image.Image

# Guards the one place that changes the process-wide warning filters.
_warning_filters = threading.Lock()


def open_image(source: ImageSource) -> Image.Image:
    """Decode a picture and return it as a viewer shows it, mode RGB.

    EXIF orientation is applied, transparency is laid on white, an animation gives its first frame, 16-bit grey is
    scaled to 8 bits (not clipped), CMYK and palettes become RGB. Of a PIL image the current frame is taken; one that is
    plain RGB already comes back as it is, so calling this twice costs nothing.

    Args:
        source: a path, the bytes of an image file, or a PIL image.

    Raises:
        LionError: another type, no such file, a folder, an empty file, no image, a damaged one, or one of more than
            MAX_MEGAPIXELS megapixels (by its header, before decoding).
    """
    if isinstance(source, Image.Image):
        if type(source) is Image.Image and source.mode == "RGB" and _AFFECTS_VIEW.isdisjoint(source.info):
            return source
        return _as_seen(source, _name_of(source))
    if not isinstance(source, (str, os.PathLike, bytes)):
        raise LionError(
            f"a picture is a path, the bytes of a file or a PIL image, not {type(source).__name__}; "
            "Image.fromarray makes one of an array"
        )
    name = "the image" if isinstance(source, bytes) else str(source)
    with _open(source, name) as image:
        return _as_seen(image, name)


def image_hash(image: Image.Image) -> str:
    """A hash of size and RGB pixels, 32 hexadecimal digits; independent of file format and metadata.

    Raises:
        LionError: as `open_image`, for an image that cannot be decoded.
    """
    rgb = open_image(image)
    digest = hashlib.blake2b(f"RGB {rgb.width}x{rgb.height}\n".encode(), digest_size=16)
    digest.update(rgb.tobytes())
    return digest.hexdigest()


def _name_of(image: Image.Image) -> str:
    """The file a PIL image was opened from, if known."""
    return str(getattr(image, "filename", "") or "the image")


def _open(source: str | Path | bytes, name: str) -> Image.Image:
    """Read the header of a file or of its bytes; the pixels are still encoded."""
    if isinstance(source, bytes):
        empty = not source
    else:
        if str(source).startswith(WEB):
            raise LionError(f"{name} is a web address: download the picture and name the file")
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


def _as_seen(image: Image.Image, name: str) -> Image.Image:
    """Decode, turn upright, flatten to RGB."""
    if image.width * image.height > MAX_MEGAPIXELS * 1_000_000:
        raise _too_large(name)
    try:
        _load(image)
        return _flatten(_upright(image))
    except Exception as error:  # a damaged body: every format's decoder fails in its own way
        raise _damaged(name, error) from error


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
    return LionError(f"{name} cannot be decoded ({reason}): it may be cut off or damaged, copy or download it again")


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation."""
    # Where the EXIF block is broken, viewers show the picture as stored.
    with suppress(Exception):
        if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
            return ImageOps.exif_transpose(image)
    return image


def _flatten(image: Image.Image) -> Image.Image:
    """Any mode to a new RGB image without metadata; transparency on white, deep grey scaled to 8 bits."""
    if image.mode == "F" or image.mode.startswith("I"):
        image = _to_8_bits(image)
    elif image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    rgb = image.convert("RGB")
    rgb.info.clear()
    return rgb


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits, 32 bits or floats to 8 bits.

    Integers take the full range of their depth; some Pillow versions hand a 16-bit file over as 32 bits, so the range
    is 16 bits until a value exceeds it. Floats carry no range: the smallest usual one (1, 8, 16 bits) that holds them.
    """
    pixels = np.asarray(image, dtype=np.float32)
    ranges = (1.0, 255.0, 65535.0) if image.mode == "F" else (65535.0,)
    peak = pixels.max(initial=0, where=np.isfinite(pixels))
    pixels = np.nan_to_num(pixels)
    full = next((top for top in ranges if peak <= top), float(peak) if image.mode == "F" else 2.0**31 - 1)
    return Image.fromarray((np.clip(pixels / full, 0, 1) * 255).round().astype(np.uint8))
