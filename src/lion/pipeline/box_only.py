"""Constrained decoding: generate nothing but one box, ``[x1,y1,x2,y2]`` in the unit square, with an area.

Works on characters, whatever pieces a tokenizer has: a piece is allowed if the text so far followed by the piece is a
prefix of some box that `format_box` could write. R rows (pictures times beams), T tokens so far, N vocabulary.
"""

import re
from collections.abc import Hashable, Sequence
from functools import lru_cache, reduce
from typing import Self

import torch
from torch import Tensor
from transformers import LogitsProcessor, PreTrainedTokenizerBase

from lion.engine.grammar import Grammar
from lion.errors import LionError

_CHARACTERS = frozenset("[],.0123456789")
_BOX_PIECE = re.compile(r" ?(?:\[[],.0-9]*)?|[],.0-9]+")
"""A piece that boxes are made of; a blank may stand before the opening bracket only."""


class BoxGrammar(Grammar):
    """Every box and nothing else; after it only the end token is left. A state is the text so far, None off the path.

    Args:
        tokenizer: the language model's.
        decimals: of each coordinate, as `LionProcessor.box_decimals`.

    Raises:
        LionError: the tokenizer cannot write a box.
    """

    start = ""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, decimals: int) -> None:
        super().__init__()
        self.tokenizer, self.decimals = tokenizer, decimals
        self.end: int = tokenizer.eos_token_id
        self.pieces = _box_pieces(tokenizer)
        self._has_all_characters = set(self.pieces.values()) >= _CHARACTERS
        self._joins_numbers = any("," in piece[:-1] for piece in self.pieces.values())
        self._can_finish = lru_cache(maxsize=1 << 16)(self._compute_can_finish)
        if not self._can_finish(""):
            raise LionError("this model's tokenizer cannot write [x1,y1,x2,y2]; use another decoding than 'boxes'")

    def __reduce__(self) -> tuple[type[Self], tuple[PreTrainedTokenizerBase, int]]:
        """Tables do not travel to other processes; there the vocabulary is read anew."""
        return type(self), (self.tokenizer, self.decimals)

    def next(self, state: Hashable, token: int) -> str | None:
        """See :meth:`Grammar.next`."""
        return f"{state}{self.pieces[token]}" if state is not None and token in self.pieces else None

    def key(self, state: Hashable) -> str | None:
        """A text with the same continuations, as few different ones as possible: numbers that no longer matter are
        replaced. While y1 is written that is x1, for x2 it is y1, for y2 all but y1."""
        if state is None or not is_prefix(str(state).removeprefix(" "), self.decimals):
            return None
        numbers = str(state).split(",")
        low, high = f"{0:.{self.decimals}f}", f"{1:.{self.decimals}f}"
        if len(numbers) == 4:
            numbers[0], numbers[2] = f"[{low}", high
        elif len(numbers) > 1 and not self._joins_numbers:  # else a piece may begin the next number, which they bound
            numbers[len(numbers) - 2] = ("[" if len(numbers) == 2 else "") + low
        return ",".join(numbers)

    def following(self, key: Hashable) -> Sequence[int]:
        """See :meth:`Grammar.following`."""
        if key is None:
            return [self.end]
        pieces = self.pieces.items()
        return [token for token, piece in pieces if self._can_finish(self.key(f"{key}{piece}"))] or [self.end]

    def _compute_can_finish(self, text: str | None) -> bool:
        """Whether a key is the prefix of a box that the tokenizer has the pieces to finish."""
        if text is None:
            return False
        if self._has_all_characters or text.endswith("]"):
            return True
        return any(self._can_finish(self.key(text + piece)) for piece in self.pieces.values())


class BoxOnly(LogitsProcessor):
    """The same for transformers' ``generate``: sets the score of every piece that may not follow to -inf."""

    def __init__(self, grammar: BoxGrammar) -> None:
        self.grammar = grammar

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Mask scores (R, N) given `input_ids` (R, T), whose first token is the decoder's start token."""
        start: Hashable = self.grammar.start
        states = [reduce(self.grammar.next, ids, start) for ids in input_ids[:, 1:].tolist()]
        allowed = self.grammar.allowed(states).to(scores.device)
        return torch.full_like(scores, -torch.inf).scatter(1, allowed, scores.gather(1, allowed))


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
