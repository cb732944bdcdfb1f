"""A lane's memory is what docs/explanation/numerics_decoding.md says."""

import pytest
import torch
from torch import Tensor

from lion.engine import Weights
from lion.engine.decode import Lane
from tests.engine import tiny


def lane_bytes(places, rows, source, target, layers, heads, head_width, size):
    """The formula of docs/explanation/numerics_decoding.md."""
    keys_values = layers * 2 * heads * head_width * (source + rows * target)
    masks = source + rows * rows * target
    return size * (places * (keys_values + masks) + heads * target**2)


@pytest.mark.parametrize(("rows", "places"), [(1, 64), (5, 12), (3, 1)])
def test_memory_equals_the_arithmetic(rows, places):
    lane = Lane(Weights(tiny.language_model(layers=(1, 3))), rows, places)
    lane.admit(torch.randn(40, tiny.WIDTH), 1)
    for step, target in ((1, 16), (17, 32), (33, 64)):  # grows by doubling, when a token has no place
        while lane.positions[0] < step:
            lane.step([[5] * rows], [range(rows)])
        held = sum(value.nbytes for value in vars(lane).values() if isinstance(value, Tensor))
        assert held == lane_bytes(places, rows, 64, target, 3, heads=2, head_width=6, size=4)
