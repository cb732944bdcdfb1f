"""The tagger as its users meet it: pictures in, tags out, saved, loaded, cached; and the mini size learns."""

import io
import json
import logging
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, SwinConfig

from lion.errors import LionError
from lion.tagging import RamConfig, RamModel, RamTagger, TagCache, Tagger, TagPolicy
from lion.tagging.loss import asymmetric_loss
from lion.tagging.ram_tagger import preprocess

TAGS = ["circle", "square", "cross"]


def tiny(tags: list[str] = TAGS) -> RamConfig:
    swin = SwinConfig(image_size=32, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4)
    return RamConfig(
        id2label=dict(enumerate(tags)), vision_config=swin, label_width=8, hidden_size=8, intermediate_size=8
    )


@pytest.fixture
def tagger() -> RamTagger:
    torch.manual_seed(0)
    model = RamModel(tiny())
    model.fc.weight.data.mul_(50)  # spread the scores, so that thresholds matter
    return RamTagger(model)


def pictures(count: int, seed: int = 0) -> list[Image.Image]:
    rng = np.random.default_rng(seed)
    return [Image.fromarray(rng.integers(0, 255, (24, 40, 3), dtype=np.uint8)) for _ in range(count)]


def test_it_is_a_tagger(tagger: RamTagger) -> None:
    anything: Tagger = tagger
    tags = anything(pictures(3))
    assert len(tags) == 3 and all(set(row) <= set(TAGS) for row in tags)


def test_tags_are_those_above_their_threshold_in_class_order(tagger: RamTagger) -> None:
    tagger.thresholds = torch.tensor([0.5, 0.5, 1.0])
    assert tagger.pick(torch.tensor([[0.6, 0.5, 1.0], [0.7, 0.51, 0.0]])) == [["circle"], ["circle", "square"]]
    tagger.policy = TagPolicy("top_k", k=2)
    assert tagger.pick(torch.tensor([[0.1, 0.2, 0.3]])) == [["square", "cross"]]


def test_scores_that_are_no_numbers_are_no_lack_of_tags(tagger: RamTagger, tmp_path: Path) -> None:
    tagger.model.fc.weight.data[0] = torch.nan
    tagger.cache = TagCache(tmp_path)
    with pytest.raises(LionError, match="the tagger's scores are NaN"):
        tagger(pictures(1))
    assert not list(tmp_path.iterdir())


def test_no_pictures(tagger: RamTagger) -> None:
    assert tagger([]) == []
    assert tagger.scores([]).shape == (0, 3)


def test_batches_do_not_change_scores(tagger: RamTagger) -> None:
    images = pictures(7)
    together = tagger.scores(images)
    tagger.batch_size = 3
    assert torch.allclose(tagger.scores(images), together, atol=1e-6)
    assert torch.allclose(torch.cat([tagger.scores([image]) for image in images]), together, atol=1e-6)


def test_training_mode_does_not_leak_into_tags() -> None:
    """The released code never calls eval(): its tags are random."""
    config = tiny()
    config.vision_config.drop_path_rate = config.vision_config.hidden_dropout_prob = 0.5
    tagger = RamTagger(RamModel(config))
    images = pictures(2)
    first = tagger.scores(images)
    tagger.model.train()
    assert torch.equal(tagger.scores(images), first)


def test_any_picture_is_seen_as_people_see_it(tagger: RamTagger) -> None:
    image = pictures(1)[0]
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    image.rotate(90, expand=True).save(file, "PNG", exif=exif)
    turned = Image.open(file)
    assert torch.equal(tagger.scores([turned, image.convert("RGBA")]), tagger.scores([image, image]))


def test_calibration_sets_thresholds(tagger: RamTagger) -> None:
    scores = torch.tensor([[0.9, 0.2, 0.4], [0.3, 0.1, 0.6]])
    tagger.calibrate(scores, torch.tensor([[1, 1, 0], [0, 0, 0]]))
    assert tagger.thresholds.tolist() == pytest.approx([0.6, 0.15, 1.0])
    assert tagger.pick(scores) == [["circle", "square"], []]


