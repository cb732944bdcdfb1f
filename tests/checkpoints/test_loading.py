"""The precision a checkpoint is used in when nobody says: by device, by what it is stored in, by its size."""

import json

import pytest
import torch

from lion.checkpoints.loading import LARGE, default_dtype, find_folder


@pytest.mark.parametrize(
    ("stored", "size", "device", "used"),
    [
        ("bfloat16", 1, "cpu", torch.float32),
        ("bfloat16", LARGE, "cpu", torch.bfloat16),
        ("float16", LARGE, "cpu", torch.bfloat16),
        ("float32", LARGE, "cpu", torch.float32),
        (None, LARGE, "cpu", torch.float32),
        ("bfloat16", 1, "cuda", torch.bfloat16),
        ("float16", 1, "cuda", torch.bfloat16),
        ("float32", 1, "cuda", torch.float32),
    ],
)
def test_precision_unless_told(tmp_path, monkeypatch, stored, size, device, used):
    monkeypatch.setattr("lion.checkpoints.loading.multiplies_bfloat16", lambda place: True)
    assert told(tmp_path, stored, size, device) is used


@pytest.mark.parametrize(
    ("free", "used"), [(3 * LARGE, torch.float32), (2 * LARGE, torch.bfloat16), (None, torch.bfloat16)]
)
def test_a_cpu_that_is_slow_in_bfloat16_takes_float32_where_there_is_room(tmp_path, monkeypatch, free, used):
    monkeypatch.setattr("lion.checkpoints.loading.multiplies_bfloat16", lambda place: False)
    monkeypatch.setattr("lion.checkpoints.loading.free_memory", lambda place: free)
    assert told(tmp_path, "bfloat16", LARGE, "cpu") is used
    assert told(tmp_path, "bfloat16", 1, "cpu") is torch.float32
    assert told(tmp_path, "bfloat16", LARGE, "cuda") is torch.bfloat16


def told(tmp_path, stored, size, device):
    (tmp_path / "config.json").write_text(json.dumps({"dtype": stored} if stored else {}))
    with (tmp_path / "model-00001-of-00001.safetensors").open("wb") as file:
        file.truncate(size)  # a hole: it takes no disk
    return default_dtype(tmp_path, torch.device(device))


def test_only_a_name_that_was_given_means_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lion-mini").mkdir()
    assert find_folder("lion-mini")[0].resolve() == tmp_path / "lion-mini"
    assert find_folder(None)[0].resolve() != tmp_path / "lion-mini"
