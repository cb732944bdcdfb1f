"""A convolutional patch stem: how the small vision networks of lion-mini turn pixels into patches.

Networks of this size learn shapes far sooner from a few small convolutions than from one projection of a whole patch
(``docs/log.md``); the released ViT and Swin have the projection. B batch, S image side in pixels, V width.
"""

from itertools import pairwise

from torch import Tensor, nn

_SHARES = (0.2, 0.375, 0.75)
"""Width of each convolution before the last, as a share of the whole."""


class ConvolutionalStem(nn.Sequential):
    """(B, 3, S, S) to (B, V, S / patch, S / patch), each convolution halving the side.

    Raises: ValueError for a patch size other than 4, 8 or 16.
    """

    def __init__(self, patch_size: int, width: int) -> None:
        if patch_size not in (4, 8, 16):
            raise ValueError(f"a convolutional stem makes patches of 4, 8 or 16 pixels, not {patch_size}")
        halvings = patch_size.bit_length() - 1
        widths = (3, *(int(width * share) for share in _SHARES[4 - halvings :]))
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        super().__init__(*layers, nn.Conv2d(widths[-1], width, 3, stride=2, padding=1))

    @property
    def weight(self) -> Tensor:
        """transformers' patch embeddings read the dtype of their projection here."""
        projection = self[-1]
        assert isinstance(projection, nn.Conv2d)
        return projection.weight
