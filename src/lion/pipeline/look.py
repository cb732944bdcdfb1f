"""A picture LION has looked at, and the handle that lets it be asked many times."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from lion.images import image_hash, open_image
from lion.model import VisualFeatures


@dataclass(slots=True)
class Evidence:
    """What the frozen parts found in a picture, each filled in when it is first needed and then kept."""

    vision: VisualFeatures | None = None
    """Vision Encoder and Vision Aggregator output, one row."""
    tags: tuple[str, ...] | None = None
    """The tagger's tags, in its order."""


@dataclass(frozen=True, slots=True)
class Look:
    """One picture and its evidence, from :meth:`LionPipeline.look`. Valid for the pipeline that made it."""

    image: Image.Image
    """RGB, upright, as people see it."""
    name: str | None
    """The path it was opened by; None if it came as pixels."""
    hash: str
    """Hash of the pixels; equal pictures share their evidence."""
    evidence: Evidence = field(default_factory=Evidence, repr=False)

    @classmethod
    def open(cls, picture: str | Path | bytes | Image.Image) -> Look:
        """Open a picture without looking at it yet.

        Raises: LionError as :func:`lion.images.open_image`.
        """
        image = open_image(picture)
        return cls(image, str(picture) if isinstance(picture, (str, Path)) else None, image_hash(image))

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.image.size

    @property
    def tags(self) -> tuple[str, ...]:
        """The tagger's tags; empty without a tagger."""
        return self.evidence.tags or ()
