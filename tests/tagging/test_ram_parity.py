"""Our RAM against the released one at tiny size, number by number; weights are regenerated from tensor names.

Bound: max|ours - golden| <= 1e-5 * max|golden|, a tenth of what the project allows; measured worst ratio 1.1e-6. For
comparison, tanh instead of erf GELU moves the logits by 1.4e-4 and a wrong number of heads by 7e-2. Wrong LayerNorm
epsilons move them by 1e-6 to 8e-6 only, so those are compared as settings instead.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from transformers import SwinConfig

from lion.tagging.configuration_ram import RamConfig
from lion.tagging.modeling_ram import RamModel
from lion.tagging.ram_tagger import RamTagger, TagPolicy, preprocess
from tests.tagging.released import FOLDER, GOLDEN, golden_weights, read_json, swin_large

BOUND = 1e-5

# golden tensor -> our module whose output it is
MODULES = {
    "swin.patch_embed": "swin.embeddings",
    "swin.stage0.block0": "swin.encoder.layers.0.blocks.0",
    "swin.stage0.block1": "swin.encoder.layers.0.blocks.1",
    "swin.stage0": "swin.encoder.layers.0",
    "swin.stage1": "swin.encoder.layers.1",
    "swin.stage2": "swin.encoder.layers.2",
    "swin.stage3": "swin.encoder.layers.3",
    "swin.norm": "swin.layernorm",
    "image_proj": "image_proj",
    "wordvec_proj_before_relu": "wordvec_proj",
    "tagging_head.layer0.crossattn": "layers.0.cross_attention",
    "tagging_head.layer0": "layers.0",
    "tagging_head.layer1.crossattn": "layers.1.cross_attention",
    "tagging_head.layer1": "layers.1",
}


def golden_config() -> RamConfig:
    golden = read_json("config.json")
    swin, head = golden["swin"], golden["tagging_head"]
    names = ("embed_dim", "depths", "num_heads", "window_size", "patch_size", "mlp_ratio", "qkv_bias", "layer_norm_eps")
    return RamConfig(
        id2label=dict(enumerate(golden["tags"])),
        vision_config=SwinConfig(image_size=golden["image_size"], **{name: swin[name] for name in names}),
        label_width=golden["label_embed_width"],
        hidden_size=head["hidden_size"],
        num_hidden_layers=head["num_hidden_layers"],
        num_attention_heads=head["num_attention_heads"],
        intermediate_size=head["intermediate_size"],
        layer_norm_eps=head["layer_norm_eps"],
        thresholds=golden["thresholds"],
    )


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    return load_file(FOLDER / "outputs.safetensors")


@pytest.fixture(scope="module")
def model() -> RamModel:
    model = RamModel(golden_config()).eval()
    model.load_state_dict(golden_weights())  # strict: nothing left over or missing
    return model


@pytest.fixture(scope="module")
def outputs(model: RamModel) -> dict[str, Tensor]:
    """Every tensor the golden file names, from one pass of ours."""
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            seen[name] = output[0] if isinstance(output, tuple) else output

        return hook

    handles = [model.get_submodule(ours).register_forward_hook(keep(name)) for name, ours in MODULES.items()]
    handles.append(model.image_proj.register_forward_pre_hook(lambda _, inputs: seen.update(visual_encoder=inputs[0])))
    with torch.no_grad():
        seen["logits"] = model(load_file(FOLDER / "inputs.safetensors")["image"]).logits
    seen["probabilities"] = seen["logits"].sigmoid()
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("name", [*MODULES, "visual_encoder", "logits", "probabilities"])
def test_every_golden_tensor(name: str, outputs: dict[str, Tensor], golden: dict[str, Tensor]) -> None:
    ours, theirs = outputs[name], golden[name]
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= BOUND * theirs.abs().max()


def test_tags_are_the_released_ones(model: RamModel, outputs: dict[str, Tensor]) -> None:
    tagger = RamTagger(model)
    assert tagger.policy == TagPolicy()
    joined = [", ".join(tags) for tags in tagger.pick(outputs["probabilities"])]
    assert joined == read_json("outputs.json")["tags_as_lion_uses_them"]


def pictures() -> Iterator[tuple[str, Image.Image]]:
    for name in ("image_61x83", "image_300x200"):  # the order of `png_logits`
        yield name, Image.open(GOLDEN / "preprocess" / f"{name}.png")


@pytest.mark.parametrize("side", [128, 384])
def test_pictures_are_squashed_as_released(side: int) -> None:
    resized = np.load(GOLDEN / "preprocess" / "resized_u8.npz")
    normalised = load_file(GOLDEN / "preprocess" / "tensors.safetensors")
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    for name, image in pictures():
        ours = preprocess([image], side)[0]
        expected = torch.from_numpy(resized[f"{name}.bilinear_{side}_u8"])
        assert torch.equal((ours.movedim(0, -1) * std + mean).mul(255).round().to(torch.uint8), expected)
        if side == 128:
            assert torch.equal(ours, normalised[f"{name}.ram_128"])


def test_from_file_to_tags(model: RamModel, golden: dict[str, Tensor]) -> None:
    tagger = RamTagger(model)
    images = [image for _, image in pictures()]
    expected = golden["png_logits"].sigmoid()
    assert (tagger.scores(images) - expected).abs().max() <= BOUND
    assert [", ".join(tags) for tags in tagger(images)] == read_json("outputs.json")["lion_generate_tags_on_png"]


def test_full_size_has_the_settings_no_tensor_shows() -> None:
    golden, released = golden_config(), swin_large(["dog"])
    assert released.layer_norm_eps == golden.layer_norm_eps == 1e-12
    assert released.vision_config.layer_norm_eps == golden.vision_config.layer_norm_eps == 1e-5
    assert (released.num_attention_heads, released.hidden_act) == (4, "gelu")
    assert (released.vision_config.window_size, list(released.vision_config.num_heads)) == (12, [6, 12, 24, 48])
