"""One component of the model in a folder of its own."""

import pytest
import torch

from lion.checkpoints.parts import load_part, save_part
from lion.errors import LionError
from lion.model import LionConfig, LionForConditionalGeneration


def test_parts_travel_between_folders_and_strangers_are_refused(tmp_path):
    donor, model = (LionForConditionalGeneration(LionConfig.tiny()) for _ in range(2))
    with torch.no_grad():
        for parameter in donor.parameters():
            parameter.normal_()
    save_part(donor.language_model, donor.config, "language_model", tmp_path)
    load_part(model, "language_model", tmp_path)
    own = dict(model.named_parameters())
    for name, parameter in donor.named_parameters():
        travelled = name.startswith("language_model") and ".mixture." not in name
        assert torch.equal(parameter, own[name]) == travelled
    with pytest.raises(LionError, match="holds no vision_encoder: vision_encoder"):
        load_part(model, "vision_encoder", tmp_path)
    config = LionConfig.tiny()
    config.text_config.num_heads = 4
    with pytest.raises(LionError, match="its language_model has num_heads=2 and the model 4"):
        load_part(LionForConditionalGeneration(config), "language_model", tmp_path)
    for name, problem in (
        ("config.json", "is damaged .*; train or"),
        ("model.safetensors", "is cut off .* download or"),
    ):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[:50])
        with pytest.raises(LionError, match=f"{name} {problem} copy it again"):
            load_part(model, "language_model", tmp_path)
        (tmp_path / name).write_bytes(whole)
    with pytest.raises(LionError, match=r"holds no \*\.safetensors"):
        load_part(model, "mlp", tmp_path.parent)
