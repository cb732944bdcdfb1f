"""Multiple-instance (MIL) loss: which phrases a picture shows, from tokens whose labels have no positions.

Trains lion-mini's Vision Encoder and tagger. B batch, P tokens, E width, W words or phrases.
"""

from collections.abc import Hashable, Iterable, Sequence

import torch
from torch import Tensor, logsumexp
from torch.nn import functional


def mil_logits(tokens_BPE: Tensor, words_WE: Tensor, scale: Tensor | float, bias: Tensor | float) -> Tensor:
    """One logit per word, (B, W): scaled cosine similarities, pooled over tokens by log-sum-exp (a smooth maximum)."""
    similarity_BPW = functional.normalize(tokens_BPE, dim=-1) @ functional.normalize(words_WE, dim=-1).T * scale
    return logsumexp(similarity_BPW.float(), dim=1) + bias


def mil_loss(logits_BW: Tensor, labels_BW: Tensor, mask_BW: Tensor | None = None) -> Tensor:
    """Sigmoid cross entropy, summed over words and averaged over the batch; the mask is 0 where a label is unknown.

    A sum, because nearly all words are absent and a mean would be dominated by these easy negatives.
    """
    return functional.binary_cross_entropy_with_logits(logits_BW, labels_BW, mask_BW, reduction="none").sum(1).mean()


def multi_hot(rows: Sequence[Iterable[Hashable]], vocabulary: Sequence[Hashable]) -> Tensor:
    """Rows of words or phrases as labels (B, W), 1 for those in the row."""
    columns = {word: column for column, word in enumerate(vocabulary)}
    labels_BW = torch.zeros(len(rows), len(vocabulary))
    for row, words in enumerate(rows):
        labels_BW[row, [columns[word] for word in words]] = 1.0
    return labels_BW
