"""Object tokens: vectors that describe the objects of a drawn scene to lion-mini's language model.

The language model is pretrained on scenes given as object tokens instead of pictures. An object token is the sum of the
language model's own embeddings of an object's words (size, colour, category) and of the four coordinates of its box;
the background's is that of its theme. Later, visual tokens are pulled towards object tokens (``alignment.py``).

B batch, M object tokens, D width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from lion.boxes import Box
from lion.train.language_modelling import coordinate_ids
from lion.world import CATEGORIES, COLOURS, SIZES, THEMES

_WORDS = 3
_CORNERS = 4


class ObjectTokenizer:
    """Words and boxes to token ids. Raises: LionError if the tokenizer splits coordinates, as FLAN-T5's does."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, decimals: int) -> None:
        self.coordinates: list[int] = coordinate_ids(tokenizer, decimals).tolist()
        words = (*SIZES, *COLOURS, *CATEGORIES, *THEMES)
        self.words = {word: int(tokenizer.convert_tokens_to_ids(f"▁{word}")) for word in words}

    def __call__(self, rows: Sequence[Sequence[tuple[Sequence[str], Box | None]]]) -> Tensor:
        """Rows of (words, box or None) to ids (B, M, 7): three words and four coordinates, 0 where there is none."""
        longest = max((len(row) for row in rows), default=0)
        padding = [0] * (_WORDS + _CORNERS)
        ids = [[self._ids(*one) for one in row] + [padding] * (longest - len(row)) for row in rows]
        return torch.tensor(ids, dtype=torch.long).reshape(len(rows), longest, _WORDS + _CORNERS)

    def _ids(self, words: Sequence[str], box: Box | None) -> list[int]:
        ids = [self.words[word] for word in words] + [0] * (_WORDS - len(words))
        if box is None:
            return ids + [0] * _CORNERS
        last = len(self.coordinates) - 1
        return ids + [self.coordinates[round(corner * last)] for corner in box.clamp().xyxy()]


def embed_object_tokens(ids_BM7: Tensor, embedding: nn.Embedding) -> Tensor:
    """Object tokens, (B, M, D); zero where all ids are 0.

    Each corner's embedding is rotated by another quarter of the width, so that the sum distinguishes left from top.
    """
    vectors = embedding(ids_BM7) * (ids_BM7 > 0)[..., None]
    words_BMD = vectors[:, :, :_WORDS].sum(2)
    shift = vectors.shape[-1] // _CORNERS
    corners = [vectors[:, :, _WORDS + corner].roll(corner * shift, dims=-1) for corner in range(_CORNERS)]
    return words_BMD + torch.stack(corners).sum(0)
