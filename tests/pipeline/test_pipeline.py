"""LionPipeline on the tiny model: lists, caches, mixed batches, chats, boxes."""

import pickle
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lion.boxes import Box
from lion.errors import LionError
from lion.pipeline import DecodingPreset, LabelledBox, LionPipeline, Look, Request, Verb
from lion.pipeline.evidence import EvidenceCache
from lion.pipeline.prepare import prepare
from tests.pipeline import tiny


def several(count):
    """Pictures that differ."""
    return [Image.linear_gradient("L").rotate(50 * index).resize((64, 48)).convert("RGB") for index in range(count)]


@pytest.fixture(autouse=True)
def short_answers(pipeline):
    """Random weights never stop by themselves."""
    pipeline.decoding = dict.fromkeys(pipeline.decoding, DecodingPreset(num_beams=2, max_new_tokens=8))


@pytest.fixture
def counted(pipeline, monkeypatch):
    """How many pictures the Vision Encoder and the tagger were shown."""
    seen = {"vision": 0, "tagger": 0}
    look, tagger = pipeline.model.look, pipeline.tagger

    def counting_look(pixel_values):
        seen["vision"] += len(pixel_values)
        return look(pixel_values)

    def counting_tagger(images):
        seen["tagger"] += len(images)
        return tagger(images)

    monkeypatch.setattr(pipeline.model, "look", counting_look)
    monkeypatch.setattr(pipeline, "tagger", counting_tagger)
    return seen


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


def test_a_batch_is_one_call_of_generate(pipeline, monkeypatch):
    rows = []
    generate = pipeline.model.generate
    monkeypatch.setattr(
        pipeline.model, "generate", lambda **inputs: rows.append(len(inputs["input_ids"])) or generate(**inputs)
    )
    pipeline.answer([Request(picture, Verb.CAPTION) for picture in several(4)])
    assert rows == [3, 1]


def test_look_once_ask_many(pipeline, picture, counted):
    look = pipeline.look(picture)
    assert isinstance(look, Look) and look.size == (90, 60) and look.tags == ("car", "tree", "sun")
    pipeline.caption(look)
    pipeline.ask(look, ["what is it?", "is it red?", "is it big?"])
    pipeline.locate(picture, "the car")
    assert counted == {"vision": 1, "tagger": 1}


def test_equal_pictures_are_looked_at_once_whatever_their_names(pipeline, picture, counted, tmp_path):
    paths = [tmp_path / "a.png", tmp_path / "b.bmp"]
    for path in paths:
        picture.save(path)
    answers = pipeline.caption(paths)
    assert counted == {"vision": 1, "tagger": 1}
    assert [answer.image for answer in answers] == [str(path) for path in paths]


def test_tags_alone_do_not_wake_the_model_and_given_tags_not_the_tagger(pipeline, picture, counted):
    assert pipeline.tags(picture).text == "car, tree, sun"
    assert counted == {"vision": 0, "tagger": 1}
    other = picture.rotate(90)
    assert pipeline.caption(other, tags=["dog"]).tags == ("dog",)
    assert pipeline.caption(other, tags=[]).tags == ()
    assert counted == {"vision": 1, "tagger": 1}


def test_tags_reach_the_model(pipeline, picture):
    prompts = [
        prepare(
            Request(picture, Verb.CAPTION, tags=tags), pipeline.processor, picture.size, pipeline.look(picture).tags
        )
        for tags in (None, [], ["dog"])
    ]
    assert [prompt.tags for prompt in prompts] == [("car", "tree", "sun"), None, ("dog",)]


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


def test_tags_in_one_text_are_refused(pipeline, picture):
    with pytest.raises(LionError, match="a list of words"):
        pipeline.caption(picture, tags="boat, sea")


def test_without_a_tagger(parts, picture):
    pipeline = LionPipeline(*parts[:2], name="tiny")
    assert pipeline.caption(picture).tags == ()
    with pytest.raises(LionError, match="no tagger"):
        pipeline.tags(picture)


