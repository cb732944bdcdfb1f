"""The look stage: pixels to visual features, and these with an instruction to the Q-Former's visual tokens.

Both are made of the model's modules, by :class:`~lion.nn.inference.Read`, so that they follow changes of the weights,
and fall back to the modules where these are large, not plain float32 or not on the CPU.

B pictures, P patches + CLS, Q queries, T instruction tokens, V vision width, W Q-Former width, D model width.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers.models.instructblip.modeling_instructblip import InstructBlipQFormerLayer

from lion.model import LionForConditionalGeneration, VisualFeatures
from lion.model.qformer import QFormer
from lion.model.vision_aggregator import MLP, Attention, VisionAggregator, VisionAggregatorBlock
from lion.model.vision_encoder import VisionEncoder
from lion.nn.inference import Affine, FeedForward, Read, attend, is_plain, norm_of, patches_of

Seeing = Callable[[Tensor], VisualFeatures]
"""As :meth:`~lion.model.LionForConditionalGeneration.look`, for pixels in float32 on the CPU."""
Queries = Callable[[Tensor, Tensor, Tensor], Tensor]
"""As :meth:`~lion.model.qformer.QFormer.forward`."""


def seeing_of(model: LionForConditionalGeneration) -> Read[Seeing]:
    """The model's ``look``; call what the call returns."""
    parts = [model.vision_encoder, model.vision_aggregator, model.mlp]
    return Read(parts, partial(_seeing, model))


def queries_of(model: LionForConditionalGeneration) -> Read[Queries]:
    """The model's Q-Former; call what the call returns."""
    return Read([model.qformer], partial(_queries, model.qformer))


@torch.no_grad()
def _seeing(model: LionForConditionalGeneration) -> Seeing:
    if not is_plain(model.vision_encoder, model.vision_aggregator, model.mlp):
        return lambda pixels: model.look(pixels.to(model.device, model.dtype))
    encoder = _VisionEncoder(model.vision_encoder)
    if model.config.visual_inputs == "qformer":
        return lambda pixels: VisualFeatures(encoder(pixels)[0], None)
    aggregator = _Aggregator(model.vision_aggregator, model.mlp)

    def look(pixels: Tensor) -> VisualFeatures:
        taps_BPV = encoder(pixels)
        return VisualFeatures(taps_BPV[0], aggregator(taps_BPV))

    return look


@torch.no_grad()
def _queries(module: QFormer) -> Queries:
    return _QFormer(module) if is_plain(module) else module


@torch.no_grad()
def embed(
    model: LionForConditionalGeneration, queries: Read[Queries], vision: VisualFeatures, inputs: Mapping[str, Tensor]
) -> list[Tensor]:
    """The language model's input for each prompt of a right-padded batch, (N, D) of its own length N; equal to
    :meth:`~lion.model.LionForConditionalGeneration.embed`, whose other inputs are named as here."""
    ids_BT = inputs["input_ids"]
    text_BTD = model.tag_soft_prompt(model.language_model.shared(ids_BT), ids_BT)
    parts = [] if vision.aggregated_BPD is None else [vision.aggregated_BPD]
    if model.config.visual_inputs != "aggregator":
        parts.insert(0, queries()(vision.last_BPV, inputs["qformer_input_ids"], inputs["qformer_attention_mask"]))
    joined_BND = torch.cat([*(part.to(text_BTD) for part in parts), text_BTD], dim=1)
    visual = joined_BND.shape[1] - ids_BT.shape[1]
    lengths = inputs["attention_mask"].sum(1).tolist()
    return [row[: visual + length] for row, length in zip(joined_BND, lengths, strict=True)]


