"""Norms, gates, rates and arithmetic: what is logged is what a step had."""

import math

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from lion.model.mixture_of_adapters import MixtureOfAdapters
from lion.train import gauges
from lion.train.gauges import FlopCount
from lion.train.muon import Muon
from lion.train.params import freeze_all_but, make_optimizers
from lion.train.recipe.schema import OptimizerSettings
from tests.train.toy import ToyModel


def optimizers(components, scales=None, **settings):
    plain = OptimizerSettings(lr=0.1, **settings)
    return make_optimizers(components, plain, scales or {}, fused=False, dtype=torch.float32)


@pytest.fixture
def toy():
    model = ToyModel()
    parts = {name: [(n, p) for n, p in getattr(model, name).named_parameters()] for name in ("body", "head")}
    freeze_all_but(model, parts)
    return model, parts


def test_a_component_has_the_norm_of_all_its_gradients(toy):
    model, parts = toy
    several = optimizers(parts, muon=1.0)
    assert any(isinstance(each, Muon) for each in several), "a component's parameters in two optimizers"
    assert gauges.gradient_norms(several) is None
    model(torch.randn(8, 4)).sum().backward()
    model.head.bias.grad = None
    keys, norms = gauges.gradient_norms(several)
    wanted = {name: math.sqrt(sum(float(p.grad.square().sum()) for _, p in parts[name] if p.grad is not None))
              for name in parts}  # fmt: skip
    assert keys == [("grad_norms", "body"), ("grad_norms", "head")]
    assert norms.tolist() == pytest.approx(list(wanted.values()), rel=1e-5)


def test_gates_are_those_that_train_by_block_level_and_adapter():
    model = nn.ModuleDict({
        stack: nn.ModuleDict({"block": nn.ModuleList([MixtureOfAdapters(6, 2) for _ in range(2)])})
        for stack in ("encoder", "decoder")
    })  # fmt: skip
    last = model["decoder"]["block"][1].router.gates
    with torch.no_grad():
        last[1, 0] = torch.arange(6.0)
    keys, values = gauges.gates(model)
    found = dict(zip(keys, values.tolist(), strict=True))
    assert len(found) == 4 * 4 and found["gates", "encoder 1", "region/region"] == 1
    assert found["gates", "encoder 1", "image/region"] == 0 and found["gates", "decoder 2", "image/region"] == 2.5
    model.requires_grad_(False)
    assert gauges.gates(model) is None
    last.requires_grad_(True)
    assert {block for _, block, _ in gauges.gates(model)[0]} == {"decoder 2"}


def test_rates_are_told_where_they_are_not_the_runs(toy):
    _, parts = toy
    assert gauges.learning_rates(optimizers(parts), 0.1) == {}
    scaled = optimizers(parts, {"head": 0.5}, muon=2.0)
    for group in (group for each in scaled for group in each.param_groups):
        group["lr"] = 0.1 * group["lr_scale"]
    assert gauges.learning_rates(scaled, 0.1) == {"head": 0.05, "body (muon)": 0.2}, "the head's matrix by muon has 0.1"


@pytest.mark.parametrize(
    ("name", "flops"),
    [
        ("NVIDIA H200", 989e12),
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA A100-SXM4-40GB", 312e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA GeForce RTX 4090", 165e12),
        ("NVIDIA H100 PCIe", None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("NVIDIA A10G", None),
        ("Tesla T4", None),
    ],
)
def test_a_card_is_known_by_its_name(name, flops, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    assert gauges.peak_flops(torch.device("cuda"), torch.bfloat16) == flops
    assert gauges.peak_flops(torch.device("cuda"), torch.float32) is None
    assert gauges.peak_flops(torch.device("cpu"), torch.bfloat16) is None


def test_arithmetic_is_counted_without_what_is_computed_again():
    layers = nn.ModuleList([nn.Linear(16, 16) for _ in range(3)])
    x = torch.randn(4, 16, requires_grad=True)

    def through(again: bool) -> torch.Tensor:
        hidden = x
        for layer in layers:
            hidden = checkpoint(layer, hidden, use_reentrant=False) if again else layer(hidden)
            hidden = nn.functional.scaled_dot_product_attention(*[hidden[None, None]] * 3)[0, 0]
        return hidden.sum()

    with FlopCounterMode(display=False) as reference:
        through(False).backward()
    kept = [layer.weight.grad.clone() for layer in layers]
    for again in (False, True):
        layers.zero_grad()
        with FlopCount() as count:
            through(again).backward()
        assert count.flops == reference.get_total_flops()
        assert all(torch.equal(layer.weight.grad, grad) for layer, grad in zip(layers, kept, strict=True))
