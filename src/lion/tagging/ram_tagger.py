"""The RAM tagger: pictures to scores to tags, with its policy, saved and loaded as a Hugging Face folder.

B batch, N tags in class order, M validation pictures, S side of the resized picture in pixels.
"""

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import SwinConfig

from lion.errors import LionError, first_line
from lion.hub import LOAD_ERRORS
from lion.images import ImageSource, image_hash, open_image
from lion.provenance import update_with_tensors
from lion.tagging.configuration_ram import RamConfig
from lion.tagging.modeling_ram import RamModel
from lion.tagging.policy import TagPolicy, best_f1_thresholds
from lion.tagging.tag_cache import TagCache

_FIX = "name a folder or Hub id that RamTagger.save_pretrained wrote"


def preprocess(images: Sequence[ImageSource], side: int) -> Tensor:
    """Pictures to what RAM expects: RGB, squashed to S x S (bilinear), ImageNet-normalised; float32 (B, 3, S, S).

    Source: released RAM transform; equal to it bit for bit up to PIL's own resize.
    """
    squashed = [open_image(image).resize((side, side), Image.Resampling.BILINEAR) for image in images]
    return normalize(np.stack([np.asarray(image) for image in squashed]))


def normalize(squashed: np.ndarray) -> Tensor:
    """uint8 (B, S, S, 3) to ImageNet-normalised float32 (B, 3, S, S)."""
    pixels = torch.from_numpy(squashed).permute(0, 3, 1, 2).float().div(255)
    mean, std = torch.tensor((0.485, 0.456, 0.406)), torch.tensor((0.229, 0.224, 0.225))
    return (pixels - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)


class RamTagger:
    """A :class:`~lion.tagging.Tagger`: ``tagger([image, ...])`` gives each picture's tags, in class order.

    The model is put into eval mode at every call: in training mode its dropout would make tags random.

    Attributes:
        tags: the N tag names.
        policy: how scores become tags; may be replaced at any time.
        thresholds: (N,) float32 in 0..1, read by the ``per_class`` policy.
        cache: cache of scores, or None; the model must not be trained while it is in use.
    """

    def __init__(
        self, model: RamModel, *, policy: TagPolicy | None = None, batch_size: int = 32, cache: TagCache | None = None
    ) -> None:
        config = model.config
        self.model = model
        self.tags: tuple[str, ...] = config.tags
        self.policy = policy or TagPolicy.from_dict(config.tag_policy or {})
        self.thresholds = torch.tensor(config.thresholds or [0.5] * len(self.tags), dtype=torch.float32)
        self.batch_size = batch_size
        self.cache = cache

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        policy: TagPolicy | None = None,
        batch_size: int = 32,
        cache: TagCache | None = None,
        **hub: Any,
    ) -> Self:
        """Load what `save_pretrained` wrote, from a folder or the Hub (`hub`: revision, token, cache_dir, ...).

        Weights are converted to `dtype`. Raises: LionError if there is nothing, another kind of model, or weights that
        are damaged, missing, left over or misshapen.
        """
        try:
            fields, _ = RamConfig.get_config_dict(str(name_or_path), **hub)
            if fields.get("model_type") != RamConfig.model_type:
                raise LionError(f"{name_or_path} holds no RAM tagger (model type {fields.get('model_type')}); {_FIX}")
            config = RamConfig.from_dict(fields)
            policy = policy or TagPolicy.from_dict(config.tag_policy or {})
            loaded: Any = RamModel.from_pretrained(
                str(name_or_path), config=config, dtype=dtype, output_loading_info=True, **hub
            )
        except LionError:
            raise
        except LOAD_ERRORS as error:
            raise LionError(
                f"{name_or_path}: no tagger can be loaded from there ({first_line(error)}); {_FIX}"
            ) from error
        model, report = loaded
        for problem in ("missing_keys", "unexpected_keys", "mismatched_keys"):
            if keys := sorted(report[problem]):
                found = f"{len(keys)} {problem.replace('_', ' ')} ({', '.join(map(str, keys[:3]))}, ...)"
                raise LionError(f"{name_or_path}: weights have {found}; they belong to another configuration")
        return cls(model.to(device), policy=policy, batch_size=batch_size, cache=cache)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json (tags, thresholds and policy included) and model.safetensors, in the model's dtype."""
        # The shortest decimals that are the same float32: 0.17, not 0.17000000178813934.
        self.model.config.thresholds = [float(str(value)) for value in self.thresholds.numpy()]
        self.model.config.tag_policy = self.policy.to_dict()
        self.model.save_pretrained(folder)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of weights, precision and shape, 32 hexadecimal digits; not of policy, thresholds and tag names."""
        config = self.model.config
        names = RamConfig.__annotations__.keys() - {"thresholds", "tag_policy", "vision_config"}
        shape = {name: getattr(config, name) for name in names}
        swin = {name: getattr(config.vision_config, name) for name in SwinConfig.__annotations__}
        digest = hashlib.blake2b(json.dumps([shape, swin], sort_keys=True).encode(), digest_size=16)
        update_with_tensors(digest, self.model.state_dict())
        return digest.hexdigest()

    def scores(self, images: Sequence[ImageSource]) -> Tensor:
        """Probability of every tag: (B, N) float32 on the CPU, from the cache where there is one.

        Raises: LionError for a picture that cannot be opened (see `open_image`).
        """
        batches = [images[start : start + self.batch_size] for start in range(0, len(images), self.batch_size)]
        if not batches:
            return torch.empty(0, len(self.tags))
        score = self._run if self.cache is None else self._look_up
        return torch.cat([score([open_image(image) for image in batch]) for batch in batches])

    def pick(self, scores_BN: Tensor) -> list[list[str]]:
        """The tags of each picture by scores (B, N) and policy."""
        fires_BN = self.policy.fires(scores_BN, self.thresholds)
        return [[tag for tag, fires in zip(self.tags, row, strict=True) if fires] for row in fires_BN.tolist()]

    def __call__(self, images: Sequence[ImageSource]) -> list[list[str]]:
        """The tags of each picture, in class order. Raises as `scores`."""
        return self.pick(self.scores(images))

    def calibrate(self, scores_MN: Tensor, targets_MN: Tensor) -> None:
        """Set each tag's threshold to the one of best F1 on M validation pictures; see `best_f1_thresholds`."""
        self.thresholds = best_f1_thresholds(scores_MN, targets_MN)

    @torch.no_grad()
    def _run(self, images: Sequence[Image.Image]) -> Tensor:
        self.model.eval()
        pixels = preprocess(images, self.model.config.vision_config.image_size)
        logits = self.model(pixels.to(self.model.device, self.model.dtype)).logits
        return logits.float().sigmoid().cpu()

    def _look_up(self, images: Sequence[Image.Image]) -> Tensor:
        assert self.cache is not None
        names = [image_hash(image) for image in images]
        rows: dict[str, Any] = {name: self.cache.read(self.fingerprint, name, len(self.tags)) for name in set(names)}
        new = {name: image for name, image in zip(names, images, strict=True) if rows[name] is None}
        if new:
            rows |= zip(new, self._run(list(new.values())), strict=True)
        for name in new:
            self.cache.write(self.fingerprint, name, rows[name])
        return torch.stack([rows[name] for name in names])
