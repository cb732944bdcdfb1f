"""The scripts that measure the conversion, at tiny size and, for tokenizers and lay-out, at the real one."""

import sys

import pytest
import torch

from lion.convert.official import build_processor
from lion.model import LionConfig, LionForConditionalGeneration
from tests.convert import layouts
from tools import measure_conversion, synthetic_checkpoint


@pytest.mark.slow  # ten seconds for a script that few run
def test_synthetic_checkpoint_converts_under_measurement(parts, tmp_path, monkeypatch, capfd):
    entries = layouts.keys()
    synthetic_checkpoint.write_checkpoint(tmp_path / "lion.pth", entries)
    weights = torch.load(tmp_path / "lion.pth", weights_only=True)["model"]
    assert {name: list(tensor.shape) for name, tensor in weights.items()} == {
        name: entry["shape"] for name, entry in entries.items()
    }
    assert torch.equal(weights["t5_model.encoder.embed_tokens.weight"], weights["t5_model.shared.weight"])
    spread = weights["visual_encoder.blocks.0.mlp.fc1.weight"].std()
    assert abs(float(spread) - 64**-0.5) < 0.01
    layouts.save_flan_t5(tmp_path / "llm")
    layouts.save_bert(tmp_path / "bert")
    monkeypatch.setattr(sys, "argv", ["measure", str(tmp_path), "--config", parts.config])
    measure_conversion.main()
    out = capfd.readouterr().out
    assert "| conversion | 0.0 GB |" in out
    LionForConditionalGeneration.from_pretrained(tmp_path / "converted")


def test_synthetic_tokenizers_fit_the_released_sizes(tmp_path):
    synthetic_checkpoint.write_t5_tokenizer(tmp_path / "llm")
    synthetic_checkpoint.write_bert_tokenizer(tmp_path / "bert")
    processor = build_processor(str(tmp_path / "llm"), str(tmp_path / "bert"), LionConfig.flan_t5_xl())
    encoded = processor(text="what is it?", tags=[["a cat"]])
    assert (encoded["input_ids"] == 32099).sum() == 1 and encoded["input_ids"][0, -1] == 1
    assert processor.tokenizer.decode(processor.tokenizer("is it red?")["input_ids"][:-1]) == "is it red?"


def test_released_key_lists():
    full, learnable = (synthetic_checkpoint.released_keys("xxl", only) for only in (False, True))
    assert len(full) == 2040 and len(learnable) == 968 + 3
