"""The decoder stage: a lane of places for prompts, each with k rows, that moves on by one token a step.

All buffers are static. Prompts stand at the front: one that leaves gives its place to the last, so a step reads views
of what is in use. Cross-attention keys and values exist once a prompt. Those of self-attention are written where they
arise and never moved: a row sees the past of its prompt's k rows through a mask that tells its ancestors from others.

C places, P prompts in them, k rows of each, R = P * k, N input tokens, T output tokens, I = heads * head width.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from lion.engine.graphs import Graphs
from lion.engine.weights import Levels, Weights

SOURCE_STEP, TARGET_STEP = 32, 16
"""Buffers grow by, and views are cut to, multiples of so many input and output tokens."""


class Lane:
    """Places for ``capacity`` prompts of ``rows`` rows each.

    Attributes:
        levels: of the prompts in their places, as :func:`~lion.engine.weights.route` counts them.
        positions: how many tokens, the start token included, each prompt has taken in.
        graphs: steps as CUDA graphs; None where operations are launched one by one.
    """

    def __init__(self, weights: Weights, rows: int, capacity: int) -> None:
        self.weights, self.rows, self.capacity = weights, rows, capacity
        self.levels: list[int] = []
        self.positions: list[int] = []
        self._sources: list[int] = []
        self._source_length = self._target_length = 0
        self._layers, self._inner = len(weights.decoder), weights.heads * weights.head_width
        self._cross_LCNI = self._cross_mask_CN = self._self_LCTI = self._seen_CKT = weights.embedding.new_empty(0)
        self._bias_THT = weights.embedding.new_empty(0)
        self.graphs = Graphs() if weights.device.type == "cuda" and weights.plain else None
        self._grow_target(TARGET_STEP)
        self._views: _Views | None = None
        self._levels: Levels | None = None

    def __len__(self) -> int:
        return len(self.levels)

    @torch.inference_mode()
    def admit(self, states_ND: Tensor, level: int) -> None:
        """An encoded prompt takes the next free place."""
        length, place = len(states_ND), len(self)
        self._grow_source(length)
        for index, layer in enumerate(self.weights.decoder):
            assert layer.cross_keys_values is not None
            self._cross_LCNI[index, place, :length] = layer.cross_keys_values(states_ND)
        self._cross_mask_CN[place, :length] = 0
        self._cross_mask_CN[place, length:] = -torch.inf
        self._cross_LCNI[:, place, length:] = 0
        self._seen_CKT[place] = -torch.inf
        self.levels.append(level)
        self.positions.append(0)
        self._sources.append(length)
        self._levels = None

    @torch.inference_mode()
    def release(self, place: int) -> None:
        """A prompt leaves; the last one moves to its place."""
        last = len(self) - 1
        if place != last:
            for buffer in (self._cross_LCNI, self._self_LCTI):
                buffer[:, place] = buffer[:, last]
            for buffer in (self._cross_mask_CN, self._seen_CKT):
                buffer[place] = buffer[last]
        for values in (self.levels, self.positions, self._sources):
            values[place] = values[last]
            values.pop()
        self._levels = None

    @torch.inference_mode()
    def step(self, tokens_PK: Sequence[Sequence[int]], parents_PK: Sequence[Sequence[int]] | None) -> Tensor:
        """Take in one token for each row and return the logits of the next, (R, vocabulary) float32.

        Args:
            tokens_PK: the tokens.
            parents_PK: which row of its prompt each row continues; None if each continues itself.

        The logits are valid until the next step.
        """
        used, rows = len(self), self.rows
        unused = (self.graphs.places(used, self.capacity) if self.graphs else used) - used
        if max(self.positions) >= self._target_length:
            self._grow_target(self._target_length * 2)
        shape = (used + unused, rounded(max(self._sources), SOURCE_STEP), rounded(max(self.positions) + 1, TARGET_STEP))
        if self._views is None or self._views.shape != shape:
            self._views = _Views(self, *shape)
        if self._levels is None or len(self._levels.one_hot_RL1) != shape[0] * rows:
            self._levels = Levels.of([*self.levels, *self.levels[:1] * unused], rows, self.weights.embedding)
        key = (*shape, self._levels.spans, self._levels.adapters, parents_PK is not None)
        step = partial(self._take_in, self._views, *key[3:])
        parents = parents_PK or [range(rows)] * used
        numbers = [[p, *t, *r] for p, t, r in zip(self.positions, tokens_PK, parents, strict=True)]
        numbers_PJ = torch.tensor([*numbers, *[[0, *[0] * rows, *range(rows)]] * unused])
        inputs = (numbers_PJ, self._levels.one_hot_RL1)
        logits = self.graphs.run(key, step, inputs, self._views.seen) if self.graphs else step(*inputs)
        self.positions = [position + 1 for position in self.positions]
        return logits[: used * rows]

    def _take_in(
        self,
        views: "_Views",
        spans: tuple[tuple[int, int, int], ...],
        adapters: tuple[int, ...],
        reorder: bool,
        numbers_PJ: Tensor,
        one_hot_RL1: Tensor,
    ) -> Tensor:
        """What the device does in a step; all that changes from step to step is in tensors.

        Args:
            views: of the buffers.
            spans: of the levels, as :class:`~lion.engine.weights.Levels`.
            adapters: that prompts take.
            reorder: whether rows continue others than themselves.
            numbers_PJ: for each prompt its position, k tokens and k parents.
            one_hot_RL1: levels of the rows.
        """
        weights, ways, rows = self.weights, Levels(spans, one_hot_RL1, adapters).ways(), self.rows
        positions, tokens_PK, parents_PK = numbers_PJ.to(weights.device).split([1, rows, rows], dim=1)
        offset = (positions * rows).expand(-1, rows).flatten()
        mask = self._mask(views, positions[:, 0], offset, parents_PK if reorder else None)
        written = offset + views.first_written
        stream = weights.embedding[tokens_PK.flatten()]
        for index, layer in enumerate(weights.decoder):
            attention, cross = layer.self_attention, layer.cross_attention
            assert cross is not None
            joined = attention.inputs(attention.norm(stream))
            views.written[index].index_copy_(0, written, joined[:, self._inner :])
            query = joined[:, : self._inner]
            stream = attention.output.added_to(stream, self._attend(query, *views.self_attention[index], mask))
            query = cross.inputs(cross.norm(stream))
            attended = self._attend(query, *views.cross_attention[index], views.cross_mask)
            stream = cross.output.added_to(stream, attended)
            stream = layer.feed_forward(stream, ways)
        return weights.logits(stream)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        """Queries (R, I) of P prompts to keys and values (P, heads, length, head width), (R, I)."""
        query = query.view(len(key), self.rows, self.weights.heads, -1).transpose(1, 2)
        attended = scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=1.0)
        return attended.transpose(1, 2).reshape(len(key) * self.rows, -1)

    def _mask(self, views: "_Views", positions: Tensor, offset: Tensor, parents_PK: Tensor | None) -> Tensor:
        """Position bias for what each row may see, else -inf: (P, heads, k, T * k)."""
        if parents_PK is not None:
            views.seen.copy_(views.seen.index_select(0, (views.first_row + parents_PK).flatten()))
        views.seen.view(-1).index_fill_(0, offset + views.first_seen, 0.0)
        bias_PHT = self._bias_THT.index_select(0, positions)[..., : views.shape[2]]
        return (views.visible + bias_PHT[:, :, None, :, None]).flatten(3)

    def _grow_source(self, length: int) -> None:
        if length <= self._source_length:
            return
        length = rounded(length, SOURCE_STEP)
        old, old_mask = self._cross_LCNI, self._cross_mask_CN
        self._cross_LCNI = self._new(self._layers, self.capacity, length, 2 * self._inner)
        self._cross_mask_CN = self._new(self.capacity, length).fill_(-torch.inf)
        if self._source_length:
            self._cross_LCNI[:, :, : self._source_length] = old
            self._cross_mask_CN[:, : self._source_length] = old_mask
        self._source_length = length
        self._forget()

    def _grow_target(self, length: int) -> None:
        old, old_seen, known = self._self_LCTI, self._seen_CKT, self._target_length
        self._self_LCTI = self._new(self._layers, self.capacity, length * self.rows, 2 * self._inner)
        self._seen_CKT = self._new(self.capacity, self.rows, length * self.rows).fill_(-torch.inf)
        if known:
            self._self_LCTI[:, :, : known * self.rows] = old
            self._seen_CKT[:, :, : known * self.rows] = old_seen
        self._bias_THT = self.weights.decoder_bias(length)
        self._target_length = length
        self._forget()

    def _forget(self) -> None:
        """What reads buffers that are no more."""
        self._views = None
        if self.graphs:
            self.graphs.clear()

    def _new(self, *shape: int) -> Tensor:
        return torch.zeros(shape, dtype=self.weights.type, device=self.weights.device)


class _Views:
    """What a step reads of a lane's buffers, made when their shape changes, not every step.

    Args:
        lane: whose buffers.
        prompts: places, from the first on.
        source: input tokens.
        target: output tokens.
    """

    def __init__(self, lane: Lane, prompts: int, source: int, target: int) -> None:
        heads, rows = lane.weights.heads, lane.rows
        self.shape = prompts, source, target
        self.seen = lane._seen_CKT.view(lane.capacity * rows, -1)[: prompts * rows]
        self.visible = self.seen.view(prompts, 1, rows, -1, rows)[..., :target, :]
        row = torch.arange(prompts * rows, device=lane.weights.device)
        self.first_row = row.view(prompts, rows)[:, :1]
        self.first_seen = row * self.seen.shape[1] + row % rows
        self.first_written = (row // rows) * (lane._target_length * rows) + row % rows
        self.cross_mask = lane._cross_mask_CN[:prompts, None, None, :source]
        self.written = [layer.flatten(0, 1) for layer in lane._self_LCTI]
        self.self_attention = [keys_values(layer[:prompts, : target * rows], heads) for layer in lane._self_LCTI]
        self.cross_attention = [keys_values(layer[:prompts, :source], heads) for layer in lane._cross_LCNI]


def keys_values(joined: Tensor, heads: int) -> tuple[Tensor, Tensor]:
    """Cached (P, length, 2 I) to keys and values, each (P, heads, length, head width)."""
    keys, values = joined.unflatten(-1, (2, heads, -1)).permute(2, 0, 3, 1, 4)
    return keys, values


def rounded(length: int, step: int) -> int:
    """Up to the next multiple."""
    return -(-length // step) * step
