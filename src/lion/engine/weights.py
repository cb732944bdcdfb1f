"""A language model's weights as the engine reads them: a few large products a layer, in place of many small ones.

Small models in float32 are copied: matrices that read the same input lie side by side and transposed, since a product
of few rows is faster so. Of middle-sized ones that holds for the decoder alone, as the encoder's products have many
rows. Of large ones, or where a layer is no plain ``nn.Linear`` (quantised, LoRA), the modules themselves are called.
Adapters are always folded: both levels' gates and scales go into the up-matrix. Those of other models, with otherwise
the same weights, can be added, and rows of a batch may take different ones.

R rows (tokens of any prompts), D width, F feed-forward width, I = heads * head width, H bottleneck, L task levels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, groupby
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import NewGELUActivation
from transformers.models.t5.modeling_t5 import T5LayerNorm

from lion.model.language_model import AdaptedT5Block, LionLanguageModel
from lion.model.mixture_of_adapters import MixtureOfAdapters, TaskLevel

COPIED_BYTES, DECODER_COPIED_BYTES = 2**26, 2**30
"""Language models up to these sizes are copied, whole or the decoder: 1.5 times the speed for 1 to 40 rows."""


class Projection:
    """Linear layers that read the same input, as one: their outputs side by side.

    Args:
        modules: the layers.
        copy: whether to keep a joined, transposed copy of their weights, if they are plain float32, or to call them.
    """

    def __init__(self, modules: Sequence[nn.Module], copy: bool) -> None:
        self.modules = modules
        copy = copy and all(type(module) is nn.Linear and module.weight.dtype == torch.float32 for module in modules)
        self.weight_io = torch.cat([_weight(module) for module in modules]).t().contiguous() if copy else None

    def __call__(self, rows: Tensor) -> Tensor:
        """(R, in) to (R, out)."""
        if self.weight_io is not None:
            return torch.mm(rows, self.weight_io)
        if len(self.modules) == 1:
            return _call(self.modules[0], rows)
        return torch.cat([_call(module, rows) for module in self.modules], dim=-1)

    def added_to(self, residual: Tensor, rows: Tensor) -> Tensor:
        """The residual stream (R, out), which may be overwritten, plus the projected rows (R, in)."""
        if self.weight_io is not None:
            return residual.addmm_(rows, self.weight_io)
        return residual + self(rows)


def _call(module: nn.Module, rows: Tensor) -> Tensor:
    """In the type of the layer's weights where they are plain numbers; quantised ones take what they are given.

    Returned in no narrower type than `rows`: training holds frozen matrices in bfloat16 beside norms in float32.
    """
    kind = _weight(module).dtype
    output: Tensor = module(rows.to(kind) if kind.is_floating_point else rows)
    return output.to(torch.promote_types(output.dtype, rows.dtype))


def _weight(module: nn.Module) -> Tensor:
    assert isinstance(module.weight, Tensor)
    return module.weight


class Norm:
    """T5's layer norm: no mean, no bias, computed in float32; in four operations where the plain form takes seven."""

    def __init__(self, module: T5LayerNorm) -> None:
        width = module.weight.numel()
        self.type: torch.dtype = module.weight.dtype
        self.weight = module.weight.float() * width**0.5
        self.epsilon = torch.tensor((width * module.variance_epsilon) ** 0.5, device=module.weight.device)

    def __call__(self, rows: Tensor) -> Tensor:
        """(R, D), in the type of the weights."""
        length = torch.linalg.vector_norm(rows, dim=-1, keepdim=True, dtype=torch.float32)
        normed = (rows / torch.hypot(length, self.epsilon)).mul_(self.weight)
        return normed.to(self.type)


