"""What trains in each stage, to the letter; parameter groups; and what a checkpoint keeps."""

from pathlib import Path

import pytest
import torch

from lion.model import FROZEN, TRAINABLE, LionConfig, LionForConditionalGeneration
from lion.train import params
from lion.train.checkpoint import load_optimizer_state, optimizer_state
from lion.train.recipe.schema import OptimizerSettings
from lion.train.stages import STAGES
from tests.train.toy import ToyModel

GOLDEN = Path(__file__).parents[1] / "golden"
TUNING = ("stage1", "stage2", "stage3")


@pytest.fixture(scope="module")
def model():
    return LionForConditionalGeneration(LionConfig.tiny())


def components(model, stage):
    return {part: list(model.component_parameters(part)) for part in STAGES[stage].trainable}


@pytest.mark.parametrize("stage", TUNING)
def test_trainable_names_are_golden(model, stage):
    """To renew after an intended change: write `names` into the file, and read the diff."""
    params.freeze_all_but(model, components(model, stage))
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert names == (GOLDEN / f"trainable_{stage}.txt").read_text().split()
    assert set(params.trained_state(model)) == set(names)


@pytest.mark.parametrize("stage", TUNING)
def test_the_table_names_components_of_the_model_and_never_frozen_ones(stage):
    assert set(STAGES[stage].trainable) <= set(TRAINABLE)
    assert set(STAGES[stage].init) == {"model", "tagger", *FROZEN, *TRAINABLE}


def test_groups_hold_each_parameter_once_and_decay_matrices_only(model):
    parts = components(model, "stage3")
    groups, none = params.groups(parts, OptimizerSettings(lr=1.0, weight_decay=0.1), {"router": 3.0})
    assert none == []
    names = [name for group in groups for name in group["names"]]
    assert sorted(names) == sorted(name for named in parts.values() for name, _ in named)
    for group in groups:
        gentle = group["component"] in ("router", "tag_soft_prompt")
        assert all((p.ndim >= 2 and not gentle) == (group["weight_decay"] == 0.1) for p in group["params"])
        assert group["lr_scale"] == (3.0 if group["component"] == "router" else 1.0)


def test_muon_takes_the_matrices_between_hidden_layers_and_nothing_else(model):
    parts = components(model, "stage3")
    adamw, muon = params.groups(parts, OptimizerSettings(lr=1.0, muon=2.0, weight_decay=0.1), {"mlp": 3.0})
    by_muon = {name for group in muon for name in group["names"]}
    assert {name.rsplit(".", 1)[-1] for name in by_muon} == {"weight"}
    assert all(p.ndim == 2 for group in muon for p in group["params"])
    assert {
        "mlp.input.weight",
        "qformer.projection.weight",
        "vision_aggregator.blocks.0.feed_forward.input.weight",
    } < by_muon
    assert not any("embedding" in name or "router" in name for name in by_muon)
    assert {group["lr_scale"] for group in muon} == {2.0, 6.0}
    names = [name for group in (*adamw, *muon) for name in group["names"]]
    assert sorted(names) == sorted(name for named in parts.values() for name, _ in named)


def test_both_optimizers_learn_and_come_back_from_a_checkpoint():
    toy, settings = ToyModel(), OptimizerSettings(lr=0.1, muon=1.0)
    parts = {"body": [(f"body.{n}", p) for n, p in toy.body.named_parameters()]}
    optimizers = params.make_optimizers(parts, settings, {}, fused=False, dtype=torch.float32)
    assert [type(optimizer).__name__ for optimizer in optimizers] == ["AdamW", "Muon"]
    before = [p.detach().clone() for _, p in parts["body"]]
    for _, parameter in parts["body"]:
        parameter.grad = torch.randn_like(parameter)
    for optimizer in optimizers:
        optimizer.step()
    assert all((a != b).any() for a, (_, b) in zip(before, parts["body"], strict=True))
    state = optimizer_state(optimizers)
    again = params.make_optimizers(parts, settings, {}, fused=False, dtype=torch.float32)
    load_optimizer_state(again, state)
    found = optimizer_state(again)
    assert set(found) == set(state) and all(torch.equal(found[name], state[name]) for name in state)


def test_trained_buffers_belong_to_the_checkpoint_and_frozen_ones_do_not():
    toy = ToyModel()
    params.freeze_all_but(toy, {"body": [(f"body.{n}", p) for n, p in toy.body.named_parameters()]})
    state = params.trained_state(toy)
    assert "body.1.running_mean" in state and not any(name.startswith(("frozen", "head")) for name in state)
    changed = {name: torch.full_like(tensor, 2) for name, tensor in state.items()}
    params.load_trained_state(toy, changed)
    assert all((tensor == 2).all() for tensor in params.trained_state(toy).values())
    with pytest.raises(ValueError, match=r"do not train the same tensors: body\.0\.bias"):
        params.load_trained_state(toy, {name: t for name, t in changed.items() if name != "body.0.bias"})


def test_a_component_without_parameters_is_an_error():
    with pytest.raises(ValueError, match="the component tail has no parameters"):
        params.freeze_all_but(ToyModel(), {"tail": []})
