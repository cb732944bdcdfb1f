"""Symbols: the vectors in which lion-mini's language model is told a scene before it ever sees one.

A symbol is a thing in one vector, the sum of what the language model's own embedding holds for its words (size, colour,
category) and for the four coordinates of its box. So nothing but the language model says what a symbol is, and a
stage may pull visual tokens towards symbols (option ``alignment``).

B batch, M symbols, D width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from lion.boxes import Box
from lion.train.answer_loss import coordinate_ids
from lion.world import CATEGORIES, COLOURS, SIZES, THEMES

_WORDS = 3
_CORNERS = 4


class Symbols:
    """Names and boxes to token ids; :func:`embed_symbols` makes the vectors.

    Args:
        tokenizer: the language model's.
        decimals: decimals of its coordinates.

    Raises:
        LionError: the tokenizer spells coordinates in several pieces, as FLAN-T5's does.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, decimals: int) -> None:
        self.coordinates: list[int] = coordinate_ids(tokenizer, decimals).tolist()
        self.words = {
            word: int(tokenizer.convert_tokens_to_ids(f"▁{word}")) for word in (*SIZES, *COLOURS, *CATEGORIES, *THEMES)
        }

    def ids(self, symbols: Sequence[Sequence[tuple[Sequence[str], Box | None]]]) -> Tensor:
        """Rows of (words, box or None) to ids (B, M, 7), three words and four coordinates, 0 where there is none."""
        longest = max((len(row) for row in symbols), default=0)
        nothing = [0] * (_WORDS + _CORNERS)
        rows = [[self._ids(*told) for told in row] + [nothing] * (longest - len(row)) for row in symbols]
        return torch.tensor(rows, dtype=torch.long).reshape(len(symbols), longest, _WORDS + _CORNERS)

    def _ids(self, words: Sequence[str], box: Box | None) -> list[int]:
        named = [self.words[word] for word in words] + [0] * (_WORDS - len(words))
        if box is None:
            return named + [0] * _CORNERS
        last = len(self.coordinates) - 1
        return named + [self.coordinates[round(corner * last)] for corner in box.clamp().xyxy()]


def embed_symbols(ids_BM7: Tensor, embedding: nn.Embedding) -> Tensor:
    """Vectors of symbols, (B, M, D); zero for ids that are all 0.

    Coordinates are turned a quarter of the width further from corner to corner, so that the sum tells left from top.
    """
    vectors = embedding(ids_BM7) * (ids_BM7 > 0)[..., None]
    words_BMD = vectors[:, :, :_WORDS].sum(2)
    turn = vectors.shape[-1] // _CORNERS
    corners = [vectors[:, :, _WORDS + corner].roll(corner * turn, dims=-1) for corner in range(_CORNERS)]
    return words_BMD + torch.stack(corners).sum(0)
