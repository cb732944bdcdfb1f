"""The look stage beside the modules that it reads, and what it leaves to them."""

import numpy as np
import pytest
import torch
from torch import nn

from lion.engine.look import embed, queries_of, seeing_of
from lion.model import LionConfig, LionForConditionalGeneration, VisualFeatures
from lion.nn import inference
from lion.pipeline import LionPipeline
from lion.tagging.inference import logits_of
from lion.world import render, scene


def lion(visual_inputs="both", patch_stem="linear"):
    """Tiny, with no weight zero."""
    torch.manual_seed(3)
    config = LionConfig.tiny()
    config.visual_inputs, config.patch_stem = visual_inputs, patch_stem
    if patch_stem == "convolutional":
        config.vision_config.patch_size = 8
    model = LionForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.fixture(scope="module")
def model():
    return lion()


def batch(model, rows=3, seed=0):
    """Pixels, and the inputs of right-padded prompts of several lengths."""
    rng = torch.Generator().manual_seed(seed)
    side = model.config.vision_config.image_size
    pixels = torch.randn(rows, 3, side, side, generator=rng)
    inputs = {
        "input_ids": torch.randint(3, 60, (rows, 9), generator=rng),
        "qformer_input_ids": torch.randint(3, 60, (rows, 7), generator=rng),
        "task_levels": torch.arange(rows) % 2,
    }
    for name, length in (("attention_mask", 9), ("qformer_attention_mask", 7)):
        inputs[name] = (torch.arange(length) < length - 2 * torch.arange(rows)[:, None]).long()
    inputs["input_ids"][0, 4] = model.config.soft_prompt_token_id
    return pixels, inputs


def assert_same(model):
    pixels, inputs = batch(model)
    with torch.no_grad():
        golden = model.look(pixels)
        embedded, mask, _ = model.embed(vision=golden, **inputs)
        ours = seeing_of(model)()(pixels)
    torch.testing.assert_close(vars(ours), vars(golden), rtol=1e-4, atol=1e-5)
    rows = embed(model, queries_of(model), ours, inputs)
    assert [len(row) for row in rows] == mask.sum(1).tolist()
    for row, values, seen in zip(rows, embedded, mask.bool(), strict=True):
        torch.testing.assert_close(row, values[seen], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("visual_inputs", ["both", "qformer", "aggregator"])
@pytest.mark.parametrize("patch_stem", ["linear", "convolutional"])
def test_it_gives_what_the_modules_give(visual_inputs, patch_stem):
    assert_same(lion(visual_inputs, patch_stem))


def test_lion_mini_sees_what_its_modules_see():
    """Within what docs/explanation/numerics_decoding.md says of 24 pictures; here of four."""
    lion = LionPipeline.from_pretrained()
    pictures = [render(scene("val", number)) for number in range(4)]
    pixels = lion.processor.image_processor(pictures)["pixel_values"]
    tagger, squares = lion.tagger, [picture.resize((lion.tagger.squash[0],) * 2, 3) for picture in pictures]
    tagged = torch.stack(
        [torch.from_numpy(np.asarray(square, np.float32) / 255).permute(2, 0, 1) for square in squares]
    )
    with torch.no_grad():
        pairs = [
            (vars(seeing_of(lion.model)()(pixels)), vars(lion.model.look(pixels)), 2e-4),
            ({"logits": logits_of(tagger.model)()(tagged)}, {"logits": tagger.model(tagged).logits}, 1e-5),
        ]
    for ours, golden, bound in pairs:
        for name, values in golden.items():
            assert float((ours[name] - values).abs().max()) < bound * float(values.abs().max()), name


def test_prompts_without_padding_have_no_mask(model):
    pixels, inputs = batch(model, rows=1)
    with torch.no_grad():
        vision = model.look(pixels)
        golden, _, _ = model.embed(vision=vision, **inputs)
    torch.testing.assert_close(embed(model, queries_of(model), vision, inputs), [golden[0]], rtol=1e-4, atol=1e-5)


def test_a_layer_that_is_not_plain_is_called(model):
    """With its hooks, say."""
    seen = []
    layers = [model.vision_encoder.vit.encoder.layers[0], model.qformer.bert.encoder.layer[0]]
    seeing, queries = seeing_of(model), queries_of(model)
    seeing(), queries()
    hooks = [layer.register_forward_hook(lambda *_: seen.append(1)) for layer in layers]
    pixels, inputs = batch(model)
    embed(model, queries, seeing()(pixels), inputs)
    assert len(seen) == 2
    for hook in hooks:
        hook.remove()
    embed(model, queries, seeing()(pixels), inputs)
    assert len(seen) == 2


def test_large_models_are_called(model, monkeypatch):
    monkeypatch.setattr(inference, "MOST_BYTES", 0)
    monkeypatch.setattr(model, "look", lambda pixels: VisualFeatures(pixels, None))
    assert seeing_of(model)()(torch.ones(2)).last_BPV.shape == (2,)
    assert queries_of(model)() is model.qformer


def test_other_precisions_are_given_pixels_in_their_own():
    model = lion().bfloat16()
    pixels, _ = batch(model)
    assert seeing_of(model)()(pixels).last_BPV.dtype == torch.bfloat16


@pytest.mark.parametrize("part", ["vision_encoder", "vision_aggregator", "mlp", "qformer"])
def test_changed_weights_are_read_again(part):
    model = lion()
    seeing, queries, (pixels, inputs) = seeing_of(model), queries_of(model), batch(model)
    before = embed(model, queries, seeing()(pixels), inputs)
    with torch.no_grad():
        next(p for n, p in getattr(model, part).named_parameters() if p.ndim == 2 and "embedding" not in n).mul_(2)
    after = embed(model, queries, seeing()(pixels), inputs)
    assert not torch.allclose(before[0], after[0], atol=1e-3)
    assert_same(model)


def test_what_it_gives_can_be_trained_on(model):
    """No tensor of inference mode, which autograd refuses."""
    pixels, _ = batch(model)
    features = seeing_of(model)()(pixels)
    nn.Linear(features.last_BPV.shape[-1], 1)(features.last_BPV).sum().backward()
