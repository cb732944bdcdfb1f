"""The Vision Aggregator beside torch's own attention, and the MLP after it."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from lion.model import VisionAggregatorConfig
from lion.model.vision_aggregator import MLP, Attention, VisionAggregator

CONFIG = VisionAggregatorConfig(num_attention_heads=4, intermediate_size=24)


def test_attention_is_torchs_with_a_residual_and_a_norm_behind_it():
    torch.manual_seed(0)
    ours, theirs = Attention(16, CONFIG), nn.MultiheadAttention(16, 4, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
        theirs.out_proj.load_state_dict(ours.output.state_dict())
    stream, source = torch.randn(2, 5, 16), torch.randn(2, 7, 16)
    golden = ours.norm(stream + theirs(stream, source, source)[0])
    torch.testing.assert_close(ours(stream, source), golden)


def test_each_block_reads_the_next_tap():
    torch.manual_seed(0)
    aggregator = VisionAggregator(16, 3, CONFIG, 1e-5)
    taps = [torch.randn(1, 4, 16) for _ in range(3)]
    before = aggregator(taps)
    for tap in range(3):
        changed = [each + (index == tap) * torch.randn(1, 4, 16) for index, each in enumerate(taps)]
        assert (aggregator(changed) - before).abs().max() > 1e-3
    assert len(aggregator.blocks) == 2


def test_a_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="width 18 is not a multiple of num_attention_heads=4"):
        Attention(18, CONFIG)


def test_the_mlp_goes_through_four_times_the_width():
    mlp, tokens = MLP(6, 5), torch.randn(2, 3, 6)
    golden = functional.gelu(tokens @ mlp.input.weight.T + mlp.input.bias) @ mlp.output.weight.T + mlp.output.bias
    torch.testing.assert_close(mlp(tokens), golden)
    assert mlp.input.out_features == 24
