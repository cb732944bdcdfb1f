"""Which words a picture shows, from tokens that do not know where: the loss behind the ViT's and the tagger's training.

B batch, P tokens, E width, W words or phrases.
"""

from torch import Tensor, logsumexp
from torch.nn import functional


def matching_logits(tokens_BPE: Tensor, words_WE: Tensor, scale: Tensor | float, bias: Tensor | float) -> Tensor:
    """One logit per word, (B, W): the cosine similarity of the best tokens, pooled smoothly over all of them."""
    similarity_BPW = functional.normalize(tokens_BPE, dim=-1) @ functional.normalize(words_WE, dim=-1).T * scale
    return logsumexp(similarity_BPW.float(), dim=1) + bias


def matching_loss(logits_BW: Tensor, shown_BW: Tensor, known_BW: Tensor | None = None) -> Tensor:
    """Sigmoid cross-entropy, summed over words: nearly all are absent, and their easy zeros must not thin it out.

    `known_BW` is 0 where nobody can say whether a word fits; None where everything is known.
    """
    return functional.binary_cross_entropy_with_logits(logits_BW, shown_BW, known_BW, reduction="none").sum(1).mean()
