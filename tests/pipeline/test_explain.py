"""Why an answer came: attention weights that are the modules' own, gates that are the router's, and a plot of both."""

import io
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lion.boxes import Box
from lion.errors import LionError
from lion.model.mixture_of_adapters import TaskLevel
from lion.pipeline import LionPipeline, Verb, check_explanation_plot, save_explanation
from lion.pipeline.explain import _map, _recorded, _weights

pytestmark = pytest.mark.usefixtures("short_answers")


@pytest.mark.parametrize(
    ("text", "settings", "level"),
    [
        (None, {}, TaskLevel.IMAGE),
        ("what is it?", {"tags": ["dog"]}, TaskLevel.IMAGE),
        ("is it red?", {"verb": Verb.CHAT, "history": [("what is it?", "a car")]}, TaskLevel.IMAGE),
        ("the car", {"verb": Verb.LOCATE, "num_beams": 1}, TaskLevel.REGION),
        (None, {"verb": Verb.DESCRIBE, "box": Box(0.1, 0.1, 0.6, 0.9)}, TaskLevel.REGION),
    ],
)
def test_the_answer_is_that_of_the_verb_and_shares_add_up(pipeline, picture, text, settings, level):
    explanation = pipeline.explain(picture, text, **settings)
    verb = settings.pop("verb", Verb.ASK if text else Verb.CAPTION)
    ways = {
        Verb.CAPTION: lambda: pipeline.caption(picture, **settings),
        Verb.ASK: lambda: pipeline.ask(picture, text, **settings),
        Verb.CHAT: lambda: pipeline.chat(picture, text, settings.pop("history"), **settings),
        Verb.LOCATE: lambda: pipeline.locate(picture, text, **settings),
        Verb.DESCRIBE: lambda: pipeline.describe_region(picture, settings.pop("box"), **settings),
    }
    assert explanation.answer == ways[verb]() and explanation.level is level
    for seen in (explanation.aggregator, explanation.qformer):
        assert seen.patches.shape == (4, 4) and (seen.patches > 0).all() and seen.cls > 0
        assert seen.patches.sum() + seen.cls == pytest.approx(1, abs=1e-6)
    assert sum(explanation.read.values()) == pytest.approx(1, abs=1e-6) and min(explanation.read.values()) > 0


@torch.no_grad()
def test_the_weights_are_those_that_the_modules_use(pipeline):
    """Weights times values, through the output layer, are what the module gives."""
    block = pipeline.model.vision_aggregator.blocks[0].cross_attention
    stream, source = torch.randn(2, 1, 17, 32, generator=torch.Generator().manual_seed(0)).unbind(0)
    with _recorded([(block.query, block.key)]) as pairs:
        wanted = block(stream, source)
    weights = _weights(*pairs[0], block.heads)
    values = block.value(source)[0].unflatten(-1, (block.heads, -1)).transpose(0, 1)
    attended = (weights @ values).transpose(0, 1).flatten(1)
    assert torch.allclose(block.norm(stream + block.output(attended)), wanted, atol=1e-5)
    assert not block.query._forward_hooks

    attention = pipeline.model.qformer.bert.encoder.layer[0].crossattention.attention
    with _recorded([(attention.query, attention.key)]) as pairs:
        wanted = attention(stream[:, :8], encoder_hidden_states=source)[0]
    values = attention.value(source)[0].unflatten(-1, (attention.num_attention_heads, -1)).transpose(0, 1)
    attended = _weights(*pairs[0], attention.num_attention_heads) @ values
    assert torch.allclose(attended.transpose(0, 1).flatten(1), wanted[0], atol=1e-5)

    attention = pipeline.model.language_model.decoder.block[1].layer[1].EncDecAttention
    with _recorded([(attention.q, attention.k)]) as pairs:
        wanted = attention(stream[:, :3], key_value_states=source)[0]
    values = attention.v(source)[0].unflatten(-1, (attention.n_heads, -1)).transpose(0, 1)
    attended = _weights(*pairs[0], attention.n_heads, scaled=False) @ values
    assert torch.allclose(attention.o(attended.transpose(0, 1).flatten(1)), wanted[0], atol=1e-5)


def test_a_map_is_the_mean_of_what_was_read():
    layers = [tuple(torch.randn(1, tokens, 8) for tokens in (3, 5)) for _ in range(2)]
    read = torch.tensor([0.1, 0.0, 0.3])
    found = _map(layers, 2, read)
    mean = torch.stack([_weights(*layer, 2) for layer in layers]).mean((0, 1))
    wanted = 0.25 * mean[0] + 0.75 * mean[2]
    assert np.allclose([found.cls, *found.patches.flatten()], wanted, atol=1e-6)


