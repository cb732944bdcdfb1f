"""A LayerNorm that keeps its own precision beside half-precision neighbours. Shapes are the caller's."""

from torch import Tensor, nn


class LayerNorm(nn.LayerNorm):
    """torch's, computed in the type of its weights (float32 as loaded) and handed on in the type of its input.

    Source: released ``ln_vision`` and ``ln_adapter``, which compute in float32 whatever surrounds them.
    """

    def forward(self, hidden: Tensor) -> Tensor:
        return super().forward(hidden.to(self.weight.dtype)).to(hidden.dtype)
