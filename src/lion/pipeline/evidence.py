"""Step 1, evidence: what depends on the picture alone (pixels, tags, visual features), kept by the picture's content.

A picture is opened into a :class:`Look`; its evidence is filled in when first needed and shared by all looks at equal
pixels, so that many questions cost one pass of the Vision Encoder. P patches + CLS, V vision width, D model width.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import TypeVar

import torch
from PIL import Image

from lion.engine.look import Seeing
from lion.images import ImageSource, image_hash, read_image, source_name, tell
from lion.model import LionProcessor, VisualFeatures
from lion.nn.inference import Read
from lion.pipeline.drawing import preview
from lion.tagging import Tagger

T = TypeVar("T")

CACHE_BYTES = 256 * 2**20
"""Default bound of a cache: some 70 pictures of the full-size model in float32, 4,000 of lion-mini."""

_ENTRY_BYTES = 1024
"""Bytes assumed for an entry without visual features."""


@dataclass(slots=True)
class Evidence:
    """Visual features and tags of one picture; None where they have not been computed."""

    vision: VisualFeatures | None = None
    """Vision Encoder and Vision Aggregator output, (1, P, V) and (1, P, D)."""
    tags: tuple[str, ...] | None = None
    """The tagger's tags, in its order."""
    cache: EvidenceCache | None = field(default=None, repr=False)
    """The cache it belongs to, and so the model and tagger it holds for; None before a pipeline has used it."""

    @property
    def nbytes(self) -> int:
        """Memory it occupies, roughly."""
        tensors = (self.vision.last_BPV, self.vision.aggregated_BPD) if self.vision else ()
        return _ENTRY_BYTES + sum(tensor.nbytes for tensor in tensors if tensor is not None)


@dataclass(frozen=True, slots=True)
class Look:
    """One opened picture and its evidence, which holds for one pipeline: another computes its own."""

    image: Image.Image
    """RGB, upright, as people see it."""
    name: str | None
    """The path it was opened from; None if it came as pixels."""
    hash: str
    """Hash of the pixels: the key of its evidence."""
    evidence: Evidence = field(default_factory=Evidence, repr=False)
    note: str | None = field(default=None, repr=False)
    """What to know about the picture, that it is nearly black; every answer's note says it."""

    @classmethod
    def open(cls, picture: Picture) -> Look:
        """Open a picture; no model is involved. A look is returned as it is.

        Raises: LionError as :func:`lion.images.open_image`.
        """
        if isinstance(picture, Look):
            return picture
        image, note = read_image(picture)
        return cls(image, picture_name(picture), image_hash(image), note=note)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.image.size

    @property
    def for_tagger(self) -> Image.Image:
        """What the tagger is given."""
        return self.image

    @property
    def tags(self) -> tuple[str, ...]:
        """The tagger's tags; empty without a tagger."""
        return self.evidence.tags or ()

    def __repr__(self) -> str:
        tags = "" if self.evidence.tags is None else f", tags: {', '.join(self.tags) or 'none'}"
        name = repr(self.name)[1:-1] if self.name else "pixels"
        return f"Look({name}, {self.size[0]} x {self.size[1]}{tags})"

    def _repr_png_(self) -> bytes:
        """What a notebook shows."""
        return preview(self.image)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SquashedLook(Look):
    """A look at a picture that was decoded elsewhere: no more of it is here than model and tagger read.

    ``image`` is the square that the image processor makes of it, and from which it takes the same pixels again;
    ``hash`` is that of what is here.
    """

    tagger_image: Image.Image
    """The square that the tagger makes of it."""
    picture_size: tuple[int, int]
    """(width, height) of the picture as people see it."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the picture in pixels."""
        return self.picture_size

    @property
    def for_tagger(self) -> Image.Image:
        """What the tagger is given."""
        return self.tagger_image


Picture = ImageSource | Look
"""What :func:`lion.images.open_image` takes (a path, bytes, an open file, an array), or a picture opened before."""
Pictures = Iterable[Picture]
"""Several: a list, tuple, generator, array or Series of them."""


def picture_name(picture: Picture) -> str | None:
    """The path a picture was given by, if any; a `data:` URI is shortened."""
    if isinstance(picture, Look):
        return picture.name
    return source_name(picture) if isinstance(picture, (str, Path)) else None


class EvidenceCache:
    """Evidence by content hash, least recently used first out, bounded in bytes; safe to use from several threads.

    Args:
        max_bytes: bound on the memory of what is kept. Looks that are still in use keep their evidence beyond it.
    """

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self.max_bytes = max_bytes
        self._entries: OrderedDict[str, Evidence] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[EvidenceCache], tuple[int]]:
        """A copy for another process starts empty."""
        return EvidenceCache, (self.max_bytes,)

    def __len__(self) -> int:
        return len(self._entries)

    def open(self, picture: Picture) -> Look:
        """As :meth:`Look.open`, with the evidence of an equal picture where it is known; a note is a warning, too."""
        look = Look.open(picture)
        if look is not picture:
            tell(look.note, source_name(picture))
        with self._lock:
            own = look.evidence if look.evidence.cache in (None, self) else Evidence()
            evidence = self._entries.setdefault(look.hash, own)
            evidence.cache = self
            self._sizes.setdefault(look.hash, evidence.nbytes)
            self._entries.move_to_end(look.hash)
        return look if evidence is look.evidence else replace(look, evidence=evidence)

    def trim(self, looks: Iterable[Look]) -> None:
        """Count what has been computed for these looks, and drop the least recently used entries beyond the bound."""
        with self._lock:
            self._sizes |= {look.hash: look.evidence.nbytes for look in looks if look.hash in self._entries}
            total = sum(self._sizes.values())
            while self._entries and total > self.max_bytes:
                key, _ = self._entries.popitem(last=False)
                total -= self._sizes.pop(key, 0)

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._entries.clear()
            self._sizes.clear()


def tag_images(looks: Iterable[Look], tagger: Tagger | None, batch_size: int) -> None:
    """Run the tagger, if there is one, on pictures that have no tags yet."""
    if tagger is None:
        return
    untagged = list({look.hash: look for look in looks if look.evidence.tags is None}.values())
    for batch in batched(untagged, batch_size):
        for look, tags in zip(batch, tagger([look.for_tagger for look in batch]), strict=True):
            look.evidence.tags = tuple(tags)


@torch.no_grad()
def encode_images(looks: Iterable[Look], seeing: Read[Seeing], processor: LionProcessor, batch_size: int) -> None:
    """Run Vision Encoder and Vision Aggregator (``seeing``) on pictures that have no visual features yet."""
    unseen = list({look.hash: look for look in looks if look.evidence.vision is None}.values())
    for batch in batched(unseen, batch_size):
        pixels = processor.image_processor([look.image for look in batch])["pixel_values"]
        features = seeing()(pixels)
        for row, look in enumerate(batch):
            look.evidence.vision = features.row(row)


def batched(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Slices of at most ``size`` items, in order."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
