"""The counted work against what torch counts while a model runs."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from lion.bench.peers import _random_prompt, random_lion
from lion.bench.stages import drawn
from lion.bench.work import Product, bytes_per_token, encode_products, flops, look_products
from lion.model import LionForConditionalGeneration, VisualFeatures
from lion.model.configuration_lion import LionConfig
from lion.pipeline import DecodingPreset, TransformersDecoder


def counted(run):
    """Operations of the matrix products in a call; attention as plain products, which torch counts everywhere."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        run()
    return counter.get_total_flops()


def test_product():
    assert flops([Product(2, 3, 5), Product(2, 3, 5, times=2, batch=7)]) == 60 + 60 * 14


@pytest.mark.parametrize("inputs", ["qformer", "aggregator", "both"])
def test_look(lion, shape, inputs):
    model = random_lion(shape, inputs, lion).model
    assert flops(look_products(model.config, 3)) == counted(lambda: model.look(torch.zeros(3, 3, 64, 64)))


def test_look_with_a_convolutional_stem():
    model = LionForConditionalGeneration(LionConfig.mini(499, 367, 498)).eval()
    assert flops(look_products(model.config, 2)) == counted(lambda: model.look(torch.zeros(2, 3, 128, 128)))


@pytest.mark.parametrize("inputs", ["qformer", "aggregator", "both"])
def test_encode(lion, shape, inputs):
    one = random_lion(shape, inputs, lion)
    look = one.look(drawn(1)[0].image, tags=False)
    decoder, prompt = TransformersDecoder(one.model, one.processor), _random_prompt(one, 9)
    features = VisualFeatures.concatenate([look.evidence.vision] * 2)
    seen = counted(lambda: decoder.generate([prompt] * 2, features, DecodingPreset(1, 1)))
    assert flops(encode_products(one.model.config, 2, 9, 9)) == seen


def test_bytes_per_token(lion, shape):
    model = random_lion(shape, "both", lion).model
    width, inner, bottleneck = shape.width, shape.text_inner, model.config.adapter_bottleneck
    mixture = 2 * (2 * width * bottleneck + bottleneck + width + 1) + 4 * width  # adapters with biases, router
    layer = 6 * width**2 + 3 * width * inner + 3 * width + mixture
    bias = 32 * shape.heads  # of relative positions, once
    assert bytes_per_token(model) == 4 * (shape.text_layers * layer + bias + width + width * shape.vocabulary)
