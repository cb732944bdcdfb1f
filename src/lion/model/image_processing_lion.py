"""Pictures to what the Vision Encoder expects: squashed to a square, CLIP-normalised. B batch, S side in pixels.

PIL and numpy only: torchvision's resize differs from the released environment's, and has no CPU build everywhere.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from transformers.processing_utils import ImagesKwargs

from lion.errors import LionError
from lion.images import in_8_bits, open_image

_FROM_FILES = {"image_processor_type", "processor_class", "auto_map"}
"""What transformers writes beside the options."""

_FIXED = {
    "do_convert_rgb": (True,),
    "default_to_square": (True,),
    "do_center_crop": (False,),
    "do_pad": (False,),
    "data_format": ("channels_first",),
    "disable_grouping": (True, False),
    "device": ("cpu",),
}
"""Options of other image processors, and the values at which they ask for what LION does anyway."""


class LionImageProcessor(BaseImageProcessor):
    """Squash to S x S (bicubic, the aspect ratio is not kept), divide by 255, normalise with CLIP's constants.

    Boxes in the unit square survive the squash unchanged. Options have transformers' names and act wherever they are
    given: here, in a checkpoint's file, or in a call. None is the default of each.

    Args:
        image_size: S; or ``size``, an int or ``{"height": S, "width": S}``.
        resample: filter of the squash, one of PIL's.
        rescale_factor: of pixel values from 0 to 255.

    Raises: LionError for an unknown option, or one that LION has no use for.

    Source: released evaluation transform; equal to it bit for bit up to PIL's own resize
    (``docs/explanation/numerics_released.md``).
    """

    model_input_names = ["pixel_values"]  # noqa: RUF012 - read by transformers

    def __init__(
        self,
        image_size: int = 224,
        image_mean: float | Sequence[float] | None = None,
        image_std: float | Sequence[float] | None = None,
        *,
        size: int | Sequence[int] | Mapping[str, int] | None = None,
        resample: int | None = None,
        rescale_factor: float | None = None,
        do_resize: bool | None = None,
        do_rescale: bool | None = None,
        do_normalize: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{name: kwargs.pop(name) for name in _FROM_FILES & kwargs.keys()})
        for name, value in kwargs.items():
            if value is not None and value not in _FIXED.get(name, ()):
                known = ImagesKwargs.__annotations__
                raise LionError(
                    f"LION's image processor has no use for {name}={value!r}; leave it out"
                    if name in known
                    else f"{name!r} is not an option of LION's image processor; see transformers' ImagesKwargs"
                )
        self.image_size = image_size if size is None else _side(size)
        self.image_mean = _channels("image_mean", OPENAI_CLIP_MEAN if image_mean is None else image_mean)
        self.image_std = _channels("image_std", OPENAI_CLIP_STD if image_std is None else image_std)
        self.resample = Image.Resampling(Image.Resampling.BICUBIC if resample is None else resample).value
        self.rescale_factor = 1 / 255 if rescale_factor is None else rescale_factor
        self.do_resize, self.do_rescale, self.do_normalize = (
            asked is None or bool(asked) for asked in (do_resize, do_rescale, do_normalize)
        )

    @property
    def size(self) -> dict[str, int]:
        """Of ``pixel_values``, as transformers writes it."""
        return {"height": self.image_size, "width": self.image_size}

    @property
    def squash(self) -> tuple[int, int] | None:
        """Side of the square that :meth:`resize` makes of any picture, and PIL's filter; None if it makes none."""
        return (self.image_size, self.resample) if self.do_resize else None

    def resize(self, image: Image.Image) -> np.ndarray:
        """A picture, opened as :func:`lion.images.open_image` does, to uint8 (S, S, 3); its own size without
        ``do_resize``."""
        image = open_image(image)
        if self.do_resize:
            image = image.resize((self.image_size, self.image_size), Image.Resampling(self.resample))
        return np.asarray(image)

    def normalize(self, resized: np.ndarray | Tensor) -> Tensor:
        """uint8 (B, S, S, 3) to float32 (B, 3, S, S), on the device it lies on."""
        if not isinstance(resized, Tensor):
            resized = torch.from_numpy(np.ascontiguousarray(resized))
        pixels = resized.permute(0, 3, 1, 2).float()
        if self.do_rescale:  # a division where it can be one: released, and not equal to the product bit for bit
            pixels = pixels.div(255) if self.rescale_factor == 1 / 255 else pixels.mul(self.rescale_factor)
        if not self.do_normalize:
            return pixels
        mean, std = (torch.tensor(v, device=pixels.device).view(1, 3, 1, 1) for v in (self.image_mean, self.image_std))
        return (pixels - mean) / std

    def preprocess(self, images: Any, **kwargs: Any) -> BatchFeature:
        """Pictures to ``pixel_values`` (B, 3, S, S).

        Args:
            images: one picture or several, in lists of any depth: what :func:`lion.images.open_image` opens, with its
                orientation, transparency and bit depth; web addresses; arrays and tensors (0 to 255, or floats from 0
                to 1), of three axes or in batches of four.
            **kwargs: options for this call. ``return_tensors`` is "pt" (by default), "np", or None for a list of
                arrays; ``input_data_format`` ("channels_first" or "channels_last") is for arrays whose shape does not
                tell.

        Raises: LionError if there is none, one is no picture, or an option is unknown or of no use.
        """
        options = {name: value for name, value in kwargs.items() if value is not None}
        kind, channels = kwargs.get("return_tensors", "pt"), options.pop("input_data_format", None)
        options.pop("return_tensors", None)
        if kind not in ("pt", "np", None):
            raise LionError(f'return_tensors={kind!r} is neither "pt" nor "np"; write one of them')
        own = type(self)(**{**self._options(), **options}) if options else self
        pictures = [own.resize(picture) for picture in own.pictures(images, channels)]
        if not pictures:
            raise LionError("there is no picture; give one or more")
        if len({picture.shape for picture in pictures}) > 1:
            raise LionError("pictures of several sizes make no batch without do_resize; resize them first")
        pixels = own.normalize(np.stack(pictures))
        return BatchFeature({"pixel_values": pixels if kind == "pt" else pixels.numpy() if kind else [*pixels.numpy()]})

    def pictures(self, images: Any, channels: Any = None) -> list[Image.Image]:
        """All pictures of a nested list, in order, as PIL's. Arguments: :meth:`preprocess`. Raises: LionError as it."""
        if isinstance(images, str) and images[:8].lower().startswith(("http://", "https://")):
            images = self.fetch_images(images)
        if isinstance(images, Image.Image | str | os.PathLike | bytes) or hasattr(images, "read"):
            return [open_image(images)]
        if isinstance(images, np.ndarray | Tensor) and images.ndim <= 3:
            return [_from_array(images, channels, self.do_rescale)]
        if isinstance(images, Sequence | np.ndarray | Tensor):
            return [picture for image in images for picture in self.pictures(image, channels)]
        raise LionError(f"{type(images).__name__} is no picture; give PIL's, a path, an array or a tensor")

    def changed(self) -> dict[str, Any]:
        """Options that differ from the released preprocessing, but for the size; empty for most."""
        usual = type(self)(self.image_size)._options()
        return {name: value for name, value in self._options().items() if name in usual and value != usual[name]}

    def _options(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}


