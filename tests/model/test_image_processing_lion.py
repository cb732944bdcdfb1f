"""Pictures to pixels: bit for bit as the released transform makes them."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from lion.model import LionImageProcessor
from tests.parity.released import GOLDEN

PREPROCESS = GOLDEN / "preprocess"
PICTURES = ("image_300x200", "image_61x83")


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("side", [56, 224])
def test_pictures_equal_the_released_transform(name, side):
    """Exactly, up to Pillow 13's own change of some downscales (golden/README, Preprocess)."""
    golden = np.load(PREPROCESS / "resized_u8.npz")
    keys = [key for key in (f"{name}.bicubic_{side}_u8", f"{name}.bicubic_{side}_u8_pillow13") if key in golden]
    ours = LionImageProcessor(side).resize(Image.open(PREPROCESS / f"{name}.png"))
    assert any(np.array_equal(ours, golden[key]) for key in keys)


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize(("side", "suffix"), [(56, ""), (224, "_f16")])
def test_normalisation_is_exact(name, side, suffix):
    golden = load_file(PREPROCESS / "tensors.safetensors")[f"{name}.lion_eval_{side}{suffix}"]
    resized = np.load(PREPROCESS / "resized_u8.npz")[f"{name}.bicubic_{side}_u8"]
    ours = LionImageProcessor(side).normalize(resized[None])[0]
    assert torch.equal(ours.to(golden.dtype), golden)


def test_constants_are_clips():
    constants = json.loads((PREPROCESS / "config.json").read_text())["lion_eval"]
    processor = LionImageProcessor()
    assert [processor.image_size, processor.image_mean, processor.image_std] == [
        constants["S"],
        constants["mean"],
        constants["std"],
    ]
