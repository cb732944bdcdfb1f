"""The ViT's features on disk: what is found is what would be computed, of these weights and these pixels alone."""

import pytest
import torch

from lion.data import pictures
from lion.errors import LionError
from lion.model import LionConfig, LionForConditionalGeneration
from lion.train.run import train
from lion.train.tap_cache import TapCache
from tests.train.test_language_modelling import recipe, rows


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return LionForConditionalGeneration(LionConfig.tiny()).vision_encoder


def entries(folder):
    return sorted(folder.rglob("*.safetensors"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_found_is_what_was_computed(encoder, tmp_path, dtype):
    pixels = torch.randn(3, 3, 56, 56)
    plain = encoder(pixels)
    encoder.cached = TapCache(tmp_path, encoder, 10**9, dtype)
    first = encoder(pixels)
    assert len(entries(tmp_path)) == 3
    computed = []
    encoder.vit.register_forward_pre_hook(lambda *_: computed.append(1))
    encoder.vit.embeddings.register_forward_pre_hook(lambda _, args: computed.append(len(args[0])))
    other = torch.cat([pixels[1:], pixels[:1].flip(-1)])  # a mirrored picture is another one
    second = encoder(other)
    assert computed == [1] and len(entries(tmp_path)) == 4
    assert not any(tap.requires_grad for tap in second) and {tap.dtype for tap in second} == {torch.float32}
    for one, two, three in zip(plain, first, second, strict=True):
        assert torch.equal(one.to(dtype).float(), two) and torch.equal(two[1:], three[:2])


def test_another_vit_or_other_taps_have_entries_of_their_own(encoder, tmp_path):
    pixels = torch.randn(1, 3, 56, 56)
    for change in (None, "weight", "taps"):
        if change == "weight":
            with torch.no_grad():
                next(encoder.parameters()).add_(1)
        if change == "taps":
            encoder.taps = (3, 2)
        encoder.cached = TapCache(tmp_path, encoder, 10**9, torch.float32)
        assert len(encoder(pixels)) == len(encoder.taps)
    assert len({path.parent.parent for path in entries(tmp_path)}) == 3


def test_it_is_bounded_over_runs_and_a_damaged_entry_is_named(encoder, tmp_path):
    size = 3 * 17 * 32 * 4
    for _ in range(2):
        encoder.cached = TapCache(tmp_path, encoder, 2 * size + 500, torch.float32)
        encoder(torch.randn(4, 3, 56, 56))
        assert len(entries(tmp_path)) == 2
    pixels = torch.randn(1, 3, 56, 56)
    encoder.cached = TapCache(tmp_path / "b", encoder, 10**9, torch.float32)
    encoder(pixels)
    entries(tmp_path / "b")[0].write_bytes(b"half")
    with pytest.raises(LionError, match="is damaged; delete it, and it is made again"):
        encoder(pixels)


def test_a_run_with_it_learns_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("LION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(pictures, "BLOCK", 16)
    taps = {"folder": str(tmp_path / "taps"), "gigabytes": 1}
    curves = []
    for name, setting in (("plain", None), ("fills", taps), ("reads", taps)):
        train(recipe("stage3", tmp_path, out=name, tap_cache=setting))
        curves.append([(row["loss"], row["grad_norm"]) for row in rows(tmp_path / name)])
        if name == "fills":
            before = entries(tmp_path / "taps")
    assert curves[0] == curves[1] == curves[2]
    assert before == entries(tmp_path / "taps") and 0 < len(before) <= 16