def _from_array(array: Any, channels: Any, rescale: bool) -> Image.Image:
    """A picture of three axes, or of two (grey). Raises: LionError if it is none, or not plainly one."""
    if isinstance(array, Tensor):  # NumPy has no bfloat16
        array = (array.detach().float() if array.is_floating_point() else array.detach()).cpu().numpy()
    array = array[..., None] if array.ndim == 2 else array
    for counts in ((1, 3), (4,)):
        if channels is None and array.ndim == 3 and (array.shape[0] in counts) != (array.shape[2] in counts):
            channels = "channels_first" if array.shape[0] in counts else "channels_last"
    if array.ndim != 3 or channels not in ("channels_first", "channels_last"):
        raise LionError(f'an array of shape {array.shape} needs input_data_format="channels_last" or "channels_first"')
    array = np.moveaxis(array, 0, 2) if channels == "channels_first" else array
    floats = np.issubdtype(array.dtype, np.floating)
    if floats and array.size and array.min() >= 0 and array.max() <= 1:
        if not rescale:
            raise LionError("a picture of floats from 0 to 1 has its scale already; leave do_rescale=False out")
        array = np.rint(array * 255)
    fits = array.dtype.kind in "iuf" and array.dtype != np.uint16 and array.size > 0
    if not fits or not ((array >= 0) & (array <= 255) & (array == np.rint(array))).all():
        how = in_8_bits(array.dtype)
        raise LionError(
            f"an array of {array.dtype} is no picture; its values are 0 to 255, or floats from 0 to 1; {how}"
        )
    array = array.astype(np.uint8)
    return Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)


def _side(size: int | Sequence[int] | Mapping[str, int]) -> int:
    """Raises: LionError for another shape than a square, which the Vision Encoder could not read."""
    sides = list(size.values()) if isinstance(size, Mapping) and size.keys() == {"height", "width"} else size
    sides = [sides] * 2 if isinstance(sides, int) else sides
    if not isinstance(sides, Sequence) or len(sides) != 2 or sides[0] != sides[1]:
        raise LionError(f'size={size!r} is no square; write size={{"height": 224, "width": 224}}')
    return int(sides[0])


def _channels(name: str, values: float | Sequence[float]) -> list[float]:
    """One value for each channel. Raises: LionError for another number of them."""
    numbers = [float(values)] * 3 if isinstance(values, int | float) else [float(value) for value in values]
    if len(numbers) != 3:
        raise LionError(f"{name} has {len(numbers)} values for the 3 channels of a picture; give one or three")
    return numbers
