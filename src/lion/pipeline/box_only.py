"""Decoding that can write nothing but a box: ``[x1,y1,x2,y2]`` in the unit square, with an area, as `format_box` does.

Works letter by letter, whatever pieces a tokenizer has: a piece is admitted if the text so far with the piece behind it
is still the beginning of a box. R rows (pictures times beams), T tokens written so far, N vocabulary.
"""

from __future__ import annotations

import re
from functools import lru_cache

import torch
from torch import Tensor
from transformers import LogitsProcessor, PreTrainedTokenizerBase

from lion.errors import LionError

_LETTERS = frozenset("[],.0123456789")
_BOX_LETTERS = re.compile(r" ?(?:\[[],.0-9]*)?|[],.0-9]+")
"""A piece of a box; a blank stands before its bracket at most."""


class BoxOnly(LogitsProcessor):
    """Silences every piece of the vocabulary that would not lead to a box; behind the box only the end is left.

    Args:
        tokenizer: the one that reads the model's answers.
        decimals: of each coordinate, as `LionProcessor.box_decimals`.

    Raises:
        LionError: the tokenizer cannot write a box.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, decimals: int) -> None:
        self.tokenizer, self.decimals = tokenizer, decimals
        self.end: int = tokenizer.eos_token_id
        self.pieces = _pieces(tokenizer)
        self._spells_all = set(self.pieces.values()) >= _LETTERS
        # What may follow a text is asked for anew by every beam and picture that begins alike.
        self._leads_to_box = lru_cache(maxsize=1 << 16)(self._find_box)
        self._admitted = lru_cache(maxsize=1 << 12)(self._find_admitted)
        if not self._leads_to_box(""):
            raise LionError("this model's tokenizer cannot write [x1,y1,x2,y2]; use another decoding than 'boxes'")

    def __reduce__(self) -> tuple[type[BoxOnly], tuple[PreTrainedTokenizerBase, int]]:
        """Caches do not travel to other processes; there the vocabulary is read anew."""
        return BoxOnly, (self.tokenizer, self.decimals)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores (R, N) with -inf for what may not follow `input_ids` (R, T), the decoder's start token first."""
        kept = torch.full_like(scores, -torch.inf)
        for row, ids in enumerate(input_ids[:, 1:].tolist()):
            admitted = self._admitted(self._text(ids)).to(scores.device)
            kept[row, admitted] = scores[row, admitted]
        return kept

    def _text(self, ids: list[int]) -> str | None:
        """What is written so far; None for a row that has ended, or a beam that never was a box."""
        if any(number not in self.pieces for number in ids):
            return None
        return "".join(self.pieces[number] for number in ids)

    def _find_admitted(self, text: str | None) -> Tensor:
        longer = {} if text is None else {number: text + piece for number, piece in self.pieces.items()}
        leading = [number for number, one in longer.items() if self._leads_to_box(self._essence(one))]
        return torch.tensor(leading or [self.end])

    def _find_box(self, text: str) -> bool:
        """Whether `text` begins a box that the tokenizer has the pieces to end."""
        # One blank may come first: T5's pieces begin with the one before a word, and decoding drops it.
        if not is_beginning(text.removeprefix(" "), self.decimals):
            return False
        if self._spells_all or text.endswith("]"):
            return True
        return any(self._leads_to_box(self._essence(text + piece)) for piece in self.pieces.values())

    def _essence(self, text: str) -> str:
        """A text that goes on as `text` does, the same for many: once x2 is written, x1 and x2 no longer matter."""
        numbers = text.split(",")
        if len(numbers) == 4 and is_beginning(text, self.decimals):
            numbers[0], numbers[2] = f"[{0:.{self.decimals}f}", f"{1:.{self.decimals}f}"
        return ",".join(numbers)


def _pieces(tokenizer: PreTrainedTokenizerBase) -> dict[int, str]:
    """What a piece adds to a text, for each piece of the vocabulary that boxes are made of."""
    comma = tokenizer(",", add_special_tokens=False)["input_ids"][-1:]
    numbers = sorted(set(tokenizer.get_vocab().values()) - set(tokenizer.all_special_ids))
    before, *texts = tokenizer.batch_decode(
        [comma, *([*comma, number] for number in numbers)], clean_up_tokenization_spaces=False
    )
    added = {number: text.removeprefix(before) for number, text in zip(numbers, texts, strict=True)}
    return {number: text for number, text in added.items() if text and _BOX_LETTERS.fullmatch(text)}


def is_beginning(text: str, decimals: int) -> bool:
    """Whether some box with an area, written with so many decimals, begins with `text` or is it."""
    if not text:
        return True
    *whole, last = text.removesuffix("]").removeprefix("[").split(",")
    closed = text.endswith("]")
    if text[0] != "[" or len(whole) > 3 or (closed and len(whole) < 3):
        return False
    scale, values = 10**decimals, list[int]()
    for place, number in enumerate([*whole, last]):
        low, high = _span(number, decimals)
        # x1 and y1 leave room for x2 and y2, which lie beyond them.
        low, high = (low, min(high, scale - 1)) if place < 2 else (max(low, values[place - 2] + 1), min(high, scale))
        ended = place < len(whole) or closed
        if low > high or (ended and len(number) != len(f"{0:.{decimals}f}")):
            return False
        values.append(low)
    return True


def _span(number: str, decimals: int) -> tuple[int, int]:
    """The lowest and highest coordinate, in units of the last decimal, that begins with `number`; (1, 0) if none."""
    whole, point, fraction = number.partition(".")
    if not number:
        return 0, 10**decimals
    if whole not in ("0", "1") or len(fraction) > decimals or (point and not decimals):
        return 1, 0
    if fraction and not (fraction.isascii() and fraction.isdigit()):
        return 1, 0
    return int(whole + fraction.ljust(decimals, "0")), int(whole + fraction.ljust(decimals, "9"))
