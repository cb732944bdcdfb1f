"""Alignment: an auxiliary loss that pulls visual tokens towards the object tokens of what they show.

A departure from the paper, which trains by the language-model loss alone; off unless a recipe gives it a weight
(`options.alignment`). lion-mini's language model is pretrained on object tokens (``object_tokens.py``), and visual
tokens should resemble them. Both kinds of visual tokens are taken as square grids over the picture. In each grid:

1. An object may use the cells that its box covers (:func:`covered_cells`), but one cell belongs to it alone
   (:func:`assign_cells`): a cell shared by two objects would be pulled towards both and describe neither.
2. The tokens of these cells are pulled towards the object token, weighted by a softmax that favours the nearest.
3. Tokens of cells that no object covers are pulled, with a smaller weight, towards the token of the background.

B batch, M objects, N grid cells, D the language model's width.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from lion.data.sample import Sample
from lion.model import LionForConditionalGeneration, LionImageFeatures, LionOutput, LionProcessor
from lion.train.mini.object_tokens import ObjectTokenizer, embed_object_tokens
from lion.world import Scene

_BACKGROUND_WEIGHT = 0.3
_SHARPNESS = 3.0
"""Of the softmax over an object's cells: the weight falls by e for each 1/3 of mean squared distance."""
_MINUS_INFINITY = -1e9
"""Finite, since the softmax of a row that is masked everywhere would be NaN."""


class AlignmentLoss:
    """An :class:`lion.train.language_modelling.AuxiliaryLoss`. Raises: LionError as :class:`ObjectTokenizer`."""

    targets = ("object_ids", "object_boxes", "background_ids")

    def __init__(self, processor: LionProcessor) -> None:
        self.tokenizer = ObjectTokenizer(processor.tokenizer, processor.box_decimals)

    def tensors(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """See :meth:`of_scenes`; of the `scene` in the samples' metas."""
        return self.of_scenes([sample.meta.get("scene") for sample in samples])

    def of_scenes(self, scenes: Sequence[Scene | None]) -> dict[str, Tensor]:
        """Ids (B, M, 7) and unit boxes (B, M, 4) of the objects, and ids (B, 1, 7) of the background.

        Ids are 0 on padding and for pictures that were not drawn, which have no scene.
        """
        objects = [scene.objects if scene else () for scene in scenes]
        ids = self.tokenizer([[((one.size, one.colour, one.category), one.box) for one in row] for row in objects])
        background = self.tokenizer([[((scene.theme,) if scene else (), None)] for scene in scenes])
        boxes = torch.zeros(*ids.shape[:2], 4)
        for row, present in enumerate(objects):
            for column, one in enumerate(present):
                boxes[row, column] = torch.tensor(one.box.xyxy())
        return dict(zip(self.targets, (ids, boxes, background), strict=True))

    def __call__(
        self, output: LionOutput | LionImageFeatures, batch: Mapping[str, Tensor], model: LionForConditionalGeneration
    ) -> Tensor:
        """The sum of all :meth:`terms`."""
        embedding = model.language_model.shared
        first, *others = (term for pair in self.terms(output, batch, embedding).values() for term in pair)
        return sum(others, first)

    def terms(
        self, output: LionOutput | LionImageFeatures, batch: Mapping[str, Tensor], embedding: nn.Embedding
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """The terms of objects and of the background, by the component that makes the tokens (`mlp`, `qformer`).

        Each is a squared distance, averaged over objects (or cells) and dimensions. `batch` holds what
        :meth:`of_scenes` made; `embedding` is the language model's.
        """
        ids_BM7, background_B17 = batch["object_ids"], batch["background_ids"]
        wanted_BMD = embed_object_tokens(ids_BM7, embedding).detach().float()
        background_B1D = embed_object_tokens(background_B17, embedding).detach().float()
        grids = {"mlp": output.aggregator_hidden_states, "qformer": output.qformer_hidden_states}
        terms = {}
        for component, tokens_BND in grids.items():
            if tokens_BND is None:
                continue
            grid_BND = (tokens_BND[:, 1:] if component == "mlp" else tokens_BND).float()  # without the CLS
            covered_BMN = covered_cells(batch["object_boxes"], grid_BND.shape[1]) & (ids_BM7[..., :1] > 0)
            distance_BMN = torch.cdist(wanted_BMD, grid_BND).square() / wanted_BMD.shape[-1]
            usable_BMN = assign_cells(covered_BMN, distance_BMN.detach())
            logits_BMN = (-_SHARPNESS * distance_BMN.detach()).masked_fill(~usable_BMN, _MINUS_INFINITY)
            objects = _masked_mean((logits_BMN.softmax(-1) * distance_BMN).sum(-1), usable_BMN.any(-1))
            free_BN = ~covered_BMN.any(1) & (background_B17[..., 0] > 0)
            background = _masked_mean((grid_BND - background_B1D).square().mean(-1), free_BN)
            terms[component] = (objects, _BACKGROUND_WEIGHT * background)
        return terms


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum() / mask.sum().clamp(min=1)


def covered_cells(boxes_BM4: Tensor, cells: int) -> Tensor:
    """Which cells of a square grid, row by row, each box covers: (B, M, N), at least one.

    Covered are cells whose centre lies in the box or at most a quarter of a cell outside it, and the cell of the box's
    centre. Raises: ValueError if that many cells form no square.
    """
    side = round(cells**0.5)
    if side * side != cells:
        raise ValueError(f"{cells} visual tokens are no square grid")
    centres = (torch.arange(side, device=boxes_BM4.device) + 0.5) / side
    x_N, y_N = centres.repeat(side), centres.repeat_interleave(side)
    left, top, right, bottom = (edge[..., None] for edge in boxes_BM4.unbind(-1))
    margin = 0.25 / side
    inside_BMN = (left - margin <= x_N) & (x_N < right + margin) & (top - margin <= y_N) & (y_N < bottom + margin)
    column, row = (((low + high) / 2 * side).long().clamp(0, side - 1) for low, high in ((left, right), (top, bottom)))
    return inside_BMN.scatter(-1, row * side + column, True)


def assign_cells(covered_BMN: Tensor, distance_BMN: Tensor) -> Tensor:
    """Which cells each object may use, (B, M, N): those it covers, except for those that belong to another object.

    In order of the number of cells that they cover, fewest first, objects take the nearest of their cells that is still
    free; one without a free cell gets none.
    """
    own_BMN, rows_B = torch.zeros_like(covered_BMN), torch.arange(len(covered_BMN), device=covered_BMN.device)
    for object_B in covered_BMN.sum(-1).argsort(stable=True).T:
        free_BN = covered_BMN[rows_B, object_B] & ~own_BMN.any(1)
        nearest_B = distance_BMN[rows_B, object_B].masked_fill(~free_BN, torch.inf).argmin(-1)
        own_BMN[rows_B, object_B, nearest_B] = free_BN[rows_B, nearest_B]
    return covered_BMN & (own_BMN | ~own_BMN.any(1, keepdim=True))