def test_maps_follow_the_question(pipeline, picture):
    one, other = (pipeline.explain(picture, text) for text in ("what is it?", "how many cars are there?"))
    for name in ("aggregator", "qformer"):
        maps = [getattr(each, name).patches for each in (one, other)]
        assert not np.allclose(*maps, rtol=1e-6, atol=0), name  # random weights hardly care


@pytest.mark.filterwarnings("ignore::lion.errors.DrawnScenesWarning")
def test_lion_mini_looks_at_what_it_is_asked_about():
    lion, scene = LionPipeline.from_pretrained(), Path(__file__).parents[2] / "examples" / "scene.png"
    for name, (rows, columns) in {"kite": (slice(3, 6), slice(2, 5)), "cat": (slice(5, 8), slice(4, 7))}.items():
        explanation = lion.explain(scene, f"what color is the {name}?")
        for seen, least in ((explanation.aggregator, 4), (explanation.qformer, 1)):
            assert seen.patches[rows, columns].sum() > least * 9 / 65, name  # an even look gives 9 of 65


def test_gates_are_those_of_every_block(pipeline, picture):
    gates = pipeline.explain(picture).gates
    model = pipeline.model.language_model
    assert gates.blocks == ("encoder 1", "encoder 2", "decoder 1", "decoder 2")
    router = model.decoder.block[1].mixture.router.gates.detach()
    assert gates.mean[3] == pytest.approx(router.mean(-1).numpy(), abs=1e-6)
    assert (gates.low <= gates.mean).all() and (gates.mean <= gates.high).all()
    shown = gates.to_json()
    assert shown["region"]["image"]["mean"][3] == round(float(router[TaskLevel.REGION, TaskLevel.IMAGE].mean()), 4)


def test_a_part_that_the_model_does_not_read_has_no_map(pipeline, picture, tmp_path):
    model = pipeline.model
    usual = model.config.visual_inputs
    try:
        for visual_inputs, missing in (("qformer", "aggregator"), ("aggregator", "qformer")):
            model.config.visual_inputs = visual_inputs
            own = LionPipeline(model, pipeline.processor, name="tiny")
            own.decoding = pipeline.decoding
            explanation = own.explain(picture, "what is it?")
            assert [name for name in ("aggregator", "qformer") if getattr(explanation, name) is None] == [missing]
            assert explanation.to_json()[missing] is None
            if missing == "qformer":
                pytest.importorskip("matplotlib", reason="matplotlib is not installed")
                save_explanation(explanation, tmp_path / "why.svg")
                assert "not part of this model" in (tmp_path / "why.svg").read_text()
    finally:
        model.config.visual_inputs = usual


def test_a_notebook_shows_the_plot_or_the_picture(pipeline, picture, monkeypatch):
    explanation = pipeline.explain(picture, "what is it?")
    if find_spec("matplotlib"):
        plot = Image.open(io.BytesIO(explanation._repr_png_()))
        assert plot.format == "PNG" and plot.width > 1000
    for module in ("figures", "pipeline.explanation"):
        monkeypatch.setattr(f"lion.{module}.find_spec", lambda name: None)
    plain = Image.open(io.BytesIO(explanation._repr_png_()))
    assert plain.format == "PNG" and plain.height > plain.width * picture.height / picture.width  # the answer below


def test_a_prompt_shows_what_it_is_in_a_line(pipeline, picture):
    explanation = pipeline.explain(picture, "what is it?")
    for each in (explanation, explanation.aggregator, explanation.qformer, explanation.gates):
        assert repr(each).startswith(f"{type(each).__name__}(") and "\n" not in repr(each) and len(repr(each)) < 300
    assert repr(explanation.answer) in repr(explanation) and "% qformer" in repr(explanation)


def test_what_cannot_be_explained_says_so(pipeline, picture):
    with pytest.raises(LionError, match="tagger"):
        pipeline.explain(picture, verb=Verb.TAG)
    with pytest.raises(LionError, match="question is empty"):
        pipeline.explain(picture, " ")


def test_the_plot_is_a_picture(pipeline, picture, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    explanation = pipeline.explain(picture, "the car", verb=Verb.LOCATE)
    for name in ("why.png", "why.PNG", "why.pdf"):
        save_explanation(explanation, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 1000
    assert Image.open(tmp_path / "why.png").width > 1000
    with pytest.raises(LionError, match="must end in"):
        check_explanation_plot("why.jpg")
    with pytest.raises(LionError, match="name another place"):
        save_explanation(explanation, tmp_path / "why.png" / "below-a-file.png")


def test_a_long_question_and_an_odd_answer_are_drawn(pipeline, picture, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    explanation = pipeline.explain(picture, "what is it?")
    answer = replace(explanation.answer, question="why? " * 60, text="$x^2$ _{ \\ é", tags=("tag",) * 80)
    save_explanation(replace(explanation, answer=answer), tmp_path / "why.png")