def two_pictures(pipeline):
    """A cache that holds the evidence of two pictures, in bytes."""
    return EvidenceCache(2 * pipeline.look(several(1)[0]).evidence.nbytes)


def test_memory_is_bounded(pipeline, counted):
    pipeline.cache = two_pictures(pipeline)
    counted["vision"] = 0
    pictures = several(4)
    pipeline.look(pictures)
    assert len(pipeline.cache) == 2
    pipeline.look(pictures[3])
    assert counted["vision"] == 4
    pipeline.look(pictures[0])
    assert counted["vision"] == 5


def test_a_picture_that_comes_back_in_a_large_batch_is_still_one(pipeline, counted):
    pipeline.cache = two_pictures(pipeline)
    pictures = several(4)
    pictures.append(pictures[0].copy())
    looks = pipeline.look(pictures)
    assert looks[0].tags == looks[4].tags != () and looks[0].evidence is looks[4].evidence
    pipeline.cache.clear()
    pipeline.batch_size = 5
    answers = pipeline.answer([Request(picture, Verb.CAPTION) for picture in pictures])
    assert answers[0].tags == answers[4].tags != () and answers[0].text == answers[4].text
    assert all(answer.ok for answer in pipeline.answer([Request(p, Verb.CAPTION, tags=["car"]) for p in pictures]))


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


def test_a_long_chat_drops_its_oldest_rounds_and_says_so(pipeline, picture):
    history = [(f"is thing {index} red?", "yes it is") for index in range(40)]
    answer = pipeline.chat(picture, "what is it?", history)
    assert answer.ok and answer.note is not None
    dropped = int(answer.note.split()[2])
    assert 0 < dropped < 40
    assert answer.note == f"dropped the {dropped} oldest of 40 rounds: the prompt's limit is {tiny.LIMIT} tokens"
    assert pipeline.chat(picture, "what is it?", history[dropped:]).text == answer.text


@pytest.mark.parametrize("verb", [Verb.ASK, Verb.LOCATE, Verb.CHAT])
@pytest.mark.parametrize(("text", "message"), [("", "is empty"), (" \n", "is empty"), ("word " * 10_000, "limit is")])
def test_empty_and_endless_questions(pipeline, picture, verb, text, message):
    with pytest.raises(LionError, match=message):
        pipeline.answer([Request(picture, verb, text)])


@given(rounds=st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), max_size=12))
def test_a_chat_keeps_as_many_rounds_as_fit(rounds):
    tags = ["car"] * 200  # they get half at most
    request = Request("a.png", Verb.CHAT, "what is it?", history=rounds, tags=tags)
    prompt = prepare(request, PROCESSOR, (9, 9))
    words, note = prompt.instruction, prompt.note if (prompt.note or "").startswith("dropped") else None
    PROCESSOR(text=words.replace("<extra_id_0>", ""), tags=[tags])  # raises if it does not fit
    kept = len(rounds) - int(note.split()[2]) if note else len(rounds)
    if kept < len(rounds):
        assert prepare(replace(request, history=rounds[-kept - 1 :]), PROCESSOR, (9, 9)).instruction == words


PROCESSOR = tiny.processor()


def answering(pipeline, monkeypatch, text):
    ids = pipeline.processor.tokenizer(text)["input_ids"]
    monkeypatch.setattr(pipeline.decoder, "generate", lambda prompts, vision, preset: [ids] * len(prompts))


def test_locate_gives_the_box_in_both_spaces(pipeline, picture, monkeypatch):
    answering(pipeline, monkeypatch, "[0.10,0.20,0.50,0.80]")
    answer = pipeline.locate(picture, "the car")
    assert answer.ok
    assert answer.boxes == (LabelledBox("the car", Box(0.1, 0.2, 0.5, 0.8), Box(9, 12, 45, 48, "pixel")),)


