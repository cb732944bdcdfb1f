"""The precision a checkpoint is used in when nobody says: by device, by what it is stored in, by its size."""

import json

import pytest
import torch

from lion.pipeline.loading import LARGE, default_dtype


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
def test_precision_unless_told(tmp_path, stored, size, device, used):
    (tmp_path / "config.json").write_text(json.dumps({"dtype": stored} if stored else {}))
    with (tmp_path / "model-00001-of-00001.safetensors").open("wb") as file:
        file.truncate(size)  # a hole: it takes no disk
    assert default_dtype(tmp_path, torch.device(device)) is used
