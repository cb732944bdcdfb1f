"""What stays in float32 when the rest is loaded in half precision, in 8 or 4 bits, or over several devices."""

import pytest
import torch
from torch import nn
from transformers import BitsAndBytesConfig
from transformers.quantizers.base import HfQuantizer
from transformers.quantizers.quantizers_utils import should_convert_module

from lion.checkpoints.finding import find_folder
from lion.model import LionConfig, LionForConditionalGeneration
from lion.pipeline import LionPipeline
from lion.world import render
from lion.world import test_questions as questions
from tests.model.test_modeling_lion import inputs, labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(0)
    model = LionForConditionalGeneration(LionConfig.tiny())
    with torch.no_grad():  # what starts by adding nothing would hide a mistake
        for name, parameter in model.named_parameters():
            if ".mixture." in name or "vision_aggregator" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    folder = tmp_path_factory.mktemp("precision")
    model.save_pretrained(folder)
    return folder


def high(name: str) -> bool:
    """Adapters, routers, and the norms before the Q-Former and in the aggregator."""
    return ".mixture." in name or name.startswith("qformer.vision_norm.") or ".norm." in name


def test_half_precision_keeps_what_must_stay_high(folder):
    kept = {}
    for dtype in (torch.float16, torch.bfloat16):
        model = LionForConditionalGeneration.from_pretrained(folder, dtype=dtype)
        assert model.dtype == dtype
        kept[dtype] = {name for name, parameter in model.named_parameters() if parameter.dtype == torch.float32}
    names = {name for name, _ in model.named_parameters()}
    assert kept[torch.bfloat16] == {name for name in names if high(name)}
    assert kept[torch.float16] == {name for name in names if high(name) or name.endswith(".wo.weight")}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_mixed_precision_answers_like_float32(folder, dtype):
    exact = LionForConditionalGeneration.from_pretrained(folder).eval()
    rounded = LionForConditionalGeneration.from_pretrained(folder, dtype=dtype).eval()
    batch = inputs()
    with torch.no_grad():
        wanted = exact(**batch, labels=labels()).logits
        logits = rounded(**batch | {"pixel_values": batch["pixel_values"].to(dtype)}, labels=labels()).logits
    assert logits.dtype == dtype
    assert (logits.float() - wanted).abs().max() < 0.05 * wanted.abs().max()


def test_the_residual_stream_is_float32_from_the_first_mixture_on(folder):
    """As released: adapters in float32 lift what they join."""
    model = LionForConditionalGeneration.from_pretrained(folder, dtype=torch.bfloat16).eval()
    seen = []
    model.language_model.encoder.block[0].register_forward_hook(lambda _m, _a, output: seen.append(output[0].dtype))
    batch = inputs()
    with torch.no_grad():
        model(**batch | {"pixel_values": batch["pixel_values"].bfloat16()}, labels=labels())
    assert seen == [torch.float32]


@pytest.mark.parametrize("skip", [None, ["mlp"]])
def test_what_8_and_4_bit_loading_leaves_alone(skip):
    """transformers' own choice for bitsandbytes, made without it: every Linear but wo, the mixtures and lm_head."""
    with torch.device("meta"):
        model = LionForConditionalGeneration(LionConfig.tiny())
    patterns = HfQuantizer.get_modules_to_not_convert(model, skip, model._keep_in_fp32_modules, add_default_skips=True)
    linear = {name for name, module in model.named_modules() if type(module) is nn.Linear}
    left_alone = {name for name in linear if not should_convert_module(name, patterns)}
    assert left_alone == {
        name
        for name in linear
        if ".mixture." in name or name.endswith((".wo", ".lm_head")) or (skip and name.startswith("mlp."))
    }
    assert any(name.startswith("vision_encoder") for name in linear - left_alone)


@pytest.mark.parametrize("settings", [{"load_in_8bit": True}, {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}])
def test_lion_mini_answers_in_8_and_4_bits(settings):
    """bitsandbytes itself, on this CPU: what is left alone stays float32, and hardly an answer changes."""
    exact = LionPipeline.from_pretrained(None, device="cpu")
    quantised = LionForConditionalGeneration.from_pretrained(
        find_folder(None)[0], dtype=torch.float32, device_map="cpu", quantization_config=BitsAndBytesConfig(**settings)
    )
    modules = dict(quantised.named_modules())
    packed = {name for name, module in modules.items() if type(module).__name__ in ("Linear8bitLt", "Linear4bit")}
    assert len(packed) > 100 and not any(".mixture." in name or name.endswith((".wo", "lm_head")) for name in packed)
    kept = [p for name, p in quantised.named_parameters() if name.removesuffix(".weight") not in packed]
    assert {p.dtype for p in kept} == {torch.float32}
    assert quantised.get_memory_footprint() < 0.5 * exact.model.get_memory_footprint()
    small = LionPipeline(quantised, exact.processor, exact.tagger)
    asked = [(render(question.scene), question.question) for question in questions("vqa", 8, split="val")]
    same = [small.ask(*one).text == exact.ask(*one).text for one in asked]
    assert sum(same) >= 7


PARTS = ("vision_encoder", "qformer", "vision_aggregator", "mlp", "tag_soft_prompt", "language_model")


@pytest.mark.parametrize("device_map", ["auto", "cpu", {"": "cpu"}, dict.fromkeys(PARTS, "cpu") | {"mlp": "disk"}])
def test_device_map(folder, tmp_path, device_map):
    plain = LionForConditionalGeneration.from_pretrained(folder).eval()
    placed = LionForConditionalGeneration.from_pretrained(folder, device_map=device_map, offload_folder=tmp_path).eval()
    batch = inputs()
    with torch.no_grad():
        assert torch.equal(placed(**batch, labels=labels()).logits, plain(**batch, labels=labels()).logits)


def test_blocks_that_must_stay_whole_are_named_as_they_are():
    model = LionForConditionalGeneration(LionConfig.tiny())
    present = {type(module).__name__ for module in model.modules()}
    assert set(LionForConditionalGeneration._no_split_modules) <= present
