"""The Vision Encoder: taps by number from 1, no more blocks than needed, and the position codes of small ViTs."""

import pytest
import torch
from torch.nn import functional
from transformers import InstructBlipVisionConfig, InstructBlipVisionModel

from lion.model.vision_encoder import LayerNorm, VisionEncoder, sincos_positions

CONFIG = InstructBlipVisionConfig(
    hidden_size=16, intermediate_size=24, num_hidden_layers=4, num_attention_heads=2, image_size=32, patch_size=16
)


@torch.no_grad()
def test_taps_are_the_hidden_states_of_transformers_in_the_order_given():
    torch.manual_seed(0)
    ours, theirs = VisionEncoder(CONFIG, (3, 1)).eval(), InstructBlipVisionModel(CONFIG).eval()
    theirs.load_state_dict(ours.vit.state_dict(), strict=False)  # all but the final norm, which no tap sees
    pixels = torch.randn(2, 3, 32, 32)
    hidden = theirs(pixels, output_hidden_states=True).hidden_states
    for tap, golden in zip(ours(pixels), (hidden[3], hidden[1]), strict=True):
        torch.testing.assert_close(tap, golden)


def test_blocks_behind_the_deepest_tap_do_not_run():
    encoder = VisionEncoder(CONFIG, (3, 1))
    ran = []
    for number, block in enumerate(encoder.vit.encoder.layers, start=1):
        block.register_forward_hook(lambda *_args, number=number: ran.append(number))
    encoder(torch.randn(1, 3, 32, 32))
    assert ran == [1, 2, 3]


def test_another_size_or_stem_is_refused():
    with pytest.raises(ValueError, match=r"\(B, 3, 32, 32\), got \(1, 3, 48, 48\)"):
        VisionEncoder(CONFIG, (4,))(torch.zeros(1, 3, 48, 48))
    with pytest.raises(ValueError, match="patch_stem='conv'"):
        VisionEncoder(CONFIG, (4,), "conv")


def test_cells_are_coded_where_their_centres_lie():
    patches, cells = sincos_positions(8, 64), sincos_positions(8, 64, 4)
    assert patches.shape == (64, 64) and cells.shape == (16, 64)
    assert float(patches.square().mean()) == pytest.approx(1)
    # The first of 4 x 4 cells lies between the first two patches of each side, and nearest to those four.
    nearest = (patches - cells[0]).square().sum(-1).argsort()[:4]
    assert sorted(nearest.tolist()) == [0, 1, 8, 9]


def test_a_norm_computes_in_the_type_of_its_weights_and_returns_that_of_its_input():
    norm, hidden = LayerNorm(8), torch.randn(3, 8).bfloat16() * 100
    golden = functional.layer_norm(hidden.float(), (8,)).bfloat16()
    assert torch.equal(norm(hidden), golden)
