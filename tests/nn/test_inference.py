"""Layers read once give what the modules give, and notice whatever happens to the modules."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from lion.nn import inference
from lion.nn.inference import Affine, Read, Snapshot, attend, is_plain, norm_of, patches_of
from lion.nn.stem import ConvolutionalStem


@pytest.fixture
def layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Sequential(nn.Linear(8, 4, bias=False))).eval()


def test_an_affine_is_its_layers_side_by_side(layers):
    rows, stream = torch.randn(5, 6), torch.randn(5, 12)
    first, second = layers[0], nn.Linear(6, 4, bias=False)
    ours, golden = Affine(first, second), torch.cat([first(rows), second(rows)], dim=1)
    torch.testing.assert_close(ours(rows), golden)
    torch.testing.assert_close(ours.added_to(stream, rows), stream + golden)


def test_a_norm_is_the_layers_own():
    layer, rows = nn.LayerNorm(6, eps=0.1), torch.randn(5, 6)
    nn.init.normal_(layer.weight)
    assert torch.equal(norm_of(layer)(rows), layer(rows))


def test_attention_reads_parts_of_rows_and_leaves_out_what_is_masked():
    joined, mask = torch.randn(2, 5, 24), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]).bool()
    ours = attend(*joined.chunk(3, dim=-1), heads=2, mask=mask[:, None, None]).view(2, 5, 8)
    query, key, value = (part[1, :, :4] for part in joined.chunk(3, dim=-1))
    weights = (query @ key[:3].T / 2).softmax(-1)
    torch.testing.assert_close(ours[1, :, :4], weights @ value[:3])


@pytest.mark.parametrize("length", [1, 7, 8, 15, 16, 24, 41])
@pytest.mark.parametrize("masked", [False, True])
def test_keys_that_fill_a_vector_are_not_seen(length, masked):
    joined = 3 * torch.randn(2, length, 24)
    mask = torch.arange(length) <= torch.tensor([[length], [length // 2]]) if masked else None
    ours = attend(*joined.chunk(3, dim=-1), heads=2, mask=None if mask is None else mask[:, None, None])
    query, key, value = (part.unflatten(-1, (2, 4)).transpose(1, 2) for part in joined.chunk(3, dim=-1))
    scores = query @ key.transpose(2, 3) / 2
    scores = scores if mask is None else scores.masked_fill(~mask[:, None, None], -torch.inf)
    torch.testing.assert_close(ours, (scores.softmax(-1) @ value).transpose(1, 2).reshape(2 * length, 8))


@pytest.mark.parametrize("patch", [4, 8, 16])
def test_a_stem_is_folded(patch):
    torch.manual_seed(0)
    stem = ConvolutionalStem(patch, 16)
    for _ in range(3):
        stem(torch.randn(4, 3, 32, 32))  # running means and variances of its own
    pixels = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(patches_of(stem.eval())(pixels), stem(pixels), rtol=1e-4, atol=1e-5)


CHANGES = {
    "written to": lambda layers: layers[0].weight.add_(1),
    "replaced": lambda layers: setattr(layers[0], "weight", nn.Parameter(layers[0].weight.clone())),
    "new data": lambda layers: setattr(layers[0].weight, "data", layers[0].weight.clone()),
    "other type": lambda layers: layers.double(),
    "loaded": lambda layers: layers.load_state_dict(copy.deepcopy(layers.state_dict())),
    "buffer": lambda layers: layers[1].running_mean.add_(1),
    "layer replaced": lambda layers: setattr(layers[2], "0", nn.Linear(8, 4, bias=False)),
    "layer added": lambda layers: layers.append(nn.ReLU()),
    "training": lambda layers: layers.train(),
    "hook": lambda layers: layers[2][0].register_forward_hook(print),
    "bias removed": lambda layers: setattr(layers[0], "bias", None),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_are_noticed(layers, change):
    snapshot = Snapshot(layers)
    assert snapshot.holds()
    with torch.no_grad():
        CHANGES[change](layers)
    assert not snapshot.holds()


def test_a_snapshot_holds_while_nothing_changes(layers):
    snapshot = Snapshot(layers)
    layers(torch.randn(3, 6)).sum().backward()
    assert layers.eval().state_dict() and snapshot.holds()


def test_what_is_read_is_made_once_and_again_after_a_change(layers):
    made = []
    read = Read([layers], lambda: made.append(1) or len(made))
    assert [read(), read()] == [1, 1]
    with torch.no_grad():
        layers[0].bias.zero_()
    assert [read(), read()] == [2, 2]


def test_a_copy_for_another_process_reads_its_own_modules(layers):
    read = Read([layers], dict)
    made = read()
    other = pickle.loads(pickle.dumps(read))
    assert other.modules[0] is not layers and other() == made and other() is not made


class Around(nn.Module):
    """A layer around a layer, as LoRA and quantisation put there."""

    def __init__(self, base):
        super().__init__()
        self.base = base


class Own(nn.Linear):
    """A linear layer of somebody's own."""


NOT_PLAIN = {
    "half": lambda layers: layers.bfloat16(),
    "device": lambda layers: layers.to("meta"),
    "training": lambda layers: layers.train(),
    "part in training": lambda layers: layers[1].train(),
    "hook": lambda layers: layers[2][0].register_forward_hook(print),
    "hook before": lambda layers: layers.register_forward_pre_hook(print),
    "around": lambda layers: setattr(layers[2], "0", Around(layers[2][0])),
    "subclass": lambda layers: layers.append(Own(4, 4).eval()),
    "parametrized": lambda layers: parametrizations.weight_norm(layers[0]),
    "other forward": lambda layers: setattr(layers[0], "forward", print),
}


@pytest.mark.parametrize("change", NOT_PLAIN)
def test_what_would_compute_something_else_is_not_plain(layers, change):
    assert is_plain(layers)
    NOT_PLAIN[change](layers)
    assert not is_plain(layers)


def test_large_layers_are_not_plain(layers, monkeypatch):
    monkeypatch.setattr(inference, "MOST_BYTES", 100)
    assert not is_plain(layers)
