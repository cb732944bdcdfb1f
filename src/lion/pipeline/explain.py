"""What led to an answer: where the Vision Aggregator and the Q-Former looked, and how the router weighs the adapters.

Nothing is estimated. Attention weights are those of the model's own forward pass on the same picture, prompt and
answer, the softmax of what the query and key layers gave; gates are the router's parameters.

H heads, P patches + CLS, N tokens that look (P of the aggregator, the Q queries of the Q-Former) or are read (Q, P and
the prompt's), L task levels, K adapters, D language-model width.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from math import isqrt
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from lion.errors import LionError
from lion.model import LionForConditionalGeneration
from lion.model.mixture_of_adapters import TaskLevel
from lion.pipeline.continuous import Parts
from lion.pipeline.prepare import prepare
from lion.pipeline.read import Answer
from lion.pipeline.request import Request

ADAPTERS = ("region", "image")
"""In the order of the router's K, named as the levels that they were trained at."""


@dataclass(frozen=True, slots=True, eq=False)
class AttentionMap:
    """How cross-attention to the picture is shared out; ``patches`` and ``cls`` add up to 1."""

    patches: np.ndarray
    """(rows, columns) float32: the share of each patch, which together cover the picture."""
    cls: float
    """The share of the Vision Encoder's CLS token, which stands for no place."""

    def to_json(self) -> dict[str, Any]:
        """``patches``, rows from the top, to 6 decimals, and ``cls``."""
        rows = [[round(share, 6) for share in row] for row in self.patches.tolist()]
        return {"patches": rows, "cls": round(self.cls, 6)}


@dataclass(frozen=True, slots=True, eq=False)
class Gates:
    """The router's gates of every block of the language model, each D channels."""

    blocks: tuple[str, ...]
    """``encoder 1``, ... ``decoder 1``, ...: the blocks, in the order in which an answer passes them."""
    mean: np.ndarray
    """(blocks, L, K) float32: the mean over channels, for level l of :class:`TaskLevel` and adapter k of ADAPTERS."""
    low: np.ndarray
    high: np.ndarray
    """The same shape: the channels' 10th and 90th percentile."""

    def to_json(self) -> dict[str, Any]:
        """``blocks``, and by level and adapter the ``mean``, ``low`` and ``high`` of each block, to 4 decimals."""
        statistics = {"mean": self.mean, "low": self.low, "high": self.high}
        levels = {
            level.name.lower(): {
                adapter: {name: _rounded(values[:, level, k]) for name, values in statistics.items()}
                for k, adapter in enumerate(ADAPTERS)
            }
            for level in TaskLevel
        }
        return {"blocks": list(self.blocks), **levels}


def _rounded(values: np.ndarray) -> list[float]:
    return [round(value, 4) for value in values.tolist()]


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """An answer, and what led to it."""

    answer: Answer
    image: Image.Image
    """The picture, RGB."""
    level: TaskLevel
    """The task level at which it was answered."""
    read: Mapping[str, float]
    """What the answer was read from: the shares of ``qformer``, ``aggregator`` and ``text`` (tags and instruction) in
    the decoder's cross-attention, mean over its blocks, heads and the answer's tokens; they add up to 1."""
    aggregator: AttentionMap | None
    """Where the aggregator's tokens come from: mean over its blocks and heads of the weights with which cross-attention
    reads the shallower taps. A token counts by how much of it was read, as in ``read``, so the map differs from answer
    to answer, though the tokens do not. None where ``visual_inputs`` leaves the part out."""
    qformer: AttentionMap | None
    """The same of the Q-Former: mean over its layers that cross-attend, and their heads, of the weights with which the
    queries read the deepest tap; a query counts by how much of it was read."""
    gates: Gates

    def to_json(self) -> dict[str, Any]:
        """Keys ``level``, ``read``, ``aggregator``, ``qformer`` and ``gates``; the answer has its own."""
        return {
            "level": self.level.name.lower(),
            "read": {part: round(share, 6) for part, share in self.read.items()},
            "aggregator": self.aggregator and self.aggregator.to_json(),
            "qformer": self.qformer and self.qformer.to_json(),
            "gates": self.gates.to_json(),
        }


