"""The RAM tagger: pictures to scores to tags, with its policy, saved and loaded as a Hugging Face folder.

B batch, N tags in class order, M validation pictures, S side of the resized picture in pixels.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import SwinConfig

from lion.errors import LionError, first_line, warn_of_domain
from lion.hub import LOAD_ERRORS
from lion.images import ImageSource, image_hash, open_image
from lion.provenance import update_with_tensors
from lion.tagging.configuration_ram import RamConfig
from lion.tagging.inference import logits_of
from lion.tagging.modeling_ram import RamModel
from lion.tagging.tag_cache import TagCache


@dataclass(frozen=True, slots=True)
class TagPolicy:
    """How scores become tags.

    * ``per_class``: score above the tag's own threshold (the released behaviour);
    * ``global``: score above ``threshold``, the same for all tags;
    * ``top_k``: the ``k`` highest scores, whatever they are; of equal scores the earlier class first.

    "Above" is strict, so a threshold of 1 disables a tag. Tags are always listed in class order.

    Raises: LionError if a setting is missing that the kind needs, does not belong to it, or is out of range.
    """

    kind: Literal["per_class", "global", "top_k"] = "per_class"
    threshold: float | None = None
    k: int | None = None

    def __post_init__(self) -> None:
        needed = {"per_class": None, "global": "threshold", "top_k": "k"}
        if self.kind not in needed:
            raise LionError(f"tag policy {self.kind!r} is not one of {', '.join(needed)}")
        for name, value in (("threshold", self.threshold), ("k", self.k)):
            if name == needed[self.kind] and value is None:
                raise LionError(f"tag policy {self.kind!r} needs {name}")
            if name != needed[self.kind] and value is not None:
                raise LionError(f"tag policy {self.kind!r} does not read {name}={value}; leave it out")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise LionError(f"the tag threshold {self.threshold} is not between 0 and 1")
        if self.k is not None and self.k < 1:
            raise LionError(f"k={self.k} keeps no tag; give at least 1, or turn tags off")

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """The inverse of `to_dict`. Raises: LionError for an unknown field, or as the class itself."""
        if unknown := fields.keys() - cls.__slots__:
            raise LionError(
                f"a tag policy has no field {', '.join(sorted(unknown))}; it has {', '.join(cls.__slots__)}"
            )
        return cls(**fields)

    def to_dict(self) -> dict[str, Any]:
        """The fields that are set, for JSON."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def fires(self, scores_BN: Tensor, thresholds_N: Tensor) -> Tensor:
        """Which tags each picture gets: (B, N) bool. Only ``per_class`` reads `thresholds_N`."""
        if self.kind == "per_class":
            return scores_BN > thresholds_N
        if self.kind == "global":
            assert self.threshold is not None
            return scores_BN > self.threshold
        best_Bk = scores_BN.sort(dim=1, descending=True, stable=True).indices[:, : self.k]
        return torch.zeros_like(scores_BN, dtype=torch.bool).scatter(1, best_Bk, True)


def best_f1_thresholds(scores_MN: Tensor, targets_MN: Tensor) -> Tensor:
    """The threshold of each class, (N,), that maximises its F1 under strict comparison on M scored pictures.

    It lies halfway between the last score that fires and the first that does not; of equally good ones the highest is
    taken. A class without a positive example gets 1 and so never fires, as ten classes of the released RAM do.

    Args:
        scores_MN: (M, N), between 0 and 1.
        targets_MN: (M, N), true where the tag is right.

    Raises: ValueError if the shapes differ.
    """
    if scores_MN.shape != targets_MN.shape:
        raise ValueError(f"scores {tuple(scores_MN.shape)} and targets {tuple(targets_MN.shape)} differ in shape")
    scores, targets = scores_MN.float().cpu().numpy(), targets_MN.cpu().numpy().astype(bool)
    columns = zip(scores.T, targets.T, strict=True)
    return torch.tensor([_best_f1_threshold(*column) for column in columns], dtype=torch.float32)


def _best_f1_threshold(scores_M: np.ndarray, targets_M: np.ndarray) -> float:
    if not targets_M.any():
        return 1.0
    order = np.argsort(-scores_M, kind="stable")
    ranked = np.append(scores_M[order], np.float32(0))
    fired = np.arange(1, len(order) + 1)
    f1 = 2 * np.cumsum(targets_M[order]) / (fired + targets_M.sum())
    f1[ranked[:-1] == ranked[1:]] = -1  # equal scores fire together; a score of 0 fires under no threshold
    best = int(f1.argmax())
    last, first_silent = ranked[best], ranked[best + 1]
    middle = (last + first_silent) / 2
    return float(middle if middle < last else first_silent)


_FIX = "name a folder or Hub id that RamTagger.save_pretrained wrote"


FILTER = Image.Resampling.BILINEAR


def preprocess(images: Sequence[ImageSource], side: int) -> Tensor:
    """Pictures to what RAM expects: RGB, squashed to S x S (bilinear), ImageNet-normalised; float32 (B, 3, S, S).

    Source: released RAM transform; equal to it bit for bit up to PIL's own resize.
    """
    squashed = [open_image(image).resize((side, side), FILTER) for image in images]
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
        self._logits = logits_of(model)

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
        are damaged, missing, left over or misshapen. Warns: DrawnScenesWarning where the tagger is lion-mini's.
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
        if config.domain:
            warn_of_domain(config.domain)
        return cls(model.to(device), policy=policy, batch_size=batch_size, cache=cache)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json (tags, thresholds and policy included) and model.safetensors, in the model's dtype."""
        # The shortest decimals that are the same float32: 0.17, not 0.17000000178813934.
        self.model.config.thresholds = [float(str(value)) for value in self.thresholds.numpy()]
        self.model.config.tag_policy = self.policy.to_dict()
        self.model.save_pretrained(folder)

    @property
    def squash(self) -> tuple[int, int]:
        """Side of the square that is made of any picture, and PIL's filter."""
        return self.model.config.vision_config.image_size, FILTER

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

        Raises: LionError for a picture that cannot be opened (see `open_image`), or scores that are no numbers.
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
        if self.model.training:  # asked, as eval() walks through all modules
            self.model.eval()
        pixels = preprocess(images, self.squash[0])
        scores_BN = self._logits()(pixels).float().sigmoid().cpu()
        if scores_BN.isnan().any():  # which are above no threshold, and would be no tags in silence
            raise LionError("the tagger's scores are NaN; load it in float32, or get its weights again")
        return scores_BN

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
