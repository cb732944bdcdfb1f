"""Adapters: one file with what was trained, on the model that it was trained on and on no other."""

import json
from copy import deepcopy

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from lion.checkpoints.adapters import Adapters, component_hashes, save_adapters
from lion.checkpoints.tensors import own_tensors
from lion.errors import LionError
from lion.model import FROZEN, TRAINABLE
from lion.model.modeling_lion import component_of
from tests.pipeline import tiny

MIXTURE = ("image_adapter", "region_adapter", "router")


@pytest.fixture(scope="module")
def model():
    return tiny.model(tiny.processor())


def trained(model, components, seed=0):
    """A copy whose components have moved."""
    torch.manual_seed(seed)
    own = deepcopy(model)
    with torch.no_grad():
        for name, parameter in own.named_parameters():
            if component_of(name) in components:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return own


@pytest.fixture(scope="module")
def shop(model):
    return trained(model, MIXTURE)


@pytest.fixture
def file(shop, tmp_path):
    save_adapters(shop, MIXTURE, tmp_path / "adapters.safetensors", "tiny", {"name": "shop", "steps": 3})
    return tmp_path / "adapters.safetensors"


def test_the_model_with_adapters_is_the_trained_one(model, shop, file):
    own = Adapters.read(file).on(model)
    assert all(torch.equal(own.state_dict()[name], tensor) for name, tensor in shop.state_dict().items())


def test_what_was_not_trained_is_shared_and_the_model_stays_as_it_is(model, file):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    own, theirs = dict(Adapters.read(file).on(model).named_parameters()), dict(model.named_parameters())
    for name, tensor in own.items():
        assert (tensor is theirs[name]) == (component_of(name) not in MIXTURE), name
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_the_file_holds_whole_components_and_their_record(file):
    adapters = Adapters.read(file.parent)  # the folder of a run
    assert (adapters.name, adapters.components, adapters.record["steps"]) == ("shop", frozenset(MIXTURE), 3)
    with safe_open(file, "pt") as opened:
        record = json.loads(opened.metadata()["lion"])
    assert record["base"]["name"] == "tiny" and set(record["base"]["hashes"]) == {*FROZEN, *TRAINABLE} - {*MIXTURE}


def test_they_can_be_named(file):
    assert Adapters.read(f"toys={file}").name == "toys"
    with pytest.raises(LionError, match="without a colon"):
        Adapters.read(f"a:b={file}")


@pytest.mark.parametrize("component", ["vision_encoder", "language_model", "qformer"])
def test_a_model_with_another_frozen_part_is_refused_by_name(model, file, component):
    other = trained(model, (component,))
    with pytest.raises(LionError, match=rf"adapters.safetensors' was trained beside another {component} .* to tiny"):
        Adapters.read(file).on(other)


def test_a_model_whose_other_adapters_were_trained_takes_them(model, shop, file):
    """All that they were trained beside is there; what they hold replaces the model's."""
    own = Adapters.read(file).on(trained(model, MIXTURE, seed=1))
    assert all(torch.equal(own.state_dict()[name], tensor) for name, tensor in shop.state_dict().items())


def test_precision_does_not_matter(model, file):
    own = Adapters.read(file).on(deepcopy(model).to(torch.bfloat16))
    assert own.language_model.encoder.block[0].mixture.router.gates.dtype == torch.bfloat16


def test_a_model_of_another_shape_is_refused(model, file):
    wide = deepcopy(model)
    wide.language_model.encoder.block[0].mixture.router.gates = torch.nn.Parameter(torch.ones(2, 2, 99))
    with pytest.raises(LionError, match=r"does not fit the model: language_model.*; it belongs to tiny"):
        Adapters.read(file).on(wide)


def test_files_that_are_none(tmp_path, file):
    with pytest.raises(LionError, match=r"there is no file .*lion finetune left"):
        Adapters.read(tmp_path / "nothing.safetensors")
    save_file({"a": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(LionError, match="does not say which model"):
        Adapters.read(tmp_path / "other.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(file.read_bytes()[:-9])
    with pytest.raises(LionError, match="cut off"):
        Adapters.read(tmp_path / "cut.safetensors")


def test_a_quantised_component_has_no_hash(model):
    quantised = deepcopy(model)
    layer = quantised.vision_encoder.vit.encoder.layers[0].mlp.fc1
    layer.weight = torch.nn.Parameter(layer.weight.to(torch.int8), requires_grad=False)
    assert component_hashes(own_tensors(quantised), ["vision_encoder", "mlp"])["vision_encoder"] is None