class _VisionEncoder:
    """Pixels (B, 3, S, S) to taps (B, P, V)."""

    def __init__(self, module: VisionEncoder) -> None:
        vit = module.vit
        self.taps, self.heads = module.taps, vit.config.num_attention_heads
        self.patches = patches_of(vit.embeddings.patch_embedding)
        positions = vit.embeddings.position_embedding.detach()
        self.positions_1PV = torch.cat([positions[:, :1] + vit.embeddings.class_embedding, positions[:, 1:]], dim=1)
        self.blocks = [
            (
                norm_of(block.layer_norm1),
                Affine(block.self_attn.qkv),
                Affine(block.self_attn.projection),
                norm_of(block.layer_norm2),
                FeedForward(block.mlp.fc1, block.mlp.activation_fn, block.mlp.fc2),
            )
            for block in vit.encoder.layers[: max(module.taps)]
        ]

    def __call__(self, pixels: Tensor) -> tuple[Tensor, ...]:
        patches_BPV = self.patches(pixels).flatten(2).transpose(1, 2)
        batch = len(pixels)
        stream_BPV = pad(patches_BPV, (0, 0, 1, 0)) + self.positions_1PV
        length, width = stream_BPV.shape[1:]
        rows, kept = stream_BPV.view(-1, width), {}
        for number, (norm, inputs, output, second_norm, feed_forward) in enumerate(self.blocks, start=1):
            query, key, value = inputs(norm(rows)).view(batch, length, -1).chunk(3, dim=-1)
            rows = output.added_to(rows, attend(query, key, value, self.heads))
            rows = feed_forward.added_to(rows, second_norm(rows))
            if number in self.taps:
                kept[number] = rows.view(batch, length, width)
        return tuple(kept[tap] for tap in self.taps)


class _Attention:
    """``norm(stream + out(attend(stream, source)))``."""

    def __init__(self, module: Attention, own: bool) -> None:
        self.heads = module.heads
        self.query = Affine(module.query, module.key, module.value) if own else Affine(module.query)
        self.keys_values = None if own else Affine(module.key, module.value)
        self.output, self.norm = Affine(module.output), norm_of(module.norm)

    def __call__(self, rows: Tensor, source: Tensor, batch: int) -> Tensor:
        """(R, V) and (R, V), of B pictures, to (R, V)."""
        query = self.query(rows).view(batch, -1, len(self.query.bias_o))
        if self.keys_values is None:
            query, key, value = query.chunk(3, dim=-1)
        else:
            key, value = self.keys_values(source).view(batch, -1, 2 * rows.shape[1]).chunk(2, dim=-1)
        return self.norm(self.output.added_to(rows, attend(query, key, value, self.heads)))


class _Aggregator:
    """Vision Aggregator and MLP: taps (B, P, V) to (B, P, D)."""

    def __init__(self, module: VisionAggregator, mlp: MLP) -> None:
        self.blocks = []
        for block in module.blocks:
            assert isinstance(block, VisionAggregatorBlock)
            dense = block.feed_forward
            feed_forward = FeedForward(dense.input, dense.activation, dense.output)
            attentions = _Attention(block.self_attention, True), _Attention(block.cross_attention, False)
            self.blocks.append((*attentions, feed_forward, norm_of(dense.norm)))
        self.norm, self.activation = norm_of(module.norm), mlp.activation
        self.inner, self.outer = Affine(mlp.input), Affine(mlp.output)

    def __call__(self, taps_BPV: tuple[Tensor, ...]) -> Tensor:
        batch, length = taps_BPV[0].shape[:2]
        rows, *sources = (tap.flatten(0, 1) for tap in taps_BPV)
        for (own, cross, feed_forward, norm), source in zip(self.blocks, sources, strict=True):
            rows = cross(own(rows, rows, batch), source, batch)
            rows = norm(feed_forward.added_to(rows, rows))
        return self.outer(self.activation(self.inner(self.norm(rows)))).view(batch, length, -1)


