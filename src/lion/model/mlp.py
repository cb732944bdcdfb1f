"""The MLP that carries aggregator tokens into the language model's width: V to 4V to D, exact GELU."""

from torch import Tensor, nn


class MLP(nn.Module):
    """(B, P, V) to (B, P, D). Source: paper section 3.1; released ``adapter_proj``."""

    def __init__(self, vision_width: int, language_width: int) -> None:
        super().__init__()
        self.input = nn.Linear(vision_width, 4 * vision_width)
        self.activation = nn.GELU()
        self.output = nn.Linear(4 * vision_width, language_width)

    def forward(self, aggregated_BPV: Tensor) -> Tensor:
        return self.output(self.activation(self.input(aggregated_BPV)))