# -- saving and loading ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_round_trip_without_a_warning(
    tagger: RamTagger, tmp_path: Path, dtype: torch.dtype, caplog: pytest.LogCaptureFixture
) -> None:
    tagger.model.to(dtype)
    tagger.thresholds = torch.tensor([0.17, 1 / 3, 1.0])
    tagger.policy = TagPolicy("global", threshold=0.4)
    logging.getLogger("transformers").propagate = True
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        tagger.save_pretrained(tmp_path)
        loaded = RamTagger.from_pretrained(tmp_path)
    assert caplog.records == []
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
    assert loaded.tags == tagger.tags and loaded.policy == tagger.policy
    assert torch.equal(loaded.thresholds, tagger.thresholds)
    assert json.loads((tmp_path / "config.json").read_text())["thresholds"][0] == 0.17
    tagger.model.float()  # weights are computed with in float32 whatever they were stored in
    assert loaded.model.dtype == torch.float32
    assert loaded.fingerprint == tagger.fingerprint
    images = pictures(3)
    assert torch.allclose(loaded.scores(images), tagger.scores(images), atol=1e-6)
    assert loaded(images) == tagger(images)


def test_a_policy_given_at_loading_wins(tagger: RamTagger, tmp_path: Path) -> None:
    tagger.save_pretrained(tmp_path)
    assert RamTagger.from_pretrained(tmp_path, policy=TagPolicy("top_k", k=1)).policy.k == 1
    assert RamTagger.from_pretrained(tmp_path, dtype=torch.bfloat16).model.dtype == torch.bfloat16


def test_auto_classes_know_it(tagger: RamTagger, tmp_path: Path) -> None:
    tagger.save_pretrained(tmp_path)
    assert isinstance(AutoConfig.from_pretrained(tmp_path), RamConfig)
    assert isinstance(AutoModel.from_pretrained(tmp_path), RamModel)


def test_label_embeddings_are_saved_but_cannot_train(tagger: RamTagger, tmp_path: Path) -> None:
    tagger.save_pretrained(tmp_path)
    assert "label_embed" in load_file(tmp_path / "model.safetensors")
    assert "label_embed" not in dict(tagger.model.named_parameters())


