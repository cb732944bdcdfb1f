"""Frozen weights in fewer bits: bfloat16 changes no bit of what is learnt, and what is exported is not rounded."""

import json

import pytest
import torch
from safetensors.torch import load_file
from torch._subclasses.fake_tensor import FakeTensorMode

from lion.errors import LionError
from lion.model import LionConfig, LionForConditionalGeneration
from lion.pipeline import LionPipeline
from lion.train.dry_run import dry_run
from lion.train.frozen import bytes_of, frozen_matrices, load_in_bfloat16
from lion.train.language_modelling import LanguageModelling
from lion.train.params import make_optimizers
from lion.train.plan.tally import Pass, forward, longest_batch, prepare
from lion.train.presets import preset_config, world_processor
from lion.train.recipe.schema import OptimizerSettings
from lion.train.run import build_model, train
from lion.train.stages import STAGES
from lion.world import render, scene
from tests.train.test_language_modelling import cache, recipe, rows  # noqa: F401 - the fixture is for all tests here

HELD = ("fp32", "bf16", "int8", "nf4")


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A folder with a LION whose adapters add something."""
    folder = tmp_path_factory.mktemp("start")
    torch.manual_seed(0)
    processor = world_processor("tiny")
    fields = preset_config("tiny", processor).to_dict()
    fields["vision_config"]["hidden_size"] = fields["text_config"]["d_model"] = fields["text_config"]["d_ff"] = 64
    fields["qformer_config"] |= {"hidden_size": 64, "encoder_hidden_size": 64}
    fields["text_config"]["num_heads"] = 4
    model = LionForConditionalGeneration(LionConfig(**fields))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".mixture." in name or "vision_aggregator" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def run(stage, root, start, held, **fields):
    settings = {"precision": "bf16", "init": {"model": str(start)}, "frozen_weights": held, "out": f"{stage}-{held}"}
    return recipe(stage, root, **settings, **fields)


@pytest.mark.parametrize(("stage", "checkpointing"), [("stage1", False), ("stage2", True), ("stage3", True)])
def test_bfloat16_changes_no_bit(tmp_path, start, stage, checkpointing):
    runs = [run(stage, tmp_path, start, held, gradient_checkpointing=checkpointing) for held in ("fp32", "bf16")]
    for each in runs:
        train(each)
    curves = [[(row["loss"], row["grad_norm"], row["per_task"]) for row in rows(each.folder)] for each in runs]
    assert curves[0] == curves[1] and len(curves[0]) == 3
    one, other = (load_file(each.folder / "model.safetensors") for each in runs)
    assert one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    assert (runs[0].folder / "config.json").read_text() == (runs[1].folder / "config.json").read_text()


def test_what_is_held_in_bfloat16(start):
    for stage in ("stage1", "stage2", "stage3"):
        trained = STAGES[stage].trainable
        model = load_in_bfloat16(start, "start", trained)
        halved = {name for name, parameter in model.named_parameters() if parameter.dtype == torch.bfloat16}
        assert halved == {f"{name}.weight" for name in frozen_matrices(model, trained)}
        assert {p.dtype for n, p in model.named_parameters() if n not in halved} == {torch.float32}
        assert not any(parameter.is_meta for parameter in [*model.parameters(), *model.buffers()])
        assert model.language_model.encoder.embed_tokens.weight is model.language_model.shared.weight
        exact = LionForConditionalGeneration.from_pretrained(start)
        size = sum(parameter.nbytes for parameter in model.parameters())
        assert bytes_of(exact, trained, "bf16") == size < bytes_of(exact, trained, "fp32")
        assert all(torch.equal(b, dict(exact.named_buffers())[n]) for n, b in model.named_buffers())
        assert model.generation_config.to_dict() == exact.generation_config.to_dict()


def released(stage):
    """LION-FlanT5-XL as a stage trains it, without values."""
    config = LionConfig.flan_t5_xl()
    config.visual_inputs = STAGES[stage].visual_inputs
    with torch.device("meta"):
        return LionForConditionalGeneration(config)


def test_weights_of_the_released_size():
    sizes = {held: bytes_of(released("stage3"), STAGES["stage3"].trainable, held) for held in HELD}
    assert {held: round(size / 1e9, 2) for held, size in sizes.items()} == {
        "fp32": 16.47, "bf16": 8.93, "int8": 5.74, "nf4": 4.19
    }  # fmt: skip


@pytest.mark.parametrize("stage", ["stage1", "stage2", "stage3"])
def test_what_is_frozen_costs_no_gradient_and_no_optimizer_state_at_the_released_size(stage):
    one = Pass(STAGES[stage].trainable, torch.float32, 8, 4)
    model = released(stage)
    parts = {part: list(model.component_parameters(part)) for part in one.trained}
    trained = sum(parameter.numel() for named in parts.values() for _, parameter in named)
    passed = released(stage)
    with FakeTensorMode(allow_non_fake_inputs=True):  # shapes without values, as on the meta device
        passed.to_empty(device="cpu")
        prepare(passed, one)
        forward(passed, longest_batch(passed.config, one, 2)).sum().backward()
        got = {name for name, parameter in passed.named_parameters() if parameter.grad is not None}
    assert got <= {name for named in parts.values() for name, _ in named}
    for name, parameter in model.named_parameters():
        parameter.grad = torch.empty_like(parameter) if name in got else None
    gradients = sum(parameter.grad.nbytes for parameter in model.parameters() if parameter.grad is not None)
    assert 0.97 * 4 * trained < gradients <= 4 * trained  # the Q-Former's last layer reads no text
    (optimizer,) = make_optimizers(parts, OptimizerSettings(lr=1e-3), {}, fused=False, dtype=torch.float32)
    optimizer.step()
    state = [value for kept in optimizer.state.values() for value in kept.values() if value.ndim]
    assert sum(value.nbytes for value in state) == 2 * gradients


@pytest.mark.parametrize("held", ["bf16", "int8", "nf4"])
def test_it_trains_validates_resumes_and_exports(tmp_path, start, held):
    """Gradients of what trains pass through what is held; after a validation as before it."""
    if held != "bf16":
        pytest.importorskip("bitsandbytes")
    whole = run("stage3", tmp_path / "whole", start, held, steps=4, optimizer={"lr": 0.003})
    calm = run("stage3", tmp_path / "calm", start, "fp32", steps=4, optimizer={"lr": 0.003})
    validated = run(
        "stage3", tmp_path, start, held, steps=4, optimizer={"lr": 0.003}, validation={"every": 2, "samples": 2},
        checkpoint={"every": 2},
    )  # fmt: skip

    class Interrupted(LanguageModelling):
        def batch(self, step, shard=0):
            if step == 3:
                raise KeyboardInterrupt
            return super().batch(step, shard)

    train(calm)
    train(whole)
    with pytest.raises(KeyboardInterrupt):
        train(validated, objective=Interrupted(validated))
    saved = load_file(validated.folder / "checkpoints/step-0000002/trained.safetensors")
    assert {tensor.dtype for tensor in saved.values()} == {torch.float32}
    assert not any(name.startswith("vision_encoder") for name in saved)
    assert {"rec/accuracy@0.5"} < set(train(validated)["scores"])
    curves = [[row["loss"] for row in rows(each.folder)] for each in (calm, whole, validated)]
    assert curves[1] == curves[2] and curves[1] == pytest.approx(curves[0], rel=0 if held == "bf16" else 0.05)
    first, last = (load_file(folder / "model.safetensors") for folder in (start, validated.folder))
    assert first.keys() == last.keys()
    moved = {name for name, tensor in first.items() if not torch.equal(tensor, last[name])}
    assert moved and not any(
        name.startswith("vision_encoder") or (".layer." in name and "language" in name) for name in moved
    )
    assert LionPipeline.from_pretrained(validated.folder).look(render(scene("val", 0))).size == (256, 256)


@pytest.mark.parametrize("held", ["int8", "nf4"])
def test_quantised_layers(tmp_path, start, held):
    pytest.importorskip("bitsandbytes")
    one = run("stage3", tmp_path, start, held)
    model, _ = build_model(LanguageModelling(one), torch.device("cpu"))
    kind = {"int8": "Linear8bitLt", "nf4": "Linear4bit"}[held]
    packed = {name for name, module in model.named_modules() if type(module).__name__ == kind}
    assert packed and not any(".mixture." in name or name.endswith((".wo", "lm_head")) for name in packed)
    assert all(name.startswith(("vision_encoder.", "language_model.")) for name in packed)
    held_bytes = sum(parameter.nbytes for parameter in model.parameters())
    weights = dict(model.named_parameters())
    assert {weights[f"{name}.weight"].dtype for name in packed} == {{"int8": torch.int8, "nf4": torch.uint8}[held]}
    guess = bytes_of(LionForConditionalGeneration.from_pretrained(start), STAGES["stage3"].trainable, held)
    assert held_bytes <= guess < 1.02 * held_bytes


def test_without_bitsandbytes_one_line_says_so(tmp_path, start, monkeypatch):
    monkeypatch.setattr("lion.train.frozen.find_spec", lambda name: None)
    with pytest.raises(LionError, match="frozen_weights: nf4 needs bitsandbytes: pip install bitsandbytes"):
        LanguageModelling(run("stage1", tmp_path, start, "nf4")).build()


def test_a_dry_run_knows_what_they_take(tmp_path, start):
    plans = {held: dry_run(run("stage3", tmp_path, start, held))[0] for held in ("fp32", "bf16", "nf4")}
    assert plans["nf4"].memory_bytes < plans["bf16"].memory_bytes < plans["fp32"].memory_bytes
    assert json.dumps(plans["bf16"].trained) == json.dumps(plans["fp32"].trained)
