"""The configuration: what it refuses, what it sets whatever it is told, and the sizes of its presets."""

import json
from pathlib import Path

import pytest
import torch

from lion.model import FROZEN, TRAINABLE, LionConfig, LionForConditionalGeneration

GOLDEN = Path(__file__).parent.parent / "golden"


def test_config_rejects_what_cannot_be():
    with pytest.raises(ValueError, match="visual_inputs"):
        LionConfig(visual_inputs="all")
    with pytest.raises(ValueError, match="counted from 1"):
        LionConfig(taps=(39, 29, 0))


def test_presets_have_the_published_sizes():
    with torch.device("meta"):
        model = LionForConditionalGeneration(LionConfig.flan_t5_xl())
    counts = {part: sum(p.numel() for _, p in model.component_parameters(part)) for part in FROZEN + TRAINABLE}
    golden = json.loads((GOLDEN / "parameter_counts_xl.json").read_text())
    assert counts == golden
    assert sum(p.numel() for p in LionForConditionalGeneration(LionConfig.tiny()).parameters()) < 5_000_000


def test_a_saved_configuration_comes_back_equal(tmp_path):
    config = LionConfig.mini(500, 600, 7)
    config.save_pretrained(tmp_path)
    again = LionConfig.from_pretrained(tmp_path)
    assert again.to_dict() == config.to_dict() and again.taps == (4, 3, 2)


def test_parts_take_the_width_of_what_they_read_and_the_activation_lion_was_trained_with():
    config = LionConfig(text_config={"dense_act_fn": "relu"}, vision_config={"hidden_size": 96})
    assert config.text_config.dense_act_fn == "gelu" and not config.text_config.scale_decoder_outputs
    assert config.qformer_config.encoder_hidden_size == 96
