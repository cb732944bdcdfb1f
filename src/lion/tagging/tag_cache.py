"""A cache of tag scores on disk, so that each picture is tagged once.

Scores are stored, not tags, so that a policy or threshold can be changed without running the network again; in float32,
so that a hit gives exactly the tags of the run that wrote it.
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lion.atomic import atomic_write
from lion.errors import LionError

_DIGEST_BYTES = 8


class TagCache:
    """One small file per picture and tagger, ``<folder>/<tagger>/<ab>/<abcdef...>``: a digest, then the scores.

    Any number of processes may share the folder: a file appears whole or not at all, and two processes that score the
    same picture write the same. A damaged file counts as absent and is written anew. Deleting the folder is safe.
    Raises: LionError if `folder` is a file.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise LionError(f"the tag cache {self.folder} is a file; name a folder")

    def _path(self, tagger: str, image: str) -> Path:
        return self.folder / tagger / image[:2] / image

    def read(self, tagger: str, image: str, tags: int) -> Tensor | None:
        """The stored scores, (N,) with N = `tags`, of a tagger for a picture; None where absent or damaged.

        Args:
            tagger: `RamTagger.fingerprint`.
            image: `lion.images.image_hash` of the picture.
        """
        try:
            stored = self._path(tagger, image).read_bytes()
        except FileNotFoundError:
            return None
        digest, scores = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
        if len(scores) != 4 * tags or digest != _digest(scores):
            return None
        return torch.from_numpy(np.frombuffer(scores, dtype="<f4").astype(np.float32))

    def write(self, tagger: str, image: str, scores_N: Tensor) -> None:
        """Store a picture's scores, (N,); arguments as for `read`."""
        scores = scores_N.cpu().numpy().astype("<f4").tobytes()
        atomic_write(self._path(tagger, image), _digest(scores) + scores)


def _digest(scores: bytes) -> bytes:
    return hashlib.blake2b(scores, digest_size=_DIGEST_BYTES).digest()
