"""What led to an answer: where the Vision Aggregator and the Q-Former looked, and how the router weighs the adapters.

Nothing is estimated. Attention weights are those of the model's own forward pass on the same picture, prompt and
answer, the softmax of what the query and key layers gave; gates are the router's parameters.

H heads, P patches + CLS, N tokens that look (P of the aggregator, the Q queries of the Q-Former) or are read (Q, P and
the prompt's), L task levels, K adapters, D language-model width.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from math import isqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lion.errors import LionError
from lion.model import LionForConditionalGeneration
from lion.model.mixture_of_adapters import TaskLevel
from lion.pipeline.adapters import Parts
from lion.pipeline.explanation import AttentionMap, Explanation, Gates
from lion.pipeline.prepare import prepare
from lion.pipeline.read import Answer
from lion.pipeline.request import Request


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
