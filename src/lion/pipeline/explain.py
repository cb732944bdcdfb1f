"""What led to an answer: where the Vision Aggregator and the Q-Former looked, and how the router weighs the adapters.

Nothing is estimated. Attention weights are those of the modules' own forward pass on the same picture and instruction,
``softmax(q k' / sqrt(head width))`` of what their query and key layers gave; gates are the router's parameters.

H heads, N tokens that look, P patches + CLS, L task levels, K adapters, D language-model width.
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
    aggregator: AttentionMap | None
    """Mean over the aggregator's blocks, their heads and their N = P tokens of the weights with which cross-attention
    reads the shallower taps. It depends on the picture alone. None where ``visual_inputs`` leaves the part out."""
    qformer: AttentionMap | None
    """Mean over the Q-Former's layers that cross-attend, their heads and their N queries of the weights with which they
    read the deepest tap, in the light of the instruction. None where ``visual_inputs`` leaves the part out."""
    gates: Gates

    def to_json(self) -> dict[str, Any]:
        """Keys ``level``, ``aggregator``, ``qformer`` and ``gates``; the answer has its own."""
        return {
            "level": self.level.name.lower(),
            "aggregator": self.aggregator and self.aggregator.to_json(),
            "qformer": self.qformer and self.qformer.to_json(),
            "gates": self.gates.to_json(),
        }


def explain(parts: Parts, request: Request, answer: Answer) -> Explanation:
    """Look at the picture of an answered request once more, and keep the attention weights.

    Args:
        parts: the pipeline that answered.
        request: of any verb but ``tag``.
        answer: what it got; handed on unchanged.

    Raises: LionError for a request that the tagger answered, or that failed.
    """
    if request.verb.task is None:
        raise LionError("tags come from the tagger, which has no attention to show; explain a question or a caption")
    if answer.failed:
        raise LionError(answer.reason or "the request failed")
    look = parts.cache.open(request.image)
    prompt = prepare(request, parts.processor, look.size, look.evidence.tags)
    pixels = parts.processor.image_processor([look.image])["pixel_values"]
    with parts.lock:
        aggregator, qformer = _attention(parts.model, pixels, prompt.inputs)
        gates = _gates(parts.model)
    return Explanation(answer, look.image, TaskLevel(int(prompt.inputs["task_levels"])), aggregator, qformer, gates)


@torch.no_grad()
def _attention(
    model: LionForConditionalGeneration, pixels: Tensor, inputs: Mapping[str, Tensor]
) -> tuple[AttentionMap | None, AttentionMap | None]:
    """Of aggregator and Q-Former; while it runs, layers of the model have hooks."""
    aggregator = [block.cross_attention for block in model.vision_aggregator.blocks]
    layers = [layer for layer in model.qformer.bert.encoder.layer if layer.has_cross_attention]
    readers = [layer.crossattention.attention for layer in layers]
    with _recorded(aggregator) as by_aggregator, _recorded(readers) as by_qformer:
        model.get_image_features(
            pixel_values=pixels.to(model.device, model.dtype),
            qformer_input_ids=inputs["qformer_input_ids"].to(model.device),
            qformer_attention_mask=inputs["qformer_attention_mask"].to(model.device),
        )
    heads = model.config.aggregator_config.num_attention_heads, model.config.qformer_config.num_attention_heads
    return _map(by_aggregator, heads[0]), _map(by_qformer, heads[1])


@contextmanager
def _recorded(attentions: Sequence[nn.Module]) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """The outputs of each module's query and key layer; empty if none of them is called."""
    outputs: list[Tensor] = []
    handles = [
        layer.register_forward_hook(lambda layer, given, output: outputs.append(output))
        for attention in attentions
        for layer in (attention.query, attention.key)
    ]
    pairs: list[tuple[Tensor, Tensor]] = []
    try:
        yield pairs
    finally:
        for handle in handles:
            handle.remove()
    pairs += zip(outputs[::2], outputs[1::2], strict=True)  # every attention asks its query layer first


def _weights(query_1NI: Tensor, key_1PI: Tensor, heads: int) -> Tensor:
    """Attention weights (H, N, P) in float32."""
    query, key = (rows[0].float().unflatten(-1, (heads, -1)).transpose(0, 1) for rows in (query_1NI, key_1PI))
    return (query @ key.transpose(1, 2) * query.shape[-1] ** -0.5).softmax(-1)


def _map(layers: Sequence[tuple[Tensor, Tensor]], heads: int) -> AttentionMap | None:
    """The mean over layers, heads and tokens; None of no layers."""
    if not layers:
        return None
    mean_P = torch.stack([_weights(*layer, heads).mean((0, 1)) for layer in layers]).mean(0).cpu()
    side = isqrt(len(mean_P) - 1)
    return AttentionMap(mean_P[1:].view(side, side).numpy(), float(mean_P[0]))


def _gates(model: LionForConditionalGeneration) -> Gates:
    stacks = [(name, getattr(model.language_model, name).block) for name in ("encoder", "decoder")]
    names = [f"{name} {number}" for name, blocks in stacks for number in range(1, len(blocks) + 1)]
    routers = [block.mixture.router for block in chain(*(blocks for _, blocks in stacks))]
    gates = np.stack([router.gates.detach().float().cpu().numpy() for router in routers])
    low, high = np.quantile(gates, (0.1, 0.9), axis=-1).astype(np.float32)
    return Gates(tuple(names), gates.mean(-1), low, high)
