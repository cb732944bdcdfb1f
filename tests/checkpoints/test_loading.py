"""Loading: how much of it is shown, and that a model stays what it is under any name."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.utils import logging

from lion import LionForConditionalGeneration
from lion.checkpoints import loading
from lion.checkpoints.finding import bundled_folder
from lion.errors import DrawnScenesWarning

FIRST_LION_MINI = Path(__file__).parents[1] / "golden" / "first_lion_mini.json"
"""Bytes of a bfloat16 layer of the frozen language model, in hexadecimal digits."""


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize("limit", [10**9, 0])
def test_small_models_load_without_bars_and_the_setting_stays(tmp_path, monkeypatch, shown, limit):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    monkeypatch.setattr(loading, "WORTH_A_BAR", limit)
    (logging.enable_progress_bar if shown else logging.disable_progress_bar)()
    try:
        with loading._bars(tmp_path):
            assert logging.is_progress_bar_enabled() == (shown and limit == 0)
        assert logging.is_progress_bar_enabled() == shown
    finally:
        logging.enable_progress_bar()


def _copy(folder):
    shutil.copytree(bundled_folder(), folder)


def _copy_without_the_mark(folder):
    """As the package of earlier versions had it: a layer of the first lion-mini, and no `domain`."""
    _copy(folder)
    config = json.loads((folder / "config.json").read_text())
    del config["domain"]
    (folder / "config.json").write_text(json.dumps(config))
    tensors = load_file(folder / "model.safetensors")
    for name, digits in json.loads(FIRST_LION_MINI.read_text()).items():
        tensors[name] = torch.frombuffer(bytearray.fromhex(digits), dtype=torch.bfloat16)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def _saved(folder):
    _copy(folder)
    model = LionForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    model.save_pretrained(folder)


def _saved_by_an_earlier_version(folder):
    """Tuned, in another precision, without the mark."""
    _copy_without_the_mark(folder)
    model = LionForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    assert model.config.domain is None
    with torch.no_grad():
        model.qformer.queries.add_(1)
    model.save_pretrained(folder)


@pytest.mark.parametrize("make", [_copy, _copy_without_the_mark, _saved, _saved_by_an_earlier_version])
def test_whatever_came_from_lion_mini_is_known_as_such(tmp_path, make):
    make(tmp_path / "mine")
    with pytest.warns(DrawnScenesWarning, match="made from it, knows drawn scenes only"):
        model = loading.load_model(tmp_path / "mine", "mine", torch.float32)
    assert model.config.domain == "drawn scenes"
    model.save_pretrained(tmp_path / "again")
    assert json.loads((tmp_path / "again" / "config.json").read_text())["domain"] == "drawn scenes"
