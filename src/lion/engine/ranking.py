"""Given answers of prompts, and how likely each is: the decoder reads them all at once, teacher-forced.

A prompt's distinct candidates are written as trees of tokens, so that beginnings that several of them share are worked
on once; a token sees those that lead to it, at the distances of T5's relative positions. Long lists are cut into
several trees. A prompt's cross-attention keys and values exist once for all of them.

B prompts, K candidates of a prompt, S trees of a prompt in one pass, T tokens of a tree, R = B * S * T, N input tokens,
D width, I = heads * head width.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.nn.utils.rnn import pad_sequence

from lion.engine.decode import keys_values
from lion.engine.encode import encode_each
from lion.engine.weights import Levels, Weights

TOKENS_PER_TREE = 48
"""Most tokens of a tree of several candidates: attention within it grows with their square."""

TOKENS_PER_PASS = 2048
"""Most decoder tokens of one pass, R (but at least one tree): bounds the memory."""

FEW_TOKENS = 64
"""So many more take less time than one more pass."""


@dataclass(slots=True)
class _Tree:
    """Candidates of one prompt as the decoder reads them: the start token and below it their tokens but the last."""

    tokens: list[int]
    paths: list[list[int]] = field(default_factory=lambda: [[0]])
    """For each token, the places of those that lead to it, its own the last."""
    foretold: list[tuple[int, int, int]] = field(default_factory=list)
    """A place, an id that follows there, and the number of the candidate that goes on so."""


@torch.inference_mode()
def rank(
    weights: Weights,
    inputs_ND: Sequence[Tensor],
    levels: Sequence[int],
    candidates: Sequence[Sequence[Sequence[int]]],
) -> list[list[float]]:
    """For each prompt its K candidates' negative log-likelihoods in nats, summed over their tokens, in their order.

    Args:
        weights: of the language model.
        inputs_ND: embedded prompts, each (N, D) of its own length.
        levels: their task levels, as :func:`~lion.engine.weights.route` counts them.
        candidates: of each prompt at least one, none empty: token ids, ``</s>`` last.
    """
    states = encode_each(weights, inputs_ND, levels)
    distinct = [sorted(set(map(tuple, own))) for own in candidates]  # sorted, those with a common beginning meet
    trees = [list(_trees(own, weights.start)) for own in distinct]
    sums = [[0.0] * len(own) for own in distinct]
    for group in _groups(trees):
        cross = _Cross(weights, [states[prompt] for prompt in group], [levels[prompt] for prompt in group])
        longest = max(len(tree.tokens) for prompt in group for tree in trees[prompt])
        per_pass = max(1, TOKENS_PER_PASS // (longest * len(group)))
        for first in range(0, max(len(trees[prompt]) for prompt in group), per_pass):
            parts = [trees[prompt][first : first + per_pass] for prompt in group]
            predicted = [
                (prompt, number)
                for prompt, part in zip(group, parts, strict=True)
                for t in part
                for *_, number in t.foretold
            ]
            for (prompt, number), loss in zip(predicted, _losses(weights, cross, parts), strict=True):
                sums[prompt][number] += loss
    found = [dict(zip(own, row, strict=True)) for own, row in zip(distinct, sums, strict=True)]
    return [[known[tuple(ids)] for ids in own] for own, known in zip(candidates, found, strict=True)]


def _trees(candidates: Sequence[Sequence[int]], start: int) -> Iterator[_Tree]:
    """Neighbours of a sorted list together."""
    tree, places = _Tree([start]), dict[Sequence[int], int]()
    for number, ids in enumerate(candidates):
        if tree.foretold and len(tree.tokens) + len(ids) > TOKENS_PER_TREE:
            yield tree
            tree, places = _Tree([start]), {}
        place = 0
        for length, token in enumerate(ids):
            tree.foretold.append((place, token, number))
            if length + 1 < len(ids):
                before, place = place, places.setdefault(ids[: length + 1], len(tree.tokens))
                if place == len(tree.tokens):
                    tree.tokens.append(token)
                    tree.paths.append([*tree.paths[before], place])
    yield tree


def _groups(trees: Sequence[Sequence[_Tree]]) -> Iterator[list[int]]:
    """Numbers of prompts that are ranked together: they fit into one pass, unless alone, and are not filled up much."""
    group: list[int] = []
    most = longest = own = 0
    for prompt in sorted(range(len(trees)), key=lambda number: (len(trees[number]), len(trees[number][0].tokens))):
        lengths = [len(tree.tokens) for tree in trees[prompt]]
        most, longest, own = max(most, len(lengths)), max(longest, *lengths), own + sum(lengths)
        size = (len(group) + 1) * most * longest
        if group and (size > TOKENS_PER_PASS or size - own > own / 2 + FEW_TOKENS):
            yield group
            group, most, longest, own = [], len(lengths), max(lengths), sum(lengths)
        group.append(prompt)
    yield group


class _Cross:
    """What all trees of B prompts read: cross-attention keys and values of each layer, padded, their mask, levels."""

    def __init__(self, weights: Weights, states_ND: Sequence[Tensor], levels: Sequence[int]) -> None:
        states_BND = pad_sequence(list(states_ND), batch_first=True)
        self.levels = levels
        lengths = torch.tensor([len(states) for states in states_ND])
        padding_BN = torch.arange(states_BND.shape[1]) >= lengths[:, None]
        mask = torch.zeros(padding_BN.shape, dtype=weights.type).masked_fill_(padding_BN, -torch.inf)
        self.mask_B11N = mask[:, None, None].to(weights.device)
        self.layers = []
        for layer in weights.decoder:
            assert layer.cross_keys_values is not None
            joined = layer.cross_keys_values(states_BND.flatten(0, 1))
            self.layers.append(keys_values(joined.view(*states_BND.shape[:2], -1), weights.heads))


def _losses(weights: Weights, cross: _Cross, parts: Sequence[Sequence[_Tree]]) -> list[float]:
    """Negative log-likelihood of every foretold id, in order of the trees."""
    most = max(map(len, parts))
    trees = [tree for part in parts for tree in [*part, *[_Tree([weights.start])] * (most - len(part))]]
    length, width = max(len(tree.tokens) for tree in trees), weights.heads * weights.head_width
    tokens = [tree.tokens + [weights.start] * (length - len(tree.tokens)) for tree in trees]
    stream = weights.embedding[torch.tensor(tokens, device=weights.device).flatten()]
    ways, bias = Levels.of(cross.levels, most * length, stream).ways(), _bias(weights, trees, length)
    for layer, (key, value) in zip(weights.decoder, cross.layers, strict=True):
        own, other = layer.self_attention, layer.cross_attention
        assert other is not None
        joined = own.inputs(own.norm(stream)).view(len(trees), length, 3, weights.heads, -1)
        query, own_key, own_value = joined.permute(2, 0, 3, 1, 4)
        attended = scaled_dot_product_attention(query, own_key, own_value, attn_mask=bias, scale=1.0)
        stream = own.output.added_to(stream, attended.transpose(1, 2).reshape(-1, width))
        query = other.inputs(other.norm(stream)).view(len(parts), most * length, weights.heads, -1).transpose(1, 2)
        attended = scaled_dot_product_attention(query, key, value, attn_mask=cross.mask_B11N, scale=1.0)
        stream = other.output.added_to(stream, attended.transpose(1, 2).reshape(-1, width))
        stream = layer.feed_forward(stream, ways)
    rows = [(row * length + place, token) for row, tree in enumerate(trees) for place, token, _ in tree.foretold]
    places, ids = torch.tensor(rows, device=weights.device).T
    read, which = places.unique(return_inverse=True)  # padding has no logits
    logprobs = weights.logits(stream[read]).log_softmax(-1)
    losses: list[float] = (-logprobs[which, ids]).tolist()
    return losses


def _bias(weights: Weights, trees: Sequence[_Tree], length: int) -> Tensor:
    """Position bias of what leads to a token, itself included, else -inf: (B * S, heads, T, T)."""
    depths = [[len(path) - 1 for path in tree.paths] + [0] * (length - len(tree.paths)) for tree in trees]
    seen = [
        (row * length + path[-1]) * length + place
        for row, tree in enumerate(trees)
        for path in [*tree.paths, *([place] for place in range(len(tree.paths), length))]  # padding sees itself
        for place in path
    ]
    depth = torch.tensor(depths, device=weights.device)
    bias_HTT = weights.decoder_bias(max(map(max, depths)) + 1).transpose(0, 1)
    bias = bias_HTT[:, depth[:, :, None], depth[:, None]]
    hidden = torch.ones(len(trees) * length * length, dtype=torch.bool, device=weights.device)
    hidden[torch.tensor(seen, device=weights.device)] = False
    return bias.masked_fill(hidden.view(1, len(trees), length, length), -torch.inf).transpose(0, 1)