def explain(parts: Parts, request: Request, answer: Answer) -> Explanation:
    """Let the model look, read and write once more, in one pass, and keep the attention weights.

    Args:
        parts: the pipeline that answered.
        request: of any verb but ``tag``.
        answer: what it got; handed on unchanged. The decoder is given its text, as the tokenizer spells it.

    Raises: LionError for a request that the tagger answered, or that failed.
    """
    if request.verb.task is None:
        raise LionError("tags come from the tagger, which has no attention to show; explain a question or a caption")
    if answer.failed:
        raise LionError(answer.reason or "the request failed")
    look = parts.cache.open(request.image)
    positions = parts.model.config.qformer_config.max_position_embeddings
    prompt = prepare(request, parts.processor, look.size, look.evidence.tags, positions)
    inputs = {
        **prompt.inputs,
        "pixel_values": parts.processor.image_processor([look.image])["pixel_values"].to(parts.model.dtype),
        "labels": torch.tensor([parts.processor.tokenizer(answer.text)["input_ids"]]),
    }
    level = TaskLevel(int(prompt.inputs["task_levels"]))
    with parts.lock:
        read, aggregator, qformer = _attention(parts.model, inputs)
        return Explanation(answer, look.image, level, read, aggregator, qformer, _gates(parts.model))


@torch.no_grad()
def _attention(
    model: LionForConditionalGeneration, inputs: Mapping[str, Tensor]
) -> tuple[dict[str, float], AttentionMap | None, AttentionMap | None]:
    """What of an explanation is attention; while it runs, layers of the model have hooks."""
    own: list[Any] = [block.cross_attention for block in model.vision_aggregator.blocks]
    layers = [layer for layer in model.qformer.bert.encoder.layer if layer.has_cross_attention]
    readers = [layer.crossattention.attention for layer in layers]
    decoders = [block.layer[1].EncDecAttention for block in model.language_model.decoder.block]
    with (
        _recorded([(one.query, one.key) for one in own]) as by_aggregator,
        _recorded([(one.query, one.key) for one in readers]) as by_qformer,
        _recorded([(one.q, one.k) for one in decoders]) as by_decoder,
    ):
        model(**{name: tensor.to(model.device) for name, tensor in inputs.items()})
    config = model.config
    heads = config.text_config.num_heads
    read_N = torch.stack([_weights(*pair, heads, scaled=False).mean((0, 1)).cpu() for pair in by_decoder]).mean(0)
    queries = config.num_query_tokens if by_qformer else 0
    visual = len(read_N) - inputs["input_ids"].shape[1]
    parts = read_N.split([queries, visual - queries, len(read_N) - visual])
    read = dict(zip(("qformer", "aggregator", "text"), (float(part.sum()) for part in parts), strict=True))
    aggregator = _map(by_aggregator, config.aggregator_config.num_attention_heads, parts[1])
    return read, aggregator, _map(by_qformer, config.qformer_config.num_attention_heads, parts[0])


@contextmanager
def _recorded(attentions: Sequence[tuple[nn.Module, nn.Module]]) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """The outputs of each attention's query and key layer; empty if none of them is called."""
    outputs: list[Tensor] = []
    handles = [
        layer.register_forward_hook(lambda layer, given, output: outputs.append(output)) for layer in chain(*attentions)
    ]
    pairs: list[tuple[Tensor, Tensor]] = []
    try:
        yield pairs
    finally:
        for handle in handles:
            handle.remove()
    pairs += zip(outputs[::2], outputs[1::2], strict=True)  # every attention asks its query layer first


def _weights(query_1NI: Tensor, key_1MI: Tensor, heads: int, scaled: bool = True) -> Tensor:
    """Attention weights (H, N, M) in float32, of N tokens that look at M; T5 does not scale its scores."""
    query, key = (rows[0].float().unflatten(-1, (heads, -1)).transpose(0, 1) for rows in (query_1NI, key_1MI))
    return (query @ key.transpose(1, 2) * (query.shape[-1] ** -0.5 if scaled else 1)).softmax(-1)


def _map(layers: Sequence[tuple[Tensor, Tensor]], heads: int, read_N: Tensor) -> AttentionMap | None:
    """The mean over layers and heads, and over the N tokens by how much they were read; None of no layers."""
    if not layers:
        return None
    looked_NP = torch.stack([_weights(*layer, heads).mean(0).cpu() for layer in layers]).mean(0)
    map_P = read_N / read_N.sum() @ looked_NP
    side = isqrt(len(map_P) - 1)
    return AttentionMap(map_P[1:].view(side, side).numpy(), float(map_P[0]))


def _gates(model: LionForConditionalGeneration) -> Gates:
    stacks = [(name, getattr(model.language_model, name).block) for name in ("encoder", "decoder")]
    names = [f"{name} {number}" for name, blocks in stacks for number in range(1, len(blocks) + 1)]
    routers = [block.mixture.router for block in chain(*(blocks for _, blocks in stacks))]
    gates = np.stack([router.gates.detach().float().cpu().numpy() for router in routers])
    low, high = np.quantile(gates, (0.1, 0.9), axis=-1).astype(np.float32)
    return Gates(tuple(names), gates.mean(-1), low, high)
