"""The RAM tagger's network as inference runs it: a few large operations over weights that are read once.

Patch tokens lie in the order of the windows that attend to themselves, and change it once a block: shift, partition and
what the block before did are one index. B batch, G patches of a stage, K windows of L patches, C width of a stage,
E label width, N tags, W head width.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional
from transformers.models.swin.modeling_swin import SwinLayer, SwinStage

from lion.nn.inference import Affine, FeedForward, Read, attend, is_plain, norm_of, patches_of
from lion.tagging.modeling_ram import RamModel, TagLayer

Logits = Callable[[Tensor], Tensor]
"""Normalised pixels (B, 3, S, S), float32 on the CPU, to logits (B, N)."""


def logits_of(model: RamModel) -> Read[Logits]:
    """The network's logits, by weights as they are then; call what the call returns."""
    return Read([model], partial(_logits, model))


@torch.no_grad()
def _logits(model: RamModel) -> Logits:
    config = model.config.vision_config
    grids = [config.image_size // config.patch_size // 2**stage for stage in range(len(config.depths))]
    fits = all(grid % config.window_size == 0 for grid in grids) and grids[0] % 2 ** (len(grids) - 1) == 0
    if not fits or config.use_absolute_embeddings or not is_plain(model):
        return lambda pixels: model(pixels.to(model.device, model.dtype)).logits
    swin, head = _Swin(model, grids), _Head(model)
    return lambda pixels: head(swin(pixels))


class _Swin:
    """Pixels to what the tag head reads, their mean in front, (B, 1 + G, C) of the last stage; patches in any order."""

    def __init__(self, model: RamModel, grids: list[int]) -> None:
        embeddings = model.swin.embeddings
        self.patches, self.norm = patches_of(embeddings.patch_embeddings.projection), norm_of(embeddings.norm)
        self.stages = [_Stage(stage, grid) for stage, grid in zip(model.swin.encoder.layers, grids, strict=True)]
        self.last_norm = norm_of(model.swin.layernorm)

    def __call__(self, pixels: Tensor) -> Tensor:
        stream_BGC = self.norm(self.patches(pixels).flatten(2).transpose(1, 2))
        for stage in self.stages:
            stream_BGC = stage(stream_BGC)
        stream_BGC = self.last_norm(stream_BGC)
        return torch.cat([stream_BGC.mean(1, keepdim=True), stream_BGC], dim=1)


class _Stage:
    """Blocks of windows, then the merging of 2 x 2 patches but for the last stage: (B, G, C) in reading order to
    (B, G / 4, 2 C) in reading order, or (B, G, C) in that of the last block."""

    def __init__(self, stage: SwinStage, grid: int) -> None:
        number_GG = torch.arange(grid * grid).view(grid, grid)
        now = torch.arange(grid * grid)
        self.blocks = []
        for block in stage.blocks:
            window = block.attention.relative_position_bias.window_size[0]
            shift = 0 if window == grid else block.shift_size
            rolled = number_GG.roll((-shift, -shift), (0, 1))
            order = rolled.view(grid // window, window, -1, window).transpose(1, 2).flatten()
            mask = None
            if shift:
                mask = block.get_attn_mask(grid, grid, torch.float32, now.device)
            self.blocks.append((now.argsort()[order], _Block(block, window, mask)))
            now = order
        self.merge: tuple[Tensor, Callable[[Tensor], Tensor], Tensor] | None = None
        if stage.downsample is not None:
            fours = number_GG.view(grid // 2, 2, grid // 2, 2).permute(0, 2, 3, 1).flatten()
            weight_io = stage.downsample.reduction.weight.detach().t().contiguous()
            self.merge = now.argsort()[fours], norm_of(stage.downsample.norm), weight_io

    def __call__(self, stream_BGC: Tensor) -> Tensor:
        batch, patches, width = stream_BGC.shape
        for order, block in self.blocks:
            stream_BGC = block(stream_BGC.index_select(1, order).view(-1, width), batch).view(batch, patches, width)
        if self.merge is None:
            return stream_BGC
        order, norm, weight_io = self.merge
        fours = norm(stream_BGC.index_select(1, order).view(-1, 4 * width))
        return torch.mm(fours, weight_io).view(batch, patches // 4, 2 * width)


class _Block:
    """Attention inside windows with position bias, and of shifted windows a mask; feed-forward; norms before both."""

    def __init__(self, block: SwinLayer, window: int, mask_KLL: Tensor | None) -> None:
        attention = block.attention
        self.norm, self.second_norm = norm_of(block.layernorm_before), norm_of(block.layernorm_after)
        self.inputs = Affine(attention.q_proj, attention.k_proj, attention.v_proj)
        self.output, self.scale, self.heads = Affine(attention.o_proj), attention.scaling, attention.num_attention_heads
        self.patches = window**2
        bias_1HLL = attention.relative_position_bias().detach()
        self.bias_KHLL = bias_1HLL if mask_KLL is None else bias_1HLL + mask_KLL[:, None]
        self.feed_forward = FeedForward(block.mlp.fc1, block.mlp.activation_fn, block.mlp.fc2)

    def __call__(self, rows: Tensor, batch: int) -> Tensor:
        """(R, C), windows one after the other, to the same."""
        width = rows.shape[1]
        joined = self.inputs(self.norm(rows)).view(batch, -1, self.patches, 3, self.heads, width // self.heads)
        query, key, value = joined.permute(3, 0, 1, 4, 2, 5)
        scores = torch.matmul(query * self.scale, key.transpose(-1, -2)).add_(self.bias_KHLL)
        attended = torch.matmul(scores.softmax(-1), value).transpose(2, 3).reshape(-1, width)
        rows = self.output.added_to(rows, attended)
        return self.feed_forward.added_to(rows, self.second_norm(rows))


class _Head:
    """Image tokens (B, 1 + G, C) to logits (B, N)."""

    def __init__(self, model: RamModel) -> None:
        self.image = Affine(model.image_proj)
        self.labels_NW = functional.relu(model.wordvec_proj(model.label_embed)).detach()
        self.layers = [_TagLayer(layer) for layer in model.layers if isinstance(layer, TagLayer)]
        self.output = Affine(model.fc)

    def __call__(self, tokens_BGC: Tensor) -> Tensor:
        batch = len(tokens_BGC)
        image = self.image(tokens_BGC.flatten(0, 1))
        rows = self.labels_NW.repeat(batch, 1)
        for layer in self.layers:
            rows = layer(rows, image, batch)
        return self.output(rows).view(batch, -1)


class _TagLayer:
    """Cross-attention to the image tokens, feed-forward, a norm after each."""

    def __init__(self, layer: TagLayer) -> None:
        cross, dense = layer.cross_attention, layer.feed_forward
        self.heads, self.query, self.keys_values = cross.heads, Affine(cross.query), Affine(cross.key, cross.value)
        self.output, self.norm, self.second_norm = Affine(cross.output), norm_of(cross.norm), norm_of(dense.norm)
        self.feed_forward = FeedForward(dense.input, dense.activation, dense.output)

    def __call__(self, rows: Tensor, image: Tensor, batch: int) -> Tensor:
        """Labels (B * N, W) and image tokens (B * (1 + G), E) to labels."""
        width = rows.shape[1]
        key, value = self.keys_values(image).view(batch, -1, 2 * width).chunk(2, dim=-1)
        attended = attend(self.query(rows).view(batch, -1, width), key, value, self.heads)
        rows = self.norm(self.output.added_to(rows, attended))
        return self.second_norm(self.feed_forward.added_to(rows, rows))
