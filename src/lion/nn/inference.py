"""Layers as inference reads them: a few large products and one operation a norm, over weights that are read once.

The numbers are those of the modules within float rounding. Only plain layers in float32 are read so (:func:`is_plain`);
whoever finds others calls the modules. R rows (tokens of any pictures), B batch, N tokens of each, I = heads * head
width.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, pairwise
from operator import is_
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lion.nn.stem import ConvolutionalStem

T = TypeVar("T")

MOST_BYTES = 2**26
"""Larger modules are called: their time is that of their products, and a copy of them would take memory."""

VECTOR = 16
"""A CPU takes a row of attention's scores in vectors of so many, and what is left of it one by one."""

KNOWN = ("torch.nn.modules.", "transformers.activations", "transformers.models.", "lion.")
"""Where classes of layers come from that are read; others, such as quantised layers or LoRA's, are called."""


class Read(Generic[T]):
    """What was made of modules, made when first needed and anew once they have changed.

    Args:
        modules: what is read of.
        make: makes it.
    """

    def __init__(self, modules: Sequence[nn.Module], make: Callable[[], T]) -> None:
        self.modules, self.make = modules, make
        self._made: tuple[Snapshot, T] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_made": None}

    def __call__(self) -> T:
        if self._made is None or not self._made[0].holds():
            self._made = Snapshot(*self.modules), self.make()
        return self._made[1]


class Snapshot:
    """The state that modules were in: which layers, weights and hooks, where they lie, how often they were written to.

    The dictionaries of all modules are kept, since walking through modules takes longer than a small layer.
    """

    def __init__(self, *modules: nn.Module) -> None:
        every = [part for module in modules for part in module.modules()]
        self._modules = modules
        self._layers = [part._modules for part in every]
        self._weights: list[Mapping[str, Tensor | None]] = [
            kept for part in every for kept in (part._parameters, part._buffers)
        ]
        self._hooks = [hooks for part in every for hooks in _hooks(part)]
        self._then = self._now()

    def holds(self) -> bool:
        """Whether they still are in it."""
        now = self._now()
        return now[1:] == self._then[1:] and all(map(is_, now[0], self._then[0]))

    def _now(self) -> tuple[list[Tensor], list[nn.Module | None], list[int], list[int], int, list[bool]]:
        tensors = [one for kept in self._weights for one in kept.values() if one is not None]
        return (
            tensors,
            [*chain.from_iterable(map(dict.values, self._layers))],
            [one._version for one in tensors],
            [one.data_ptr() for one in tensors],
            sum(map(len, self._hooks)),
            [module.training for module in self._modules],
        )


def _hooks(module: nn.Module) -> Iterator[dict[int, Any]]:
    yield module._forward_hooks
    yield module._forward_pre_hooks


def is_plain(*modules: nn.Module) -> bool:
    """Whether modules can be read in place of being called: all layers of known classes, in float32, on the CPU and in
    evaluation mode, none with a hook or a ``forward`` of its own, together no larger than :data:`MOST_BYTES`."""
    every = [part for module in modules for part in module.modules()]
    tensors = [tensor for module in modules for tensor in module.parameters()]
    return (
        sum(tensor.nbytes for tensor in tensors) <= MOST_BYTES
        and all(tensor.dtype == torch.float32 and tensor.device.type == "cpu" for tensor in tensors)
        and all(type(part).__module__.startswith(KNOWN) and "forward" not in vars(part) for part in every)
        and not any(part.training or any(_hooks(part)) for part in every)
    )


class Affine:
    """Linear layers that read the same input, as one product with a transposed copy: their outputs side by side."""

    def __init__(self, *layers: nn.Linear) -> None:
        self.weight_io = torch.cat([layer.weight.detach() for layer in layers]).t().contiguous()
        none = self.weight_io.new_zeros
        biases = [none(layer.out_features) if layer.bias is None else layer.bias.detach() for layer in layers]
        self.bias_o = torch.cat(biases)

    def __call__(self, rows: Tensor) -> Tensor:
        """(R, in) to (R, out)."""
        return torch.addmm(self.bias_o, rows, self.weight_io)

    def added_to(self, stream: Tensor, rows: Tensor) -> Tensor:
        """The residual stream (R, out) plus the output for ``rows`` (R, in)."""
        return torch.addmm(stream, rows, self.weight_io).add_(self.bias_o)


class FeedForward:
    """``out(act(in(rows)))``."""

    def __init__(self, inner: nn.Linear, activation: Callable[[Tensor], Tensor], outer: nn.Linear) -> None:
        self.inner, self.activation, self.outer = Affine(inner), activation, Affine(outer)

    def added_to(self, stream: Tensor, rows: Tensor) -> Tensor:
        """``stream`` (R, width) plus the output for ``rows`` (R, width)."""
        return self.outer.added_to(stream, self.activation(self.inner(rows)))


def norm_of(layer: nn.LayerNorm) -> Callable[[Tensor], Tensor]:
    """The layer norm without its module."""
    return partial(
        functional.layer_norm,
        normalized_shape=layer.normalized_shape,
        weight=layer.weight.detach(),
        bias=layer.bias.detach(),
        eps=layer.eps,
    )


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int, mask: Tensor | None = None) -> Tensor:
    """Queries (B, N, I) to keys and values (B, M, I), which may be parts of larger rows; attended (B * N, I).

    ``mask`` is False where a key is not to be seen.
    """
    batch, length, inner = query.shape
    left = key.shape[1] % VECTOR
    if left >= VECTOR // 2 and key.device.type == "cpu":  # to fill up fewer takes longer than they do one by one
        short = VECTOR - left
        seen = torch.ones(1, 1, 1, key.shape[1], dtype=torch.bool) if mask is None else mask
        mask = functional.pad(seen, (0, short), value=False)
        key, value = (functional.pad(rows, (0, 0, 0, short)) for rows in (key, value))
    query, key, value = (rows.view(batch, -1, heads, inner // heads).transpose(1, 2) for rows in (query, key, value))
    attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return attended.transpose(1, 2).reshape(batch * length, inner)


def patches_of(stem: nn.Module) -> Callable[[Tensor], Tensor]:
    """The patch embedding, (B, 3, S, S) to (B, V, S / patch, S / patch). A convolutional stem's batch norms are folded
    into its convolutions, whose weights lie channels last, as pixels do when a picture comes in."""
    if not isinstance(stem, ConvolutionalStem):
        return stem
    steps: list[tuple[Tensor, Tensor | None]] = []
    for layer, following in pairwise([*stem, None]):
        if isinstance(layer, nn.Conv2d):
            folded = fuse_conv_bn_eval(layer, following) if isinstance(following, nn.BatchNorm2d) else layer
            bias = None if folded.bias is None else folded.bias.detach()
            steps.append((folded.weight.detach().to(memory_format=torch.channels_last), bias))

    def run(pixels: Tensor) -> Tensor:
        for number, (weight, bias) in enumerate(steps):
            pixels = functional.conv2d(pixels if not number else pixels.relu_(), weight, bias, stride=2, padding=1)
        return pixels

    return run