class Mixture:
    """Both adapters as one bottleneck, and an up-matrix for each task level with gates and scales in it.

    A constant 1 joins the bottleneck, so that the biases of the up-projections are a row of the up-matrix:
    ``h + [ReLU(h W_d + b_d), 1] W_u[level]``.
    """

    def __init__(self, module: MixtureOfAdapters) -> None:
        adapters = {TaskLevel.REGION: module.region_adapter, TaskLevel.IMAGE: module.image_adapter}
        ordered = [adapters[level] for level in TaskLevel]
        downs = [adapter.down for adapter in ordered]
        assert all(type(layer) is nn.Linear for adapter in ordered for layer in (adapter.down, adapter.up))
        width = module.router.gates.shape[-1]
        self.down_DH = (
            torch.cat([*(down.weight for down in downs), downs[0].weight.new_zeros(1, width)]).t().contiguous()
        )
        self.down_bias_H = torch.cat([*(down.bias for down in downs), downs[0].bias.new_ones(1)])
        self.up_LHD = torch.stack(
            [
                torch.cat(
                    [
                        *(a.up.weight.t() * (a.scale * gate) for a, gate in zip(ordered, gates, strict=True)),
                        sum(a.up.bias * (a.scale * gate) for a, gate in zip(ordered, gates, strict=True))[None],
                    ]
                )
                for gates in module.router.gates
            ]
        )
        self.up_all_LH_D = self.up_LHD.flatten(0, 1)

    def inner(self, rows: Tensor) -> Tensor:
        """The un-normalised feed-forward input (R, D) in the bottleneck, (R, H)."""
        return torch.addmm(self.down_bias_H, rows.to(self.down_DH.dtype), self.down_DH).relu_()

    def add_to(self, stream: Tensor, inner: Tensor, way: "Way") -> None:
        """Add to ``stream`` (R, D) what comes out of the bottleneck."""
        if way.level is not None:
            stream.addmm_(inner, self.up_LHD[way.level])
            return
        assert way.one_hot_RL1 is not None
        stream.addmm_((inner[:, None] * way.one_hot_RL1).flatten(1), self.up_all_LH_D)


class Way(NamedTuple):
    """What some of the rows take through the mixtures."""

    adapters: int
    """Number of the adapters."""
    rows: slice | None
    """Which; None for all."""
    level: int | None
    """The level of all of them; None where they differ."""
    one_hot_RL1: Tensor | None = None
    """Each row's level where they differ, all 0 for rows that take other adapters."""

    def of(self, rows: Tensor) -> Tensor:
        """Those of all rows that take it, a view."""
        return rows if self.rows is None else rows[self.rows]


