"""What a machine says of its memory and of its arithmetic."""

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
