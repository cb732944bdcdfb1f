"""Pictures to what the Vision Encoder expects: squashed to a square, CLIP-normalised. B batch, S side in pixels.

PIL and numpy only: torchvision's resize differs from the released environment's, and has no CPU build everywhere.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from lion.errors import LionError


class LionImageProcessor(BaseImageProcessor):
    """Squash to S x S (bicubic, the aspect ratio is not kept), divide by 255, normalise with CLIP's constants.

    Boxes in the unit square survive the squash unchanged.

    Source: released evaluation transform; equal to it bit for bit up to PIL's own resize (``docs/numerics.md``).
    """

    model_input_names = ["pixel_values"]  # noqa: RUF012 - read by transformers

    def __init__(
        self,
        image_size: int = 224,
        image_mean: Sequence[float] = OPENAI_CLIP_MEAN,
        image_std: Sequence[float] = OPENAI_CLIP_STD,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.image_size = image_size
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)

    def resize(self, image: Image.Image) -> np.ndarray:
        """A picture of any mode and size to uint8 (S, S, 3)."""
        side = (self.image_size, self.image_size)
        return np.asarray(image.convert("RGB").resize(side, Image.Resampling.BICUBIC))

    def normalize(self, resized: np.ndarray | Tensor) -> Tensor:
        """uint8 (B, S, S, 3) to float32 (B, 3, S, S), on the device it lies on."""
        if not isinstance(resized, Tensor):
            resized = torch.from_numpy(np.ascontiguousarray(resized))
        pixels = resized.permute(0, 3, 1, 2).float().div(255)
        mean, std = (torch.tensor(v, device=pixels.device).view(1, 3, 1, 1) for v in (self.image_mean, self.image_std))
        return (pixels - mean) / std

    def __call__(self, images: Image.Image | Sequence[Image.Image], **kwargs: Any) -> BatchFeature:
        """One picture or several to ``pixel_values`` (B, 3, S, S); keyword arguments of transformers are ignored.

        Raises: LionError if they are no PIL images.
        """
        images = [images] if isinstance(images, Image.Image) else list(images)
        if not all(isinstance(image, Image.Image) for image in images):
            raise LionError("pictures are PIL images; Image.fromarray(array) makes one of an array")
        return BatchFeature({"pixel_values": self.normalize(np.stack([self.resize(image) for image in images]))})
