"""The tagger's network read once beside its modules."""

import pytest
import torch
from transformers import SwinConfig

from lion.tagging import RamConfig, RamModel
from lion.tagging.inference import logits_of

TAGS = {number: f"tag {number}" for number in range(7)}


def network(stem="linear", side=64, window=4, depths=(2, 2), **swin):
    torch.manual_seed(0)
    shape = {"embed_dim": 8, "num_heads": [2, 4, 4][: len(depths)], "patch_size": 4, "mlp_ratio": 2.0}
    config = SwinConfig(image_size=side, window_size=window, depths=list(depths), **shape, **swin)
    model = RamModel(
        RamConfig(
            vision_config=config,
            patch_stem=stem,
            label_width=12,
            hidden_size=16,
            num_attention_heads=2,
            intermediate_size=24,
            id2label=TAGS,
        )
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


SHAPES = {
    "linear": {},
    "convolutional": {"stem": "convolutional"},
    "a stage of one window": {"side": 32},
    "odd window": {"side": 96, "window": 3},
    "three stages": {"depths": (2, 3, 1)},
    "no bias": {"qkv_bias": False},
    "windows that do not fit": {"side": 56, "window": 5},
    "positions": {"use_absolute_embeddings": True},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_it_gives_what_the_modules_give(shape):
    model = network(**SHAPES[shape])
    side = model.config.vision_config.image_size
    pixels = torch.randn(3, 3, side, side)
    with torch.no_grad():
        torch.testing.assert_close(logits_of(model)()(pixels), model(pixels).logits, rtol=1e-4, atol=1e-5)


def test_modules_are_called_only_where_they_must_be():
    model = network()
    read, pixels, called = logits_of(model), torch.randn(1, 3, 64, 64), []
    read()(pixels)
    hook = model.swin.encoder.layers[0].register_forward_hook(lambda *_: called.append(1))
    read()(pixels)
    hook.remove()
    read()(pixels)
    assert called == [1]


def test_changed_weights_are_read_again():
    model, pixels = network(), torch.randn(2, 3, 64, 64)
    read = logits_of(model)
    before = read()(pixels)
    with torch.no_grad():
        model.label_embed.mul_(3)
        golden = model(pixels).logits
    assert not torch.allclose(before, golden, atol=1e-3)
    torch.testing.assert_close(read()(pixels), golden, rtol=1e-4, atol=1e-5)
