"""The released XL and XXL, key by key, on no memory at all: only names, shapes and types are there."""

import gzip
import json
from collections import Counter

import pytest
import torch
from transformers import T5Config, T5ForConditionalGeneration

from lion.checkpoints.tensors import DTYPE_NAMES, StoredTensor
from lion.convert import plan as planning
from lion.convert.plan import Inputs, plan_official
from lion.convert.report import KeyStatus
from lion.convert.sources import Source
from lion.convert.writer import SHARD_BYTES, split_shards
from lion.errors import LionError
from tests.parity.released import GOLDEN

SIZES = {"xl": 4_117_222_112, "xxl": 12_441_666_272}
VIT, T5 = "visual_encoder.", "t5_model."


def keys(size):
    with gzip.open(GOLDEN / "keys_full" / f"lion_flant5{size}.json.gz") as file:
        return json.load(file)


def stored(entry):
    dtype = DTYPE_NAMES[getattr(torch, entry["dtype"])]
    return StoredTensor(tuple(entry["shape"]), dtype, lambda: pytest.fail("was read"))


@pytest.fixture
def shelf(monkeypatch):
    """Sources by name, in the place of files."""
    sources = {}
    monkeypatch.setattr(planning, "open_source", lambda name: Source(name, sources[name]))
    return sources


def trained(entries):
    """What the released trainer keeps: what trains, tied copies and buffers."""
    return {
        name: entry for name, entry in entries.items() if entry["trainable"] or "alias_of" in entry or "buffer" in entry
    }


@pytest.mark.parametrize("size", SIZES)
def test_every_released_key_is_used_once(shelf, size):
    entries = keys(size)
    shelf["lion"] = {name: stored(entry) for name, entry in entries.items()}
    plan = plan_official(Inputs("lion"))
    plan.report.check()
    assert sum(tensor.parameters for tensor in plan.tensors) == SIZES[size] + 39 * 1408  # plus the ViT's key biases
    assert sorted(row.released for row in plan.report.rows) == sorted(entries)
    assert Counter(row.status for row in plan.report.rows) == {
        KeyStatus.RENAMED: len(entries) - 3 - 2 * (39 + 48),
        KeyStatus.JOINED: 2 * (39 + 48),  # query and value biases; two columns of each router
        KeyStatus.COPY: 3,
    }
    used = {row.ours for row in plan.report.of(KeyStatus.RENAMED, KeyStatus.JOINED)}
    assert used == {tensor.name for tensor in plan.tensors}
    assert plan.llm == f"google/flan-t5-{size}"


@pytest.mark.parametrize("size", SIZES)
def test_shards_stay_under_two_gigabytes(shelf, size):
    shelf["lion"] = {name: stored(entry) for name, entry in keys(size).items()}
    plan = plan_official(Inputs("lion"))
    sizes = {tensor.name: tensor.bytes for tensor in plan.tensors}
    shards = split_shards(plan.tensors, SHARD_BYTES).filename_to_tensors
    assert [name for names in shards.values() for name in names] == list(sizes)
    assert all(sum(sizes[name] for name in names) <= SHARD_BYTES for names in shards.values())
    assert len(shards) == {"xl": 5, "xxl": 13}[size]
    assert plan.bytes / 1e9 == pytest.approx({"xl": 8.29, "xxl": 24.99}[size], abs=0.005)


def flan_t5(**shape):
    config = T5Config(vocab_size=32128, d_kv=64, num_layers=24, feed_forward_proj="gated-gelu", **shape)
    with torch.device("meta"):
        state = T5ForConditionalGeneration(config).state_dict()
    return {name: stored({"shape": tensor.shape, "dtype": "float32"}) for name, tensor in state.items()}


FLAN = {
    "xl": {"d_model": 2048, "d_ff": 5120, "num_heads": 32},
    "xxl": {"d_model": 4096, "d_ff": 10240, "num_heads": 64},
}


@pytest.mark.parametrize("size", SIZES)
def test_a_learnable_checkpoint_with_eva_and_flan_t5(shelf, size):
    entries = keys(size)
    shelf["lion"] = {name: stored(entry) for name, entry in trained(entries).items()}
    shelf["eva"] = {name.removeprefix(VIT): stored(entry) for name, entry in entries.items() if name.startswith(VIT)}
    shelf["google/flan-t5-" + size] = flan_t5(**FLAN[size])
    plan = plan_official(Inputs("lion", vit="eva"))
    plan.report.check()
    filled = {row.ours for row in plan.report.of(KeyStatus.RENAMED, KeyStatus.JOINED)}
    assert filled == {tensor.name for tensor in plan.tensors}
    assert {row.source for row in plan.report.rows} == {"lion", "eva", "google/flan-t5-" + size}


def test_sizes_do_not_mix(shelf):
    shelf["lion"] = {name: stored(entry) for name, entry in trained(keys("xl")).items()}
    shelf["eva"] = {name.removeprefix(VIT): stored(entry) for name, entry in keys("xl").items() if name.startswith(VIT)}
    shelf["other"] = flan_t5(**FLAN["xxl"])
    with pytest.raises(LionError, match=r"'other'.* \(32128, 4096\), not \(32128, 2048\).*FLAN-T5 of the size"):
        plan_official(Inputs("lion", vit="eva", llm="other"))