@pytest.mark.parametrize("text", ["", "yes", "[0.1,0.2,0.3]", "[0.9,0.1,0.2,0.5]", "[0,0,2,2]", "[0.1,0.2,0.5,0.8"])
def test_an_unreadable_box_is_reported_not_invented(pipeline, picture, monkeypatch, text):
    answering(pipeline, monkeypatch, text)
    answer = pipeline.locate(picture, "the car")
    assert (answer.ok, answer.boxes, answer.text) == (False, (), text)
    assert answer.reason


def test_a_box_too_thin_for_the_models_decimals_is_noted(pipeline, picture):
    thin, wide = (pipeline.describe_region(picture, Box(0.501, 0.3, x2, 0.6)) for x2 in (0.504, 0.524))
    assert thin.note == "at the 2 decimals that the model reads, the box 0.501,0.3,0.504,0.6 has no area"
    assert wide.note is None


def test_a_long_chat_keeps_its_few_tags_and_many_tags_keep_the_chat(pipeline, picture):
    history = [(f"is thing {index} red?", "yes it is") for index in range(40)]
    few = pipeline.chat(picture, "what is it?", history, tags=["car", "tree"])
    many = pipeline.chat(picture, "what is it?", history[:2], tags=["car"] * 200)
    assert few.tags == ("car", "tree") and few.note.startswith("dropped the ") and "tags" not in few.note
    assert 2 < len(many.tags) < 200 and many.note.startswith(f"kept {len(many.tags)} of 200 tags")


def test_what_is_forgotten_is_looked_at_anew(pipeline, picture, monkeypatch):
    monkeypatch.setattr(pipeline, "tagger", lambda images: [("old",)] * len(images))
    pipeline.cache.clear()
    assert pipeline.tags(picture).tags == ("old",)
    monkeypatch.setattr(pipeline, "tagger", lambda images: [("new",)] * len(images))
    assert pipeline.tags(picture).tags == ("old",)
    pipeline.cache.clear()
    assert pipeline.tags(picture).tags == ("new",)
    pipeline.cache.clear()


def test_tags_that_are_no_words_are_an_error(pipeline, picture):
    with pytest.raises(LionError, match="list of words"):
        pipeline.ask([picture, picture], "what is it?", tags=[["cat"], ["dog"]])


def test_silence_is_not_an_answer(pipeline, picture, monkeypatch):
    answering(pipeline, monkeypatch, "")
    assert pipeline.caption(picture).ok is False


@pytest.mark.parametrize(
    "box",
    [Box(0.5, 0.5, 1.01, 0.9), Box(-0.1, 0, 1, 1), Box(0, 0, 91, 60, "pixel"), Box(0.3, 0.3, 0.3, 0.9)],
)
def test_a_region_must_lie_in_the_picture(pipeline, picture, box):
    with pytest.raises(LionError, match=r"reaches outside|no area"):
        pipeline.describe_region(picture, box)


def test_json_has_the_stable_keys(pipeline, picture):
    row = pipeline.describe_region(picture, Box(0, 0, 30, 30, "pixel")).to_json()
    assert list(row) == ["image", "task", "text", "tags", "boxes", "ok", "model"]
    assert row["boxes"] == [{"label": row["text"], "unit": [0.0, 0.0, 0.3333, 0.5], "pixel": [0.0, 0.0, 30.0, 30.0]}]


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


def test_a_box_and_a_history_of_another_kind_are_refused(pipeline, picture):
    for box in ((0.1, 0.2, 0.5, 0.9), [0.1, 0.2, 0.5, 0.9], [Box(0, 0, 1, 1), (0.1, 0.2, 0.5, 0.9)], "0.1,0.2,0.5,0.9"):
        with pytest.raises(LionError, match=r"a box is lion\.Box\(x1, y1, x2, y2\), not .*0\.9"):
            pipeline.describe_region(picture, box)
    for question in (3, ["what is it?", 3]):
        with pytest.raises(LionError, match="a question or phrase is text, not 3"):
            pipeline.ask(picture, question)
    for history in ([("only a question",)], ["no", "ab"], [("is it?", 3)]):
        with pytest.raises(LionError, match=r"a history is a list of rounds \(question, answer\)"):
            pipeline.chat(picture, "what is it?", history)
