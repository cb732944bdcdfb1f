"""The language-model loss: cross entropy of the answer, averaged per sample. B batch, A answer tokens, W vocabulary."""

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from lion.errors import LionError
from lion.train.objective import Batch, Loss


class AnswerLoss:
    """Mean over samples of the mean over each sample's answer tokens, and the same for each task.

    Per sample first, so that long captions do not outweigh one-word answers.

    Args:
        coordinate_ids: token of each coordinate in order (0.00, 0.01, ...), for soft labels.
        width: standard deviation, in coordinates, of soft labels, with which an error of 0.01 costs less than one of
            0.5; 0 for hard labels, as in the paper.
    """

    def __init__(self, coordinate_ids: Tensor | None = None, width: float = 0.0) -> None:
        self.ids, self.weights = coordinate_ids, None
        if width > 0:
            assert coordinate_ids is not None, "soft labels need the coordinates' tokens"
            steps = torch.arange(len(coordinate_ids))
            self.weights = torch.softmax(-0.5 * ((steps[:, None] - steps[None, :]) / width) ** 2, dim=1)

    def __call__(self, logits_BAW: Tensor, batch: Batch) -> Loss:
        """The loss of logits against `batch.tensors["labels"]` (B, A), computed in fp32."""
        losses_B = self.per_sample(logits_BAW, batch.tensors["labels"])
        per_task = {}
        for task in sorted(set(batch.tasks)):
            rows = [row for row, name in enumerate(batch.tasks) if name == task]
            per_task[str(task)] = losses_B.detach()[rows].mean()
        return Loss(losses_B.mean(), per_task)

    def per_sample(self, logits_BAW: Tensor, labels_BA: Tensor) -> Tensor:
        """Mean loss of each sample's own tokens, (B,)."""
        logs_BAW = functional.log_softmax(logits_BAW.float(), dim=-1)
        losses_BA = -logs_BAW.gather(-1, labels_BA.clamp(min=0)[..., None])[..., 0]
        if self.weights is not None and self.ids is not None:
            self.ids, self.weights = self.ids.to(labels_BA.device), self.weights.to(labels_BA.device)
            same_BAC = labels_BA[..., None] == self.ids
            spread_BA = -(self.weights[same_BAC.int().argmax(-1)] * logs_BAW[..., self.ids]).sum(-1)
            losses_BA = torch.where(same_BAC.any(-1), spread_BA, losses_BA)
        real_BA = labels_BA != -100  # the label of padding
        return (losses_BA * real_BA).sum(1) / real_BA.sum(1).clamp(min=1)


def coordinate_ids(tokenizer: PreTrainedTokenizerBase, decimals: int) -> Tensor:
    """The token of each coordinate with `decimals`, in order. Raises: LionError if some have several, as in FLAN-T5."""
    steps = 10**decimals
    known = tokenizer.get_vocab()
    texts = [f"{step / steps:.{decimals}f}" for step in range(steps + 1)]
    if missing := [text for text in texts if text not in known]:
        raise LionError(
            f"this tokenizer has no piece for {missing[0]}, which soft_coordinates, alignment and the pretraining of "
            "connectors need: set those options to 0, or take lion-mini's tokenizer"
        )
    return torch.tensor([known[text] for text in texts])
