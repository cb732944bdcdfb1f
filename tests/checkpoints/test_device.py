"""Free memory, bfloat16 support, and the dtype that a checkpoint is computed in by default."""

import json

import pytest
import torch

from lion.checkpoints import device

CPU = torch.device("cpu")


def test_memory_of_a_container(monkeypatch):
    files = {"/proc/meminfo": "MemFree: 1 kB\nMemAvailable:    2000 kB\n", "/sys/fs/cgroup/memory.max": "max\n"}
    monkeypatch.setattr(device, "_read", lambda path: files.get(path, ""))
    assert device.free_memory(CPU) == 2_048_000
    files |= {"/sys/fs/cgroup/memory.max": "900\n", "/sys/fs/cgroup/memory.current": "300\n"}
    assert device.free_memory(CPU) == 600
    files["/sys/fs/cgroup/memory.stat"] = "anon 150\ninactive_file 90\nactive_file 10\nworkingset_refault_file 7\n"
    assert device.free_memory(CPU) == 700  # what was read may be forgotten
    files.clear()
    assert device.free_memory(CPU) is None


@pytest.mark.parametrize(
    ("able", "library", "helps"),
    [
        ({"avx2": True, "avx512_bf16": False}, True, False),
        ({"avx512_bf16": True}, True, True),
        ({"amx_bf16": True}, True, True),
        ({"architecture": "arm64", "bf16": True}, True, True),
        ({"architecture": "arm64", "bf16": True}, False, False),  # an instruction that torch does not use
        ({}, True, False),
    ],
)
def test_where_bfloat16_helps(monkeypatch, able, library, helps):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: library)
    assert device.multiplies_bfloat16(CPU) is helps


@pytest.mark.parametrize(
    ("stored", "size", "name", "used"),
    [
        ("bfloat16", 1, "cpu", torch.float32),
        ("bfloat16", device.LARGE, "cpu", torch.bfloat16),
        ("float16", device.LARGE, "cpu", torch.bfloat16),
        ("float32", device.LARGE, "cpu", torch.float32),
        (None, device.LARGE, "cpu", torch.float32),
        ("bfloat16", 1, "cuda", torch.bfloat16),
        ("float16", 1, "cuda", torch.bfloat16),
        ("float32", 1, "cuda", torch.float32),
    ],
)
def test_default_dtype(tmp_path, monkeypatch, stored, size, name, used):
    monkeypatch.setattr(device, "multiplies_bfloat16", lambda device: True)
    assert dtype_of(tmp_path, stored, size, name) is used


@pytest.mark.parametrize(
    ("free", "used"), [(3 * device.LARGE, torch.float32), (2 * device.LARGE, torch.bfloat16), (None, torch.bfloat16)]
)
def test_a_cpu_that_is_slow_in_bfloat16_takes_float32_where_there_is_room(tmp_path, monkeypatch, free, used):
    monkeypatch.setattr(device, "multiplies_bfloat16", lambda device: False)
    monkeypatch.setattr(device, "free_memory", lambda device: free)
    assert dtype_of(tmp_path, "bfloat16", device.LARGE, "cpu") is used
    assert dtype_of(tmp_path, "bfloat16", 1, "cpu") is torch.float32
    assert dtype_of(tmp_path, "bfloat16", device.LARGE, "cuda") is torch.bfloat16


def dtype_of(tmp_path, stored, size, name):
    (tmp_path / "config.json").write_text(json.dumps({"dtype": stored} if stored else {}))
    with (tmp_path / "model-00001-of-00001.safetensors").open("wb") as file:
        file.truncate(size)  # a hole: it takes no disk
    return device.default_dtype(tmp_path, torch.device(name))
