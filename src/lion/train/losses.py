"""The language-model loss, per sample. B batch, A answer tokens, W vocabulary."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from lion.errors import LionError

IGNORED = -100
"""Label of padding."""


class SoftCoordinates:
    """Labels of coordinate pieces spread over their neighbours: missing by 0.01 costs less than missing by 0.5.

    Args:
        tokenizer: has one piece for each coordinate that can be written with `decimals`.
        decimals: of boxes in text.
        width: standard deviation of the spread, in steps of the last decimal.

    Raises:
        LionError: the tokenizer spells coordinates in several pieces.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, decimals: int, width: float) -> None:
        steps = 10**decimals
        texts = [f"{step / steps:.{decimals}f}" for step in range(steps + 1)]
        known = tokenizer.get_vocab()
        if missing := [text for text in texts if text not in known]:
            raise LionError(
                f"options.soft_coordinates: this tokenizer has no piece for {missing[0]}; set it to 0 (hard labels)"
            )
        self.ids = torch.tensor([known[text] for text in texts])
        distance = torch.arange(steps + 1)[:, None] - torch.arange(steps + 1)[None, :]
        self.weights = torch.softmax(-0.5 * (distance / width) ** 2, dim=1)

    def to(self, device: torch.device) -> SoftCoordinates:
        """Move to a device, in place; returns itself."""
        self.ids, self.weights = self.ids.to(device), self.weights.to(device)
        return self


def answer_losses(logits_BAW: Tensor, labels_BA: Tensor, soft: SoftCoordinates | None = None) -> Tensor:
    """Mean cross entropy over each sample's own answer tokens, (B,), in fp32.

    Per sample first, so that long captions do not drown one-word answers (a token mean over the batch would).
    """
    logs_BAW = functional.log_softmax(logits_BAW.float(), dim=-1)
    real_BA = labels_BA != IGNORED
    losses_BA = -logs_BAW.gather(-1, labels_BA.clamp(min=0)[..., None])[..., 0]
    if soft is not None:
        soft.to(labels_BA.device)
        step_BA = torch.full_like(labels_BA, -1)
        matches = labels_BA[..., None] == soft.ids
        step_BA = torch.where(matches.any(-1), matches.int().argmax(-1), step_BA)
        spread_BA = -(soft.weights[step_BA.clamp(min=0)] * logs_BAW[..., soft.ids]).sum(-1)
        losses_BA = torch.where(step_BA >= 0, spread_BA, losses_BA)
    return (losses_BA * real_BA).sum(1) / real_BA.sum(1).clamp(min=1)
