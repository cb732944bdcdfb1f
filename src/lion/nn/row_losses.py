"""Losses over a large vocabulary, some rows at a time: no float32 copy of all logits, forward or backward.

The logits of 24 answers of 128 tokens over 32,128 words are 197 MB in bfloat16; their log-probabilities, gradient and
conversions in float32 would be three times 395 MB more. N rows (answer tokens), W vocabulary.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

NUMBERS = 2**22
"""Logits that are read at a time, 16 MiB in float32; a batch of no more than these is computed directly."""

OfRows = Callable[[Tensor, Tensor], Tensor]
"""Logits (N, W) and labels (N,) to losses (N,), float32, each of its own row alone."""


def cross_entropies(logits_NW: Tensor, labels_N: Tensor) -> Tensor:
    """The cross entropy of each row, (N,), computed in float32 (float64 stays); 0 where the label is -100."""
    wide_NW = logits_NW.to(torch.promote_types(logits_NW.dtype, torch.float32))
    return functional.cross_entropy(wide_NW, labels_N, reduction="none")


def row_losses(logits_NW: Tensor, labels_N: Tensor, of_rows: OfRows = cross_entropies) -> Tensor:
    """`of_rows(logits, labels)`, to the bit, in chunks that the backward pass computes again."""
    if logits_NW.numel() <= NUMBERS:
        return of_rows(logits_NW, labels_N)
    return _InChunks.apply(logits_NW, labels_N, of_rows)


def _chunks(logits_NW: Tensor) -> Iterator[slice]:
    rows = max(NUMBERS // logits_NW.shape[1], 1)
    return (slice(start, start + rows) for start in range(0, len(logits_NW), rows))


class _InChunks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits_NW: Tensor, labels_N: Tensor, of_rows: OfRows) -> Tensor:
        ctx.save_for_backward(logits_NW, labels_N)
        ctx.of_rows = of_rows
        return torch.cat([of_rows(logits_NW[rows], labels_N[rows]) for rows in _chunks(logits_NW)])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_N: Tensor) -> tuple[Tensor, None, None]:
        logits_NW, labels_N = ctx.saved_tensors
        gradient_NW = torch.empty_like(logits_NW)
        for rows in _chunks(logits_NW):
            with torch.enable_grad():
                leaf = logits_NW[rows].detach().requires_grad_()
                losses = ctx.of_rows(leaf, labels_N[rows])
            (gradient_NW[rows],) = torch.autograd.grad(losses, leaf, gradient_N[rows])
        return gradient_NW, None, None
