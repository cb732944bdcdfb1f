"""The MLP: V to 4V to D."""

import torch
from torch.nn import functional

from lion.model.mlp import MLP


def test_the_mlp_goes_through_four_times_the_width():
    mlp, tokens = MLP(6, 5), torch.randn(2, 3, 6)
    golden = functional.gelu(tokens @ mlp.input.weight.T + mlp.input.bias) @ mlp.output.weight.T + mlp.output.bias
    torch.testing.assert_close(mlp(tokens), golden)
    assert mlp.input.out_features == 24
