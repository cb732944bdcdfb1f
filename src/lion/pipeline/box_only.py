"""Constrained decoding: generate nothing but one box, ``[x1,y1,x2,y2]`` in the unit square, with an area.

Works on characters, whatever pieces a tokenizer has: a piece is allowed if the text so far followed by the piece is a
prefix of some box that `format_box` could write. R rows (pictures times beams), T tokens so far, N vocabulary.
"""

import re
from functools import lru_cache
from typing import Self

import torch
from torch import Tensor
from transformers import LogitsProcessor, PreTrainedTokenizerBase

from lion.errors import LionError

_CHARACTERS = frozenset("[],.0123456789")
_BOX_PIECE = re.compile(r" ?(?:\[[],.0-9]*)?|[],.0-9]+")
"""A piece that boxes are made of; a blank may stand before the opening bracket only."""


class BoxOnly(LogitsProcessor):
    """Sets the score of every piece that does not continue a box to -inf; after the box only the end token is left.

    Args:
        tokenizer: the language model's.
        decimals: of each coordinate, as `LionProcessor.box_decimals`.

    Raises:
        LionError: the tokenizer cannot write a box.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, decimals: int) -> None:
        self.tokenizer, self.decimals = tokenizer, decimals
        self.end: int = tokenizer.eos_token_id
        self.pieces = _box_pieces(tokenizer)
        self._has_all_characters = set(self.pieces.values()) >= _CHARACTERS
        # Beams and pictures share prefixes, so both answers are cached.
        self._can_finish = lru_cache(maxsize=1 << 16)(self._compute_can_finish)
        self._allowed = lru_cache(maxsize=1 << 12)(self._compute_allowed)
        if not self._can_finish(""):
            raise LionError("this model's tokenizer cannot write [x1,y1,x2,y2]; use another decoding than 'boxes'")

    def __reduce__(self) -> tuple[type[Self], tuple[PreTrainedTokenizerBase, int]]:
        """Caches do not travel to other processes; there the vocabulary is read anew."""
        return type(self), (self.tokenizer, self.decimals)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Mask scores (R, N) given `input_ids` (R, T), whose first token is the decoder's start token."""
        kept = torch.full_like(scores, -torch.inf)
        for row, ids in enumerate(input_ids[:, 1:].tolist()):
            allowed = self._allowed(self._text(ids)).to(scores.device)
            kept[row, allowed] = scores[row, allowed]
        return kept

    def _text(self, ids: list[int]) -> str | None:
        """The text so far; None for a row that has ended, or a beam that is no box."""
        if any(token not in self.pieces for token in ids):
            return None
        return "".join(self.pieces[token] for token in ids)

    def _compute_allowed(self, text: str | None) -> Tensor:
        """Ids of the pieces that may follow."""
        if text is None:
            return torch.tensor([self.end])
        allowed = [token for token, piece in self.pieces.items() if self._can_finish(self._canonical(text + piece))]
        return torch.tensor(allowed or [self.end])

    def _compute_can_finish(self, text: str) -> bool:
        """Whether `text` is the prefix of a box that the tokenizer has the pieces to finish."""
        # T5's first piece of a word carries a blank, which decoding drops.
        if not is_prefix(text.removeprefix(" "), self.decimals):
            return False
        if self._has_all_characters or text.endswith("]"):
            return True
        return any(self._can_finish(self._canonical(text + piece)) for piece in self.pieces.values())

    def _canonical(self, text: str) -> str:
        """A representative of all prefixes with the same continuations, to share cache entries: once y2 is being
        written, x1 and x2 no longer matter."""
        numbers = text.split(",")
        if len(numbers) == 4 and is_prefix(text, self.decimals):
            numbers[0], numbers[2] = f"[{0:.{self.decimals}f}", f"{1:.{self.decimals}f}"
        return ",".join(numbers)


def _box_pieces(tokenizer: PreTrainedTokenizerBase) -> dict[int, str]:
    """The text that each piece adds, for the pieces that boxes are made of."""
    comma = tokenizer(",", add_special_tokens=False)["input_ids"][-1:]
    tokens = sorted(set(tokenizer.get_vocab().values()) - set(tokenizer.all_special_ids))
    before, *texts = tokenizer.batch_decode(
        [comma, *([*comma, token] for token in tokens)], clean_up_tokenization_spaces=False
    )
    added = {token: text.removeprefix(before) for token, text in zip(tokens, texts, strict=True)}
    return {token: text for token, text in added.items() if text and _BOX_PIECE.fullmatch(text)}


def is_prefix(text: str, decimals: int) -> bool:
    """Whether some box with an area, its coordinates written with so many decimals, starts with `text` or is it."""
    if not text:
        return True
    *whole, last = text.removesuffix("]").removeprefix("[").split(",")
    closed = text.endswith("]")
    if text[0] != "[" or len(whole) > 3 or (closed and len(whole) < 3):
        return False
    scale, values = 10**decimals, list[int]()
    for position, number in enumerate([*whole, last]):
        low, high = _range(number, decimals)
        # x1 and y1 leave room for x2 and y2, which are larger.
        if position < 2:
            high = min(high, scale - 1)
        else:
            low, high = max(low, values[position - 2] + 1), min(high, scale)
        ended = position < len(whole) or closed
        if low > high or (ended and len(number) != len(f"{0:.{decimals}f}")):
            return False
        values.append(low)
    return True


def _range(number: str, decimals: int) -> tuple[int, int]:
    """The lowest and highest coordinate, in units of the last decimal, that starts with `number`; (1, 0) if none."""
    whole, point, fraction = number.partition(".")
    if not number:
        return 0, 10**decimals
    if whole not in ("0", "1") or len(fraction) > decimals or (point and not decimals):
        return 1, 0
    if fraction and not (fraction.isascii() and fraction.isdigit()):
        return 1, 0
    return int(whole + fraction.ljust(decimals, "0")), int(whole + fraction.ljust(decimals, "9"))