def test_what_cannot_be_loaded_names_itself(tagger: RamTagger, tmp_path: Path) -> None:
    def refused(message: str) -> None:
        with pytest.raises(LionError, match=message) as caught:
            RamTagger.from_pretrained(folder)
        assert str(folder) in str(caught.value) and "\n" not in str(caught.value)

    folder = tmp_path / "missing"
    refused("no tagger")
    folder = tmp_path / "saved"
    tagger.save_pretrained(folder)
    weights, config = folder / "model.safetensors", folder / "config.json"
    whole, settings = weights.read_bytes(), json.loads(config.read_text())
    weights.write_bytes(whole[: len(whole) // 2])
    refused("no tagger")
    weights.unlink()
    refused("no tagger")
    tensors = tagger.model.state_dict()
    del tensors["fc.bias"]
    save_file(tensors, weights, metadata={"format": "pt"})
    refused(r"1 missing keys \(fc.bias")
    save_file({**tensors, "fc.bias": torch.zeros(1), "fd.bias": torch.zeros(1)}, weights, metadata={"format": "pt"})
    refused(r"1 unexpected keys \(fd.bias")
    weights.write_bytes(whole)
    config.write_text(json.dumps({**settings, "hidden_size": 16}))
    refused("no tagger|mismatched")
    config.write_text(json.dumps({**settings, "thresholds": [0.5]}))
    refused("1 thresholds for 3 tags")
    config.write_text(json.dumps({**settings, "model_type": "bert"}))
    refused(r"holds no RAM tagger \(model type bert\)")
    config.write_text("{")
    refused("no tagger")


def test_config_refuses_contradictions() -> None:
    with pytest.raises(ValueError, match="'circle' stands in the list twice"):
        tiny(["circle", "cross", "circle"])
    with pytest.raises(ValueError, match="not a multiple of num_attention_heads=5"):
        RamConfig(num_attention_heads=5)
    with pytest.raises(ValueError, match="'round' is neither 'linear' nor 'convolutional'"):
        RamConfig(patch_stem="round")


# -- cache -------------------------------------------------------------------------------------------------------------


def test_known_pictures_are_not_looked_at_again(tagger: RamTagger, tmp_path: Path) -> None:
    images = pictures(5)
    expected = tagger.scores(images)
    tagger.cache = TagCache(tmp_path)
    assert torch.equal(tagger.scores([*images, images[0]]), torch.cat([expected, expected[:1]]))
    run, tagger._run = tagger._run, None  # type: ignore[method-assign, assignment]  # from here on a miss fails
    assert torch.equal(tagger.scores(images), expected)
    tagger.policy = TagPolicy("top_k", k=1)
    assert all(len(tags) == 1 for tags in tagger(images))  # scores are kept, so the policy may change
    tagger._run = run  # type: ignore[method-assign]
    for path in list(tmp_path.rglob("*"))[-1:]:
        path.write_bytes(b"damaged")
    assert torch.allclose(tagger.scores(images), expected, atol=1e-6)


def test_the_fingerprint_follows_the_network_alone(tagger: RamTagger) -> None:
    def fresh() -> str:
        return RamTagger(tagger.model).fingerprint

    before = fresh()
    tagger.thresholds = torch.zeros(3)
    assert tagger.fingerprint == before
    tagger.model.config.vision_config.image_size = 64
    assert fresh() != before
    tagger.model.config.vision_config.image_size = 32
    tagger.model.fc.bias.data += 1e-3
    assert fresh() != before


# -- the mini size -----------------------------------------------------------------------------------------------------


def test_mini_is_small_and_survives_the_disk(tmp_path: Path) -> None:
    tagger = RamTagger(RamModel(RamConfig.mini([f"tag {index}" for index in range(24)])))
    assert sum(parameter.numel() for parameter in tagger.model.parameters()) < 800_000
    tagger.model.to(torch.bfloat16)
    tagger.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").stat().st_size < 1_500_000
    tagger.model.float()
    images = pictures(2)
    loaded = RamTagger.from_pretrained(tmp_path)
    assert torch.allclose(loaded.scores(images), tagger.scores(images), atol=1e-6)
    assert loaded.fingerprint == tagger.fingerprint  # its stem counts batches in a tensor without dimensions


def shapes(present: list[bool]) -> Image.Image:
    image = Image.new("RGB", (128, 128), "white")
    draw = ImageDraw.Draw(image)
    if present[0]:
        draw.ellipse((10, 10, 50, 50), fill="red")
    if present[1]:
        draw.rectangle((70, 20, 110, 60), fill="blue")
    if present[2]:
        draw.line((20, 80, 60, 120), fill="green", width=8)
        draw.line((60, 80, 20, 120), fill="green", width=8)
    return image


def test_mini_learns_eight_pictures_by_heart() -> None:
    torch.manual_seed(0)
    targets = torch.tensor([[bool(index & bit) for bit in (1, 2, 4)] for index in range(8)])
    images = [shapes(row) for row in targets.tolist()]
    config = RamConfig.mini(TAGS)
    # Wide enough that the head, 64 wide, mixes labels and picture from the first step; 0.02 suits widths of hundreds.
    config.initializer_range = 0.1
    model = RamModel(config).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    pixels = preprocess(images, 128)
    for _ in range(50):
        loss = asymmetric_loss(model(pixels).logits, targets, gamma_negative=0, margin=0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    tagger = RamTagger(model)
    tagger.calibrate(tagger.scores(images), targets)
    assert tagger(images) == [[tag for tag, there in zip(TAGS, row, strict=True) if there] for row in targets.tolist()]


def test_importing_the_package_loads_no_network() -> None:
    code = "import sys, lion.tagging; print([name for name in ('torch', 'transformers') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_every_public_name_resolves() -> None:
    import lion.tagging

    for name in lion.tagging.__all__:
        assert getattr(lion.tagging, name).__module__.startswith("lion.tagging")
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        lion.tagging.Nothing  # noqa: B018


@pytest.mark.parametrize("policy", ["top_k", {"kind": ["a"]}, [1]])
def test_a_policy_of_another_kind_is_a_damaged_tagger(tmp_path, policy):
    RamTagger(RamModel(tiny())).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "tag_policy": policy}))
    with pytest.raises(LionError, match="no tagger can be loaded from there"):
        RamTagger.from_pretrained(tmp_path)
