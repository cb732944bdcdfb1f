"""The frozen Vision Encoder: a ViT that returns the un-normalised outputs of chosen blocks ("taps").

B batch, P patches + CLS, V vision width, S image side in pixels.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from transformers import InstructBlipVisionConfig, InstructBlipVisionModel

from lion.nn.stem import ConvolutionalStem


class LayerNorm(nn.LayerNorm):
    """torch's, computed in the type of its weights (float32 as loaded) and handed on in the type of its input.

    Source: released ``ln_vision`` and ``ln_adapter``, which compute in float32 whatever surrounds them.
    """

    def forward(self, hidden: Tensor) -> Tensor:
        return super().forward(hidden.to(self.weight.dtype)).to(hidden.dtype)


Cached = Callable[[Callable[[Tensor], tuple[Tensor, ...]], Tensor], tuple[Tensor, ...]]
"""Finds the taps of pixels, or calls what computes them."""


class VisionEncoder(nn.Module):
    """ViT that returns the outputs of chosen blocks.

    Args:
        config: shape of the ViT; EVA ViT-g/14 with 39 blocks in the paper.
        taps: block numbers, counted from 1 (the released code counts from 0: 38, 28, 18).
        patch_stem: ``linear`` or ``convolutional``.

    Attributes:
        cached: called first, where training has set it (lion.train.tap_cache).

    Source: paper section 3.1; released ``eva_vit``: pre-LayerNorm blocks, no final norm on what is handed out.
    """

    def __init__(self, config: InstructBlipVisionConfig, taps: Sequence[int], patch_stem: str = "linear") -> None:
        super().__init__()
        self.taps = tuple(taps)
        self.cached: Cached | None = None
        self.vit = InstructBlipVisionModel(config)
        # LION reads block outputs before any final norm, so the ViT's own is not part of the model.
        self.vit.post_layernorm = nn.Identity()
        if patch_stem == "convolutional":
            self.vit.embeddings.patch_embedding = ConvolutionalStem(config.patch_size, config.hidden_size)
        elif patch_stem != "linear":
            raise ValueError(f"patch_stem={patch_stem!r} is neither 'linear' nor 'convolutional'")

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, S, S) normalised pixels to one (B, P, V) map per tap, in the order of ``taps``.

        Raises: ValueError unless pictures are S x S (positions are not interpolated: the paper works at one size).
        """
        side = self.vit.config.image_size
        if tuple(pixel_values.shape[1:]) != (3, side, side):
            raise ValueError(f"pixel_values must be (B, 3, {side}, {side}), got {tuple(pixel_values.shape)}")
        return self.cached(self._computed, pixel_values) if self.cached else self._computed(pixel_values)

    def _computed(self, pixel_values: Tensor) -> tuple[Tensor, ...]:
        hidden_BPV = self.vit.embeddings(pixel_values)
        kept: dict[int, Tensor] = {}
        for number, block in enumerate(self.vit.encoder.layers, start=1):
            hidden_BPV = block(hidden_BPV)
            if number in self.taps:
                kept[number] = hidden_BPV
            if number == max(self.taps):
                break
        return tuple(kept[tap] for tap in self.taps)


def sincos_positions(patches_per_side: int, width: int, cells_per_side: int | None = None) -> Tensor:
    """Fixed 2-D position code of unit variance for a grid of cells over the picture, row by row, (cells, V).

    A start value for a small ViT's learnt positions: from random ones lion-mini did not learn to locate
    (``docs/log.md``). Half of the channels code the row, half the column, in units of a patch.

    Args:
        patches_per_side: of the picture.
        width: V, a multiple of 4.
        cells_per_side: of the grid, by default one cell a patch; coded are the middles of the cells.
    """
    quarter, side = width // 4, cells_per_side or patches_per_side
    frequencies = 1.0 / (100.0 ** (torch.arange(quarter) / quarter))
    middles = (torch.arange(side) + 0.5) * (patches_per_side / side) - 0.5
    angles = middles[:, None] * frequencies[None, :]
    axis = torch.cat([angles.sin(), angles.cos()], dim=1) * 2**0.5
    rows = axis[:, None, :].expand(-1, side, -1)
    columns = axis[None, :, :].expand(side, -1, -1)
    return torch.cat([rows, columns], dim=-1).reshape(-1, width)
