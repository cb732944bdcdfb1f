"""The encoder stage: embedded prompts of about one length to encoder states, together.

B prompts, N input tokens of the longest, D width, R = B * N, H heads, W head width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.nn.utils.rnn import pad_sequence

from lion.engine.decode import SOURCE_STEP, rounded
from lion.engine.weights import Levels, Weights
from lion.nn.inference import VECTOR


def encode_each(weights: Weights, inputs_ND: Sequence[Tensor], levels: Sequence[int]) -> list[Tensor]:
    """Embedded prompts to their states, each (N, D) of its own length; those of about one length run together."""
    states: dict[int, Tensor] = {}
    buckets: dict[int, list[int]] = {}
    for number, inputs in enumerate(inputs_ND):
        buckets.setdefault(rounded(len(inputs), SOURCE_STEP), []).append(number)
    for members in buckets.values():
        members.sort(key=lambda number: levels[number])  # rows of one level lie side by side
        together_BND = encode(
            weights, [inputs_ND[number] for number in members], [levels[number] for number in members]
        )
        for number, own_ND in zip(members, together_BND, strict=True):
            states[number] = own_ND[: len(inputs_ND[number])]
    return [states[number] for number in range(len(inputs_ND))]


@torch.inference_mode()
def encode(weights: Weights, inputs_ND: Sequence[Tensor], levels: Sequence[int]) -> Tensor:
    """Embedded prompts, each (N, D) of its own length, to states (B, N, D); what stands in padding means nothing."""
    lengths = torch.tensor([len(one) for one in inputs_ND])
    padded_BND = pad_sequence(list(inputs_ND), batch_first=True)
    batch, longest, width = padded_BND.shape
    keys = rounded(longest, VECTOR) if weights.device.type == "cpu" else longest
    bias = weights.encoder_bias(keys)[:, :, :longest]
    if lengths.min() < keys:
        mask = torch.zeros(batch, 1, 1, keys, dtype=weights.type)
        mask.masked_fill_((torch.arange(keys) >= lengths[:, None])[:, None, None], -torch.inf)
        bias = bias + mask.to(weights.device)
    rows = padded_BND.reshape(-1, width)
    ways = Levels.beside(levels, longest).ways()
    filled_BN2HW = rows.new_zeros(batch, keys, 2, weights.heads, weights.head_width) if keys > longest else None
    for layer in weights.encoder:
        attention = layer.self_attention
        joined = attention.inputs(attention.norm(rows)).view(batch, longest, 3, weights.heads, -1)
        query, key, value = joined.permute(2, 0, 3, 1, 4)
        if filled_BN2HW is not None:
            filled_BN2HW[:, :longest] = joined[:, :, 1:]
            key, value = filled_BN2HW.permute(2, 0, 3, 1, 4)
        attended = scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=1.0)
        rows = attention.output.added_to(rows, attended.transpose(1, 2).reshape(batch * longest, -1))
        rows = layer.feed_forward(rows, ways)
    return weights.encoder_norm(rows).view(batch, longest, width)
