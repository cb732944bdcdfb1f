"""Muon: steps along the orthogonalised momentum of a weight matrix, for matrices between hidden layers.

The rule of torch.optim.Muon (Jordan et al. 2024; step size matched to AdamW's as in Liu et al. 2025), but matrices of
one shape are orthogonalised together, and in a type of choice. torch's computes in bfloat16, which CPUs without
instructions for it multiply some ninety times slower than float32.

K matrices of one shape, R rows, C columns; R <= C, else transposed.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

_QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of the Newton-Schulz polynomial: it brings singular values near 1 in a few rounds, not exactly to 1."""
_ROUNDS = 5
_EPSILON = 1e-7
_MOMENTUM = 0.95
_ADAMW_SIZE = 0.2
"""Typical root mean square of AdamW's updates."""


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised in `dtype`, with decoupled weight decay; for matrices. `lr` as for AdamW."""

    def __init__(self, groups: Iterable[dict[str, Any]], lr: float, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(groups, {"lr": lr, "weight_decay": 0.0})
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        assert closure is None, "the loop computes the loss"
        for group in self.param_groups:
            shapes = defaultdict[torch.Size, list[Tensor]](list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes[parameter.shape].append(parameter)
            for same in shapes.values():
                directions = orthogonal(torch.stack([self._momentum(p) for p in same]).to(self.dtype))
                rate = group["lr"] * _ADAMW_SIZE * max(same[0].shape) ** 0.5
                for parameter, direction in zip(same, directions, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(direction, alpha=-rate)

    def _momentum(self, parameter: Tensor) -> Tensor:
        """Nesterov momentum: the gradient interpolated towards its running mean."""
        assert parameter.grad is not None
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(parameter.grad)
        mean: Tensor = state["momentum_buffer"].lerp_(parameter.grad, 1 - _MOMENTUM)
        return parameter.grad.lerp(mean, _MOMENTUM)


def orthogonal(matrices_KRC: Tensor) -> Tensor:
    """About the nearest (semi-)orthogonal matrix of each: singular values between 0.7 and 1.2; shape and dtype kept."""
    if matrices_KRC.shape[1] > matrices_KRC.shape[2]:
        return orthogonal(matrices_KRC.mT).mT
    a, b, c = _QUINTIC
    x_KRC = matrices_KRC / matrices_KRC.norm(dim=(1, 2), keepdim=True).clamp(min=_EPSILON)
    for _ in range(_ROUNDS):
        gram_KRR = x_KRC @ x_KRC.mT
        x_KRC = torch.baddbmm(x_KRC, torch.baddbmm(gram_KRR, gram_KRR, gram_KRR, beta=b, alpha=c), x_KRC, beta=a)
    return x_KRC
