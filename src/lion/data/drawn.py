"""The mark of drawn data, by which a score on it is never taken for one on a dataset's own pictures.

Folder and picture have it: the folder's file knows all splits, and a picture's comment stays when files are copied or
moved without that file. :mod:`lion.data.writers` writes both.
"""

import io
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lion.data.dataset import Dataset
from lion.errors import LionError
from lion.images import StoredImage, content

FILE = "lion-world.json"
"""In the dataset's folder: dataset, world_version, seed, pixels, and splits, the number of scenes of each."""
_KEY = "comment"
_LOOKED_AT = 8


def picture_bytes(picture: Image.Image, mark: Mapping[str, Any], suffix: str) -> bytes:
    """A drawn picture as the bytes of a file, `.jpg` nearly or `.png` exactly as it is, with its mark as a comment."""
    buffer, comment = io.BytesIO(), json.dumps(mark)
    if suffix == ".jpg":
        picture.save(buffer, "JPEG", quality=95, subsampling=0, comment=comment)
    else:
        about = PngInfo()
        about.add_text(_KEY, comment)
        picture.save(buffer, "PNG", compress_level=4, pnginfo=about)
    return buffer.getvalue()


def mark_of_folder(folder: Path) -> dict[str, Any] | None:
    """What FILE holds, None if there is none. Raises: LionError if it is damaged."""
    path = folder / FILE
    try:
        found: dict[str, Any] = {} | json.loads(path.read_text("utf-8"))
        _ = found["dataset"], {} | found["splits"]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise LionError(f"{path} is damaged; draw the folder again with lion world") from error
    return found


def mark_of_picture(picture: Path | bytes | StoredImage) -> dict[str, Any] | None:
    """The mark in a picture's comment, None if it has none or is no picture."""
    with suppress(OSError, ValueError, TypeError, SyntaxError, Image.DecompressionBombError):
        found = content(picture)
        with Image.open(io.BytesIO(found) if isinstance(found, bytes) else found) as opened:
            found = json.loads(opened.info.get(_KEY, ""))
        if isinstance(found, dict) and "world_version" in found:
            return found
    return None


def mark_of(dataset: Dataset, folder: Path) -> dict[str, Any] | None:
    """The mark of a dataset read from `folder`: of its folder, else of one of its pictures; None if it is not drawn.

    Raises: LionError if the folder's is damaged.
    """
    homes = {home: None for name in dataset.hashes for home in (folder / name).parents}
    for home in homes:
        if home.is_relative_to(folder) and (found := mark_of_folder(home)) and found["dataset"] == dataset.name:
            return found
    some = dataset.records[:: len(dataset.records) // _LOOKED_AT + 1]
    return next((found for record in some if (found := mark_of_picture(record.image))), None)
