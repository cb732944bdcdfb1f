"""The LayerNorm that keeps its precision."""

import torch
from torch.nn import functional

from lion.model.layer_norm import LayerNorm


def test_a_norm_computes_in_the_type_of_its_weights_and_returns_that_of_its_input():
    norm, hidden = LayerNorm(8), torch.randn(3, 8).bfloat16() * 100
    golden = functional.layer_norm(hidden.float(), (8,)).bfloat16()
    assert torch.equal(norm(hidden), golden)