@dataclass(frozen=True, slots=True)
class Levels:
    """The task level of each of R rows, and whose adapters it takes; rows beside those of their kind are cheaper."""

    spans: tuple[tuple[int, int, int], ...]
    """A route (see :func:`route`), its first row and the one after its last; none where rows of all routes mix."""
    one_hot_RL1: Tensor
    """Where they may mix: the L levels of each of `adapters`, side by side."""
    adapters: tuple[int, ...] = ()
    """Where they may mix: numbers of the adapters that rows take; see :meth:`Weights.adapters_of`."""

    @classmethod
    def beside(cls, routes: Sequence[int], repeats: int) -> Self:
        """Those of prompts, of which each has so many rows, one after the other; cheap if routes are sorted."""
        runs = [(one, len(list(same))) for one, same in groupby(routes)]
        ends = [repeats * end for end in accumulate(count for _, count in runs)]
        spans = ((one, first, end) for (one, _), first, end in zip(runs, [0, *ends], ends, strict=False))
        return cls(tuple(spans), torch.empty(0))

    @classmethod
    def of(cls, routes: Sequence[int], repeats: int, like: Tensor) -> Self:
        """Those of prompts, of which each has so many rows, one after the other, in any order."""
        adapters = tuple(sorted({one // len(TaskLevel) for one in routes}))
        columns = [adapters.index(one // len(TaskLevel)) * len(TaskLevel) + one % len(TaskLevel) for one in routes]
        one_hot = functional.one_hot(torch.tensor(columns, device=like.device), len(adapters) * len(TaskLevel))
        spans = ((routes[0], 0, repeats * len(routes)),) if len(set(routes)) == 1 else ()
        return cls(spans, one_hot.repeat_interleave(repeats, 0).to(like.dtype)[..., None], adapters)

    def ways(self) -> list[Way]:
        """All that rows take."""
        count = len(TaskLevel)
        if len(self.spans) == 1:
            ((one, _, _),) = self.spans
            return [Way(one // count, None, one % count)]
        if self.spans:
            return [Way(one // count, slice(first, end), one % count) for one, first, end in self.spans]
        parts_RL1 = self.one_hot_RL1.split(count, dim=1)
        return [Way(number, None, None, own_RL1) for number, own_RL1 in zip(self.adapters, parts_RL1, strict=True)]


def route(adapters: int, level: int) -> int:
    """A prompt's way through the mixtures as one number: the levels count on through the adapters."""
    return adapters * len(TaskLevel) + level


@dataclass(frozen=True, slots=True)
class FeedForward:
    """``rows + FFN(norm(rows)) + mixture(rows)``, plain or gated. Where rows of several adapters mix, a mixture adds
    0 to those of another, so that each gets what it would get alone."""

    norm: Norm
    inner: Projection
    activation: Callable[[Tensor], Tensor]
    gated: bool
    outer: Projection
    mixtures: list[Mixture]
    """By the number of the adapters."""

    def __call__(self, rows: Tensor, ways: Sequence[Way]) -> Tensor:
        """(R, D), which may be overwritten, to (R, D); ``ways`` are :meth:`Levels.ways`."""
        inner = self.inner(self.norm(rows))
        if self.gated:
            gate, value = inner.chunk(2, dim=-1)
            inner = self.activation(gate).mul_(value)
        else:
            inner = self.activation(inner)
        mixed = [(way, self.mixtures[way.adapters].inner(way.of(rows))) for way in ways]
        stream = self.outer.added_to(rows, inner)
        stream = stream.to(mixed[0][1].dtype)
        for way, own in mixed:
            self.mixtures[way.adapters].add_to(way.of(stream), own, way)
        return stream


@dataclass(frozen=True, slots=True)
class Attention:
    """Norm and projections of one attention; the scores are not scaled, as T5's."""

    norm: Norm
    inputs: Projection
    """(R, D) to queries, keys and values (R, 3 I); of cross-attention to queries (R, I)."""
    output: Projection


@dataclass(frozen=True, slots=True)
class Layer:
    """One block; the cross-attention is the decoder's."""

    self_attention: Attention
    cross_attention: Attention | None
    cross_keys_values: Projection | None
    """Encoder output (R, D) to keys and values (R, 2 I)."""
    feed_forward: FeedForward


class Weights:
    """The whole language model, read once. Make a new one when :meth:`is_of` says that weights have changed.

    Args:
        model: in evaluation mode; all of it on one device.
    """

    @torch.no_grad()
    def __init__(self, model: LionLanguageModel) -> None:
        config = model.config
        self.heads, self.head_width, self.width = config.num_heads, config.d_kv, config.d_model
        self.start, self.end = config.decoder_start_token_id, config.eos_token_id
        self._state, self._mixtures = _state(model), [_mixtures(model)]
        self.plain = all(parameter.is_floating_point() for parameter in model.parameters())
        """Whether no weight is quantised."""
        size = sum(parameter.nbytes for parameter in model.parameters())
        copied = size <= DECODER_COPIED_BYTES
        self.encoder = [_layer(block, size <= COPIED_BYTES) for block in model.encoder.block]
        self.decoder = [_layer(block, copied) for block in model.decoder.block]
        self.encoder_norm, self.decoder_norm = (Norm(s.final_layer_norm) for s in (model.encoder, model.decoder))
        self._biased = [stack.block[0].layer[0].SelfAttention for stack in (model.encoder, model.decoder)]
        self.embedding = model.shared.weight
        self.head = Projection([model.lm_head], copied)
        self.head_scale = config.d_model**-0.5 if config.scale_decoder_outputs else 1.0
        self.type = self.encoder_norm.type
        self._encoder_bias = self.embedding.new_empty(1, 0, 0, 0)

    def is_of(self, model: LionLanguageModel) -> bool:
        """Whether they still are the model's weights: none was replaced, moved or written to."""
        return self._state == _state(model)

    @torch.no_grad()
    def adapters_of(self, model: LionLanguageModel) -> int:
        """The number of a model's adapters, which are read when they are first asked for; 0 for the weights' own.

        Its other weights are these weights' model's.
        """
        mixtures = _mixtures(model)
        for number, known in enumerate(self._mixtures):  # kept, so that none of another takes its place in memory
            if known[0] is mixtures[0]:
                return number
        for layer, mixture in zip([*self.encoder, *self.decoder], mixtures, strict=True):
            layer.feed_forward.mixtures.append(Mixture(mixture))
        self._mixtures.append(mixtures)
        return len(self._mixtures) - 1

    @property
    def device(self) -> torch.device:
        """Where the weights are, and so the prompts have to be."""
        return self.embedding.device

    def encoder_bias(self, length: int) -> Tensor:
        """Relative position bias of the encoder's self-attention, (1, heads, N, N) for N = ``length``."""
        if length > self._encoder_bias.shape[-1]:  # it depends on distances alone, so a longer one serves for all
            bias: Tensor = self._biased[0].compute_bias(length, length)
            self._encoder_bias = bias.detach().to(self.type).contiguous()  # for each head, as attention reads it
        return self._encoder_bias[..., :length, :length]

    def decoder_bias(self, length: int) -> Tensor:
        """Of the decoder's, by the position of the query: (T, heads, T) for T = ``length``."""
        bias: Tensor = self._biased[1].compute_bias(length, length)
        return bias.detach().to(self.type)[0].transpose(0, 1).contiguous()

    def logits(self, rows: Tensor) -> Tensor:
        """Decoder output (R, D) to float32 logits (R, vocabulary)."""
        normed = self.decoder_norm(rows)
        return self.head(normed if self.head_scale == 1.0 else normed * self.head_scale).float()


def _layer(block: AdaptedT5Block, copy: bool) -> Layer:
    self_attention, *cross = block.layer[:-1]
    own, dense = self_attention.SelfAttention, block.feed_forward.DenseReluDense
    gated = hasattr(dense, "wi_1")
    inner = [dense.wi_0, dense.wi_1] if gated else [dense.wi]
    feed_forward = FeedForward(
        Norm(block.feed_forward.layer_norm),
        Projection(inner, copy),
        _activation(dense.act),
        gated,
        Projection([dense.wo], copy),
        [Mixture(block.mixture)],
    )
    attention = Attention(
        Norm(self_attention.layer_norm),
        Projection([own.q, own.k, own.v], copy),
        Projection([own.o], copy),
    )
    if not cross:
        return Layer(attention, None, None, feed_forward)
    other = cross[0].EncDecAttention
    cross_attention = Attention(Norm(cross[0].layer_norm), Projection([other.q], copy), Projection([other.o], copy))
    return Layer(attention, cross_attention, Projection([other.k, other.v], copy), feed_forward)


def _activation(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """The model's own, but the tanh form of GELU as one operation in place of eight."""
    return partial(functional.gelu, approximate="tanh") if isinstance(module, NewGELUActivation) else module


def _mixtures(model: LionLanguageModel) -> list[MixtureOfAdapters]:
    return [block.mixture for stack in (model.encoder, model.decoder) for block in stack.block]


def _state(model: nn.Module) -> list[tuple[int, int]]:
    """Where each parameter lies and how often it was written to."""
    return [(parameter.data_ptr(), parameter._version) for parameter in model.parameters()]
