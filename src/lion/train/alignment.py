"""Alignment: pulls visual tokens towards the symbols that lion-mini's language model was pretrained to read.

A departure from the paper, which trains by the language-model loss alone; off unless a recipe gives it a weight
(`options.alignment`). The released LION does not need it: its Q-Former comes pretrained, and its language model has
seen the world's text. Both kinds of visual tokens are taken as grids over the picture (the Q-Former's Q queries as
sqrt(Q) a side, the aggregator's patches as they lie), and the token of the cell that holds a thing's centre is pulled
towards the thing's symbol (``symbols.py``); all others are free.

B batch, M things, Q queries, P patches + CLS, D the language model's width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from lion.data.sample import Sample
from lion.model import LionForConditionalGeneration, LionProcessor
from lion.train.symbols import Symbols, embed_symbols

_SPECIAL = {"qformer": 0, "mlp": 1}
"""Components whose output are visual tokens, and how many tokens before the grid (the aggregator's CLS)."""

THING_TENSORS = ("thing_ids", "thing_centres")
"""What :meth:`Alignment.targets` adds to a batch."""


class Alignment:
    """What the things in pictures are, and how far visual tokens are from saying so.

    Raises:
        LionError: the tokenizer spells coordinates in several pieces, as FLAN-T5's does.
    """

    def __init__(self, processor: LionProcessor) -> None:
        self.symbols = Symbols(processor.tokenizer, processor.box_decimals)

    def targets(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """Symbols' ids (B, M, 7) and centres (B, M, 2) of all things; none for pictures that are not drawn ones."""
        things = [sample.meta["scene"].objects if "scene" in sample.meta else () for sample in samples]
        ids = self.symbols.ids([[((t.size, t.colour, t.category), t.box) for t in row] for row in things])
        centres = torch.zeros(*ids.shape[:2], 2)
        for index, row in enumerate(things):
            for place, thing in enumerate(row):
                centres[index, place] = torch.tensor(thing.box.center)
        return dict(zip(THING_TENSORS, (ids, centres), strict=True))

    def loss(self, tokens: Mapping[str, Tensor], targets: Mapping[str, Tensor], embedding: nn.Embedding) -> Tensor:
        """Mean squared distance, over things and dimensions, summed over the kinds of visual tokens."""
        ids_BM7, there_BM = targets["thing_ids"], (targets["thing_ids"][..., 0] > 0).float()
        wanted_BMD = embed_symbols(ids_BM7, embedding).detach().float()
        total = wanted_BMD.new_zeros(())
        for component, tokens_BND in tokens.items():
            special = _SPECIAL[component]
            cells_BM = special + cells(targets["thing_centres"], tokens_BND.shape[1] - special)
            found_BMD = tokens_BND.gather(1, cells_BM[..., None].expand_as(wanted_BMD)).float()
            distance_BM = functional.mse_loss(found_BMD, wanted_BMD, reduction="none").mean(-1)
            total = total + (distance_BM * there_BM).sum() / there_BM.sum().clamp(min=1)
        return total


def cells(centres_BM2: Tensor, tokens: int) -> Tensor:
    """Index, (B, M), of the token whose cell holds a centre, in a square grid of so many tokens, row by row.

    Raises:
        ValueError: that many tokens make no square.
    """
    side = round(tokens**0.5)
    if side * side != tokens:
        raise ValueError(f"{tokens} visual tokens are no square grid")
    column_BM, row_BM = (centres_BM2 * side).long().clamp(0, side - 1).unbind(-1)
    return row_BM * side + column_BM


@contextmanager
def visual_tokens(model: LionForConditionalGeneration) -> Iterator[dict[str, Tensor]]:
    """What the components of the model put out while it runs, by component: seen from outside, no second pass."""
    seen: dict[str, Tensor] = {}

    def keep(component: str) -> RemovableHandle:
        return model.get_submodule(component).register_forward_hook(
            lambda _module, _inputs, output: seen.__setitem__(component, output)
        )

    hooks = [keep(component) for component in _SPECIAL]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