class _QFormerLayer:
    """One layer: self-attention of queries and text, cross-attention of the queries, a feed-forward for each."""

    def __init__(self, module: InstructBlipQFormerLayer, heads: int) -> None:
        own = module.attention
        self.heads, self.width = heads, own.attention.query.in_features
        self.inputs = Affine(own.attention.query, own.attention.key, own.attention.value)
        self.output, self.norm = Affine(own.output.dense), norm_of(own.output.LayerNorm)
        self.crosses = module.has_cross_attention
        if self.crosses:
            cross = module.crossattention
            self.cross_query, self.cross_output = Affine(cross.attention.query), Affine(cross.output.dense)
            self.cross_norm = norm_of(cross.output.LayerNorm)
        pairs = (module.intermediate_query, module.output_query), (module.intermediate, module.output)
        self.query_part, self.text_part = (
            (FeedForward(inner.dense, inner.intermediate_act_fn, outer.dense), norm_of(outer.LayerNorm))
            for inner, outer in pairs
        )

    def __call__(
        self, stream_BNW: Tensor, queries: int, mask: Tensor | None, sources: Iterator[Tensor], last: bool
    ) -> Tensor:
        """(B, N, W) to the same, or if it is the last layer to queries alone; takes its keys and values (B, P, W)."""
        batch, width = len(stream_BNW), self.width
        query, key, value = self.inputs(stream_BNW.flatten(0, 1)).view(batch, -1, 3 * width).chunk(3, dim=-1)
        if last:
            query, stream_BNW = query[:, :queries], stream_BNW[:, :queries]
        rows = self.output.added_to(stream_BNW.flatten(0, 1), attend(query, key, value, self.heads, mask))
        stream_BNW = self.norm(rows).view(batch, -1, width)
        rows = stream_BNW[:, :queries].reshape(-1, width)
        if self.crosses:
            query = self.cross_query(rows).view(batch, queries, width)
            attended = attend(query, next(sources), next(sources), self.heads)
            rows = self.cross_norm(self.cross_output.added_to(rows, attended))
        feed_forward, norm = self.query_part
        out_BQW = norm(feed_forward.added_to(rows, rows)).view(batch, queries, width)
        if last:
            return out_BQW
        rows = stream_BNW[:, queries:].reshape(-1, width)
        feed_forward, norm = self.text_part
        return torch.cat([out_BQW, norm(feed_forward.added_to(rows, rows)).view(batch, -1, width)], dim=1)


class _QFormer:
    """Features (B, P, V), instruction ids (B, T) and their mask to (B, Q, D). In the last layer only queries go on."""

    def __init__(self, module: QFormer) -> None:
        bert = module.bert
        embeddings, layers = bert.embeddings, bert.encoder.layer
        self.heads, self.width = bert.config.num_attention_heads, bert.config.hidden_size
        self.vision_norm, self.projection = norm_of(module.vision_norm), Affine(module.projection)
        self.norm = norm_of(embeddings.layernorm)
        self.queries_QW = self.norm(module.queries.detach())[0]
        self.words, self.positions = (
            table.weight.detach() for table in (embeddings.word_embeddings, embeddings.position_embeddings)
        )
        self.layers = [_QFormerLayer(layer, self.heads) for layer in layers]
        crossing = [one.attention for layer in layers if layer.has_cross_attention for one in [layer.crossattention]]
        self.keys_values = Affine(*(part for one in crossing for part in (one.key, one.value)))

    def __call__(self, last_BPV: Tensor, instruction_BT: Tensor, mask_BT: Tensor) -> Tensor:
        batch, queries, width = len(last_BPV), len(self.queries_QW), self.width
        text = self.norm(self.words[instruction_BT] + self.positions[: instruction_BT.shape[1]])
        stream_BNW = torch.cat([self.queries_QW.expand(batch, -1, -1), text], dim=1)
        mask = None if mask_BT.all() else pad(mask_BT.bool(), (queries, 0), value=True)[:, None, None]
        seen = self.keys_values(self.vision_norm(last_BPV).flatten(0, 1)).view(batch, -1, len(self.keys_values.bias_o))
        sources = iter(seen.split(width, dim=-1))
        for layer in self.layers:
            stream_BNW = layer(stream_BNW, queries, mask, sources, last=layer is self.layers[-1])
        return self.projection(stream_BNW.flatten(0, 1)).view(batch, queries, -1)
