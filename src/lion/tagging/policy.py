"""From scores to tags: which of the N tags a picture gets. B batch, N tags in class order, M scored pictures."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from lion.errors import LionError


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
