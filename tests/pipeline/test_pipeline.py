"""LionPipeline on the tiny model: lists, mixed batches, chats, its life in and between processes."""

import inspect
import json
import pickle
import warnings

import pytest
import torch
from transformers import AutoModelForImageTextToText

from lion.boxes import Box
from lion.errors import LionError, LionWarning
from lion.pipeline import DecodingPreset, DrawnScenesWarning, LionPipeline, Request, Verb
from lion.pipeline.prepare import prepare
from lion.tagging import RamTagger
from tests.pipeline import tiny
from tests.pipeline.tiny import several

pytestmark = pytest.mark.usefixtures("short_answers")


def test_a_mixed_batch_gives_the_same_words_as_single_calls(pipeline):
    pictures = several(3)
    requests = [
        Request(pictures[0], Verb.CAPTION),
        Request(pictures[1], Verb.LOCATE, "the red car"),
        Request(pictures[1], Verb.ASK, "what is on the left of the tree?"),
        Request(pictures[2], Verb.DESCRIBE, box=Box(0.1, 0.1, 0.6, 0.9)),
        Request(pictures[0], Verb.TAG),
        Request(pictures[2], Verb.CHAT, "is it red?", history=[("what is it?", "a car")]),
        Request(pictures[2], Verb.ASK, "what is it?", tags=[]),
        Request(pictures[2], Verb.ASK, "what is it?", tags=["dog"]),
    ]
    alone = LionPipeline(pipeline.model, pipeline.processor, pipeline.tagger, name="tiny", batch_size=1)
    alone.decoding = pipeline.decoding
    together = LionPipeline(pipeline.model, pipeline.processor, pipeline.tagger, name="tiny", batch_size=8)
    together.decoding = pipeline.decoding

    answers = together.answer(requests)

    assert answers == [alone.answer([request])[0] for request in requests]
    assert [answer.task for answer in answers] == [request.verb for request in requests]
    assert len({answer.text for answer in answers}) > 4


def test_a_batch_is_given_to_the_decoder_at_once(pipeline, monkeypatch):
    rows = []
    submit = pipeline.decoder.submit
    monkeypatch.setattr(
        pipeline.decoder, "submit", lambda prompts, *others: rows.append(len(prompts)) or submit(prompts, *others)
    )
    pipeline.answer([Request(picture, Verb.CAPTION) for picture in several(4)])
    assert rows == [3, 1]


def test_tags_alone_do_not_wake_the_model_and_given_tags_not_the_tagger(pipeline, picture, counted):
    assert pipeline.tags(picture).text == "car, tree, sun"
    assert counted == {"vision": 0, "tagger": 1}
    other = picture.rotate(90)
    assert pipeline.caption(other, tags=["dog"]).tags == ("dog",)
    assert pipeline.caption(other, tags=[]).tags == ()
    assert counted == {"vision": 1, "tagger": 1}


def test_an_instruction_of_ones_own_is_read_word_for_word(pipeline, picture):
    look = pipeline.look(picture)
    own = prepare(
        Request(picture, Verb.ASK, instruction="Question: what is it?"), pipeline.processor, look.size, look.tags
    )
    assert own.instruction == "Question: what is it?" and own.tags == look.tags
    usual = prepare(Request(picture, Verb.ASK, "what is it?"), pipeline.processor, look.size).instruction
    asked = [Request(picture, Verb.ASK, "what is it?"), Request(picture, Verb.ASK, instruction=usual)]
    one, other = pipeline.answer(asked)
    assert one.text == other.text


def test_without_a_tagger(parts, picture):
    pipeline = LionPipeline(*parts[:2], name="tiny")
    assert pipeline.caption(picture).tags == ()
    with pytest.raises(LionError, match="no tagger"):
        pipeline.tags(picture)


def test_lists_spread_over_each_other(pipeline):
    one, two = several(2)
    assert [answer.text for answer in pipeline.ask([one, two], "what is it?")] == [
        pipeline.ask(one, "what is it?").text,
        pipeline.ask(two, "what is it?").text,
    ]
    assert len(pipeline.ask(one, ["what is it?", "is it red?"])) == 2
    assert len(pipeline.describe_region([one, two], [Box(0, 0, 1, 1), Box(0, 0, 10, 10, "pixel")])) == 2
    assert pipeline.caption([]) == []
    with pytest.raises(LionError, match="2 of image, 3 of text"):
        pipeline.ask([one, two], ["a", "b", "c"])


def test_every_kind_of_picture_is_accepted(pipeline, picture, tmp_path):
    path = tmp_path / "a.png"
    picture.save(path)
    given = [path, str(path), path.read_bytes(), picture, pipeline.look(picture)]
    answers = pipeline.caption(given)
    assert len({answer.text for answer in answers}) == 1
    assert [answer.image for answer in answers] == [str(path), str(path), None, None, None]


def test_chat_hears_the_earlier_rounds(pipeline, picture):
    history = [("what is it?", "a red car")]
    assert pipeline.chat(picture, "is it big?", history).note is None
    assert pipeline.chat(picture, "is it big?", history).text != pipeline.chat(picture, "is it big?").text
    both = pipeline.chat([picture, picture], "is it big?", [history, []])
    assert [answer.text for answer in both] == [
        pipeline.chat(picture, "is it big?", history).text,
        pipeline.chat(picture, "is it big?").text,
    ]


