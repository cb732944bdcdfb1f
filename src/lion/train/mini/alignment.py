"""Alignment: pulls visual tokens towards the symbols that lion-mini's language model was pretrained to read.

A departure from the paper, which trains by the language-model loss alone; off unless a recipe gives it a weight
(`options.alignment`). The released LION does not need it: its Q-Former comes pretrained, and its language model has
seen the world's text. Both kinds of visual tokens are taken as grids over the picture (the Q-Former's Q queries as
sqrt(Q) a side, the aggregator's patches as they lie). Of the tokens of the cells that a thing touches those nearest to
the thing's symbol (``symbols.py``) are pulled towards it, the nearest most: which patch of a thing says what it is, the
frozen Vision Encoder has settled long before. One of them the thing has to itself: where two things share a cell, its
token would else be pulled towards both and say neither. Tokens of cells that nothing touches are pulled, less, towards
the filler that scenes are told with; all others are free.

B batch, M things, N visual tokens of a kind (Q queries, or P patches + CLS), D the language model's width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lion.model import LionForConditionalGeneration, LionProcessor
from lion.train.mini.object_tokens import Symbols, embed_symbols
from lion.world import Scene

_SPECIAL = {"qformer": 0, "mlp": 1}
"""Components whose output are visual tokens, and how many tokens before the grid (the aggregator's CLS)."""

THING_TENSORS = ("thing_ids", "thing_boxes", "scenery_ids")
"""What :meth:`Alignment.targets` adds to a batch."""

_SCENERY = 0.3
"""Weight of tokens that nothing is under."""
_NEVER = -1e9
"""Instead of minus infinity, whose softmax over nothing but itself is no number."""
_SHARPNESS = 3.0
"""How fast the pull on a thing's tokens falls with their mean squared distance from its symbol: by e for each 1/3."""


class Alignment:
    """What the things in pictures are, and how far visual tokens are from saying so.

    Raises:
        LionError: the tokenizer spells coordinates in several pieces, as FLAN-T5's does.
    """

    def __init__(self, processor: LionProcessor) -> None:
        self.symbols = Symbols(processor.tokenizer, processor.box_decimals)

    def targets(self, scenes: Sequence[Scene | None]) -> dict[str, Tensor]:
        """Symbols' ids (B, M, 7) and boxes (B, M, 4) of all things, the ids (B, 1, 7) of the filler; ids are 0 where
        there is nothing, and for pictures that are not drawn ones (None)."""
        things = [scene.objects if scene else () for scene in scenes]
        ids = self.symbols.ids([[((t.size, t.colour, t.category), t.box) for t in row] for row in things])
        scenery = self.symbols.ids([[((scene.theme,) if scene else (), None)] for scene in scenes])
        boxes = torch.zeros(*ids.shape[:2], 4)
        for index, row in enumerate(things):
            for place, thing in enumerate(row):
                boxes[index, place] = torch.tensor(thing.box.xyxy())
        return dict(zip(THING_TENSORS, (ids, boxes, scenery), strict=True))

    def loss(self, tokens: Mapping[str, Tensor], targets: Mapping[str, Tensor], embedding: nn.Embedding) -> Tensor:
        """Mean squared distance, over things (or cells) and dimensions, summed over the kinds of visual tokens."""
        ids_BM7, scenery_B17 = targets["thing_ids"], targets["scenery_ids"]
        there_BM, drawn_B1 = ids_BM7[..., 0] > 0, scenery_B17[..., 0] > 0
        wanted_BMD = embed_symbols(ids_BM7, embedding).detach().float()
        scenery_B1D = embed_symbols(scenery_B17, embedding).detach().float()
        total = wanted_BMD.new_zeros(())
        for component, tokens_BND in tokens.items():
            grid_BND = tokens_BND[:, _SPECIAL[component] :].float()
            touched_BMN = touched(targets["thing_boxes"], grid_BND.shape[1]) & there_BM[..., None]
            distance_BMN = torch.cdist(wanted_BMD, grid_BND).square() / wanted_BMD.shape[-1]
            open_BMN = open_to(touched_BMN, distance_BMN.detach())
            share_BMN = (-_SHARPNESS * distance_BMN.detach()).masked_fill(~open_BMN, _NEVER).softmax(-1)
            total = total + _mean((share_BMN * distance_BMN).sum(-1), open_BMN.any(-1))
            bare_BN = ~touched_BMN.any(1) & drawn_B1
            total = total + _SCENERY * _mean((grid_BND - scenery_B1D).square().mean(-1), bare_BN)
        return total


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    return (values * counted).sum() / counted.sum().clamp(min=1)


def touched(boxes_BM4: Tensor, tokens: int) -> Tensor:
    """Which cells of a square grid of so many tokens, row by row, each box touches, (B, M, N): at least one.

    Touched are cells whose middle lies in the box, or no more than a quarter of a cell beside it, and the one that
    holds the box's own middle.

    Raises:
        ValueError: that many tokens make no square.
    """
    side = round(tokens**0.5)
    if side * side != tokens:
        raise ValueError(f"{tokens} visual tokens are no square grid")
    middles = (torch.arange(side, device=boxes_BM4.device) + 0.5) / side
    x_N, y_N = middles.repeat(side), middles.repeat_interleave(side)
    left, top, right, bottom = (edge[..., None] for edge in boxes_BM4.unbind(-1))
    reach = 0.25 / side
    inside_BMN = (left - reach <= x_N) & (x_N < right + reach) & (top - reach <= y_N) & (y_N < bottom + reach)
    column, row = (((low + high) / 2 * side).long().clamp(0, side - 1) for low, high in ((left, right), (top, bottom)))
    return inside_BMN.scatter(-1, row * side + column, True)


def open_to(touched_BMN: Tensor, distance_BMN: Tensor) -> Tensor:
    """Which cells each thing may speak through: those that it touches, but for what another has to itself.

    One after the other, those that touch fewest cells first, things take of the cells that are left the one whose token
    is nearest to them. A thing that finds none left has no say this time.
    """
    own_BMN, rows_B = torch.zeros_like(touched_BMN), torch.arange(len(touched_BMN), device=touched_BMN.device)
    for thing_B in touched_BMN.sum(-1).argsort(stable=True).T:
        left_BN = touched_BMN[rows_B, thing_B] & ~own_BMN.any(1)
        nearest_B = distance_BMN[rows_B, thing_B].masked_fill(~left_BN, torch.inf).argmin(-1)
        own_BMN[rows_B, thing_B, nearest_B] = left_BN[rows_B, nearest_B]
    return touched_BMN & (own_BMN | ~own_BMN.any(1, keepdim=True))


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
