"""The convolutional stem: a grid of patches at the size that a strided convolution would give."""

import pytest
import torch

from lion.nn.stem import ConvolutionalStem


@pytest.mark.parametrize("patch", [4, 8, 16])
def test_each_convolution_halves_the_side(patch):
    stem = ConvolutionalStem(patch, 24)
    assert stem(torch.zeros(2, 3, 64, 48)).shape == (2, 24, 64 // patch, 48 // patch)
    assert stem.weight.shape[0] == 24


def test_other_patch_sizes_are_refused():
    with pytest.raises(ValueError, match="4, 8 or 16 pixels, not 14"):
        ConvolutionalStem(14, 24)
