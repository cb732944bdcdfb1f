"""The Vision Aggregator fuses ViT features of several depths; the MLP carries the result to the language model.

Two blocks of self-attention, cross-attention and feed-forward. The stream is the deepest tap; each block
cross-attends one shallower tap. B batch, P patches + CLS, V vision width, D language-model width.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import ACT2FN

from lion.model.configuration_lion import VisionAggregatorConfig
from lion.model.vision_encoder import LayerNorm


class Attention(nn.Module):
    """Multi-head attention with a post-LayerNorm residual: ``norm(x + out(attend(x, source)))``; no mask at all."""

    def __init__(self, width: int, config: VisionAggregatorConfig) -> None:
        super().__init__()
        if width % config.num_attention_heads:
            raise ValueError(f"width {width} is not a multiple of num_attention_heads={config.num_attention_heads}")
        self.heads = config.num_attention_heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.norm = LayerNorm(width, eps=config.layer_norm_eps)

    def forward(self, stream_BPV: Tensor, source_BPV: Tensor) -> Tensor:
        query, key, value = (
            projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projected in (self.query(stream_BPV), self.key(source_BPV), self.value(source_BPV))
        )
        attended = functional.scaled_dot_product_attention(query, key, value)
        return self.norm(stream_BPV + self.output(attended.transpose(1, 2).flatten(2)))


class FeedForward(nn.Module):
    """``norm(x + out(act(in(x))))``."""

    def __init__(self, width: int, config: VisionAggregatorConfig) -> None:
        super().__init__()
        self.input = nn.Linear(width, config.intermediate_size)
        self.activation = ACT2FN[config.hidden_act]
        self.output = nn.Linear(config.intermediate_size, width)
        self.norm = LayerNorm(width, eps=config.layer_norm_eps)

    def forward(self, stream_BPV: Tensor) -> Tensor:
        return self.norm(stream_BPV + self.output(self.activation(self.input(stream_BPV))))


class VisionAggregatorBlock(nn.Module):
    """Self-attention on the stream, cross-attention to one tap, feed-forward."""

    def __init__(self, width: int, config: VisionAggregatorConfig) -> None:
        super().__init__()
        self.self_attention = Attention(width, config)
        self.cross_attention = Attention(width, config)
        self.feed_forward = FeedForward(width, config)

    def forward(self, stream_BPV: Tensor, tap_BPV: Tensor) -> Tensor:
        stream_BPV = self.self_attention(stream_BPV, stream_BPV)
        stream_BPV = self.cross_attention(stream_BPV, tap_BPV)
        return self.feed_forward(stream_BPV)


class VisionAggregator(nn.Module):
    """Taps (deepest first) to fused tokens, LayerNorm included.

    The output projections start at zero, so that training starts from the ViT's own features.

    Source: paper section 3.1 and figure 2; released ``fusion_adapter`` and ``ln_adapter``.
    """

    def __init__(self, width: int, taps: int, config: VisionAggregatorConfig, norm_eps: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(VisionAggregatorBlock(width, config) for _ in range(taps - 1))
        self.norm = LayerNorm(width, eps=norm_eps)

    def fuse(self, taps_BPV: Sequence[Tensor]) -> Tensor:
        """Taps to the un-normalised stream, (B, P, V)."""
        stream_BPV, *sources = taps_BPV
        for block, source_BPV in zip(self.blocks, sources, strict=True):
            stream_BPV = block(stream_BPV, source_BPV)
        return stream_BPV

    def forward(self, taps_BPV: Sequence[Tensor]) -> Tensor:
        """One (B, P, V) map per tap to (B, P, V)."""
        return self.norm(self.fuse(taps_BPV))


class MLP(nn.Module):
    """Fused tokens (B, P, V) to (B, P, D) through 4V, exact GELU. Source: paper section 3.1; ``adapter_proj``."""

    def __init__(self, vision_width: int, language_width: int) -> None:
        super().__init__()
        self.input = nn.Linear(vision_width, 4 * vision_width)
        self.activation = nn.GELU()
        self.output = nn.Linear(4 * vision_width, language_width)

    def forward(self, fused_BPV: Tensor) -> Tensor:
        return self.output(self.activation(self.input(fused_BPV)))