def test_no_gradients_and_evaluation_mode(parts, picture):
    parts[0].train()
    pipeline = LionPipeline(*parts)
    assert not pipeline.model.training
    vision = pipeline.look(picture).evidence.vision
    assert not vision.last_BPV.requires_grad and not vision.aggregated_BPD.requires_grad


def test_lower_precision(parts, picture):
    processor = parts[1]
    pipeline = LionPipeline(tiny.model(processor).to(torch.bfloat16), processor, parts[2])
    pipeline.decoding = dict.fromkeys(pipeline.decoding, DecodingPreset(num_beams=1, max_new_tokens=4))
    assert pipeline.caption(picture).text


def test_batch_size_is_checked(parts):
    with pytest.raises(LionError, match="at least 1"):
        LionPipeline(*parts, batch_size=0)


def test_a_pipeline_can_be_sent_to_another_process(parts, picture):
    pipeline = LionPipeline(*parts, name="tiny", decoding="boxes")
    answer = pipeline.locate(picture, "the dog")
    sent = pickle.loads(pickle.dumps(pipeline))
    sent.cache.clear()
    assert sent.locate(picture, "the dog") == answer


@pytest.mark.parametrize("load", [LionPipeline, AutoModelForImageTextToText, RamTagger])
def test_lion_mini_is_a_warning_that_can_be_filtered(load, tmp_path):
    """One place warns, so that it is shown once in a process, wherever and however it is loaded, and whatever is
    imported in between."""
    model = tiny.save_checkpoint(tmp_path / "copy")
    folder = model / "tagger" if load is RamTagger else model
    config = json.loads((folder / "config.json").read_text())
    for domain, count in ((None, 0), ("drawn scenes", 1)):
        (folder / "config.json").write_text(json.dumps(config | {"domain": domain}))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            for loads, place in ((load, folder), (load, folder), (LionPipeline, model)):
                loads.from_pretrained(place)
                warnings.simplefilter("ignore", BytesWarning, append=True)  # as libraries do when imported
        caught = [one for one in caught if issubclass(one.category, DrawnScenesWarning)]
        assert len(caught) == count
        shown = [warnings.formatwarning(one.message, one.category, one.filename, one.lineno) for one in caught]
        assert all(text.startswith("lion-mini:1: DrawnScenesWarning: ") and text.count("\n") == 1 for text in shown)
    with pytest.raises(DrawnScenesWarning, match="photographs"), warnings.catch_warnings():
        warnings.simplefilter("error", DrawnScenesWarning)
        load.from_pretrained(folder)


def test_a_model_without_a_tagger_is_a_warning_with_its_remedy(parts, tmp_path):
    folder = tiny.save_checkpoint(tmp_path / "bare")
    (folder / "tagger").rename(tmp_path / "tagger")
    for _ in range(2):  # once a load
        with pytest.warns(LionWarning, match=r"bare' has no tagger, .*tagger=") as caught:
            assert LionPipeline.from_pretrained(folder, device="cpu").tagger is None
        (told,) = (str(one.message) for one in caught if one.category is LionWarning)
        assert "\n" not in told
    tiny.save_checkpoint(tmp_path / "whole")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for other in (tmp_path / "tagger", str(tmp_path / "whole")):  # a tagger alone, and that of a model
            lion = LionPipeline.from_pretrained(folder, tagger=other, device="cpu")
            assert lion.tagger.tags == parts[2].tags
    with pytest.raises(LionError, match="no model folder 'nowhere'"):
        LionPipeline.from_pretrained(folder, tagger="nowhere", device="cpu")


def test_help_names_types():
    """No Any, and aliases by name: what a user sees in help()."""
    for name in ("caption", "ask", "chat", "locate", "describe_region", "tags", "rank", "look", "answer", "stream"):
        text = str(inspect.signature(getattr(LionPipeline, name)))
        assert "Any" not in text and "->" in text and len(text) < 200, text


def test_settings_of_a_call_reach_every_verb_that_generates(pipeline, picture):
    calls = [
        lambda **settings: pipeline.caption(picture, **settings),
        lambda **settings: pipeline.ask(picture, "is it red?", **settings),
        lambda **settings: pipeline.chat(picture, "is it red?", **settings),
        lambda **settings: pipeline.locate(picture, "the car", **settings),
        lambda **settings: pipeline.describe_region(picture, Box(0, 0, 1, 1), **settings),
    ]
    for call in calls:
        assert len(call(num_beams=1, max_new_tokens=2).text) < len(call(num_beams=1, max_new_tokens=20).text)
        with pytest.raises(LionError, match="no decoding setting 'beams'"):
            call(beams=1)
    with pytest.raises(TypeError, match="num_beams"):  # nothing is generated
        pipeline.tags(picture, num_beams=1)


def test_a_pipeline_that_is_called_names_its_verbs(pipeline, picture):
    with pytest.raises(LionError, match=r"\.ask\(picture, question\)"):
        pipeline(picture)


@pytest.mark.parametrize("dtype", ["floaty", "int8", "nn", torch.int64, 5])
def test_a_dtype_that_is_none_is_said_before_a_model_is_loaded(dtype):
    with pytest.raises(LionError, match="no floating dtype of torch"):
        LionPipeline.from_pretrained("nowhere", dtype=dtype)
