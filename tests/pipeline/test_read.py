"""Reading: token ids and likelihoods become answers, and answers what other programs take."""

import io
import json
import sys
import types
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lion.boxes import Box
from lion.engine import Output
from lion.errors import LionError
from lion.pipeline import Answer, LabelledBox, Look, Request, Verb, detections, prepare, read, read_ranking
from lion.pipeline.read import Detokenizer, ranked
from tests.pipeline import tiny

SIZE = (200, 100)
PROCESSOR = tiny.processor()


def read_text(request, text, stop=()):
    """The answer to a request when the model generates a text; no model is involved."""
    look = Look.open(Image.new("RGB", SIZE))
    prompt = prepare(request, PROCESSOR, SIZE, ["car"])
    return read(prompt, look, Output(PROCESSOR.tokenizer(text)["input_ids"]), PROCESSOR.tokenizer, "tiny", stop)


def test_ids_become_an_answer():
    answer = read_text(Request("a.png", Verb.LOCATE, "the car"), " [0.10,0.20,0.50,0.80]")
    box = LabelledBox("the car", Box(0.1, 0.2, 0.5, 0.8), Box(20, 20, 100, 80, "pixel"))
    assert answer == Answer(
        "[0.10,0.20,0.50,0.80]", Verb.LOCATE, ("car",), (box,), model="tiny", question="the car", size=SIZE
    )
    described = read_text(Request("a.png", Verb.DESCRIBE, box=Box(20, 20, 100, 80, "pixel"), tags=[]), "a red car")
    assert described.boxes == (LabelledBox("a red car", box.unit, box.pixel),) and described.tags == ()
    silent = read_text(Request("a.png", Verb.CAPTION), " ")
    assert (silent.ok, silent.text, silent.reason) == (False, "", "the model generated an empty answer")


def test_likelihoods_become_an_answer():
    request = Request("a.png", Verb.ASK, "what is it?", candidates=["a cat", "a dog", "a car"])
    prompt = prepare(request, PROCESSOR, SIZE, None)
    answer = read_ranking(prompt, Look.open(Image.new("RGB", SIZE)), [3.0, 1.5, 2.0], "tiny")
    assert (answer.text, answer.ok) == ("a dog", True)
    assert [(one.text, one.nll, one.index) for one in answer.candidates] == [
        ("a dog", 1.5, 1), ("a car", 2.0, 2), ("a cat", 3.0, 0)
    ]  # fmt: skip
    assert [one.tokens for one in answer.candidates] == [len(prompt.candidates[n]) for n in (1, 2, 0)]


@given(nlls=st.lists(st.sampled_from([0.5, 1.0, 2.0, 30.0]), min_size=1, max_size=12))
def test_ties_stay_in_the_given_order(nlls):
    order = ranked(["a"] * len(nlls), [[5, 1]] * len(nlls), nlls)
    assert [(one.nll, one.index) for one in order] == sorted((nll, index) for index, nll in enumerate(nlls))


def test_a_loss_that_is_no_number_is_an_error():
    with pytest.raises(LionError, match="NaN"):
        ranked(["a", "b"], [[3, 1], [4, 1]], [0.5, float("nan")])


def answering(pipeline, monkeypatch, text):
    monkeypatch.setattr(pipeline, "decoder", tiny.Says(pipeline.processor, text))


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


def test_silence_is_not_an_answer(pipeline, picture, monkeypatch):
    answering(pipeline, monkeypatch, "")
    assert pipeline.caption(picture).ok is False


def test_json_has_the_stable_keys(pipeline, picture):
    row = pipeline.describe_region(picture, Box(0, 0, 30, 30, "pixel")).to_json()
    assert list(row) == [
        "image", "task", "text", "tags", "boxes", "ok", "model", "reason", "question", "size", "note", "confidence",
        "presence",
    ]  # fmt: skip
    assert (row["question"], row["size"], row["note"]) == (None, [90, 60], None)
    asked = json.loads(json.dumps(pipeline.locate(picture, "the car").to_json()))
    assert asked["question"] == "the car" and asked["size"] == [90, 60]
    corners = {"unit": [0.0, 0.0, 0.3333, 0.5], "pixel": [0.0, 0.0, 30.0, 30.0]}
    assert row["boxes"] == [{"label": row["text"], **corners, "score": None}]


def answer(*labels):
    boxes = [LabelledBox.of(label, Box(0.1 * place, 0.2, 0.5, 0.8), SIZE) for place, label in enumerate(labels, 1)]
    return Answer("", Verb.LOCATE, boxes=tuple(boxes), ok=bool(boxes))


def opened(image):
    return np.asarray(Image.open(io.BytesIO(image)).convert("RGB")).astype(int)


def test_a_notebook_shows_the_picture_with_the_answer(pipeline, tmp_path, monkeypatch):
    """From pixels or from the file, boxes drawn; another picture in the file's place is never shown."""
    answering(pipeline, monkeypatch, "[0.10,0.20,0.50,0.80]")
    path = tmp_path / "a.png"
    Image.new("RGB", (1400, 700), "white").save(path)
    plain = opened(pipeline.look(path)._repr_png_())
    assert plain.shape == (512, 1024, 3) and (plain == 255).all(), "a large picture is shown small"
    for picture in (path, path.read_bytes(), Image.open(path), pipeline.look(path)):
        found = pipeline.locate(picture, "the car")
        drawn = opened(found._repr_png_())
        assert drawn.shape == plain.shape and (drawn != plain).any()
        assert (found.pixels is None) == (found.image is not None), "no picture is held that a file has"
    told = opened(pipeline.caption(path)._repr_png_())
    assert told.shape[0] > plain.shape[0], "words stand below"
    Image.new("RGB", (1400, 700), "black").save(path)
    named = pipeline.locate(path, "the car")
    Image.new("RGB", (1400, 700), "red").save(path)
    assert named._repr_png_() is None
    path.unlink()
    assert named._repr_png_() is None and Answer("yes", Verb.ASK)._repr_png_() is None


def test_look_and_answer_say_what_they_are_in_a_line(pipeline, picture, tmp_path, monkeypatch):
    picture.save(tmp_path / "a.png")
    look = Look.open(tmp_path / "a.png")
    assert repr(look) == f"Look({tmp_path / 'a.png'}, 90 x 60)"
    assert repr(pipeline.look(picture)) == "Look(pixels, 90 x 60, tags: car, tree, sun)"
    answering(pipeline, monkeypatch, "two\nlines")
    wrong = pipeline.locate(look, "the car")
    assert repr(wrong) == rf"Answer('two\nlines', locate, {look.name}, not ok: {wrong.reason})"
    answering(pipeline, monkeypatch, "[0.10,0.20,0.50,0.80]")
    assert repr(pipeline.locate(picture, "it")) == "Answer('[0.10,0.20,0.50,0.80]', locate, 1 box, pixels)"
    assert repr(replace(wrong, image="two\nlines.png", ok=True)) == r"Answer('two\nlines', locate, two\nlines.png)"
    assert repr(pipeline).startswith("LionPipeline(tiny, torch.float32")


@pytest.mark.parametrize("name", ["lion-mini", "/secret/copy"])
def test_lion_mini_and_its_copies_say_what_they_know_in_every_note(pipeline, picture, monkeypatch, name):
    history = [("is it red?", "yes it is")] * 40
    plain = pipeline.chat(picture, "what is it?", history)
    assert plain.note == plain.remark and plain.note.startswith("dropped the ")
    pipeline.name = name
    monkeypatch.setattr(pipeline.model.config, "domain", "drawn scenes")
    known = "lion-mini knows" if name == "lion-mini" else "this model comes from lion-mini, which knows"
    noted = pipeline.chat(picture, "what is it?", history)
    assert noted.note.startswith(f"{plain.note}; {known} drawn scenes only") and noted.remark == plain.remark
    for answer in (pipeline.caption(picture), pipeline.tags(picture), pipeline.locate(picture, "it")):
        assert answer.note.startswith(f"{known} drawn scenes only") and answer.remark is None
        assert "secret" not in answer.note  # a server's clients read it
        assert answer.to_json()["note"] == answer.note


def pieces(text, stop=()):
    """An answer as it is written token by token, and at last the answer itself."""
    ids, detokenizer = PROCESSOR.tokenizer(text)["input_ids"], Detokenizer(PROCESSOR.tokenizer, stop)
    whole = read_text(Request("a.png", Verb.CAPTION), text, stop).text
    return [*(detokenizer.add(ids[:length]) for length in range(1, len(ids) + 1)), detokenizer.end(whole)], whole


@given(text=st.text(alphabet=st.sampled_from("ab .,[]0\u00e9\U0001f98a\n"), max_size=30))
def test_pieces_are_together_the_text(text):
    parts, whole = pieces(text)
    assert "".join(parts) == whole


def test_pieces_come_before_the_end():
    """The first words are there while the last are not even generated."""
    parts, whole = pieces("a red car on the left")
    assert next(part for part in parts[:4] if part) == "a" and "".join(parts) == whole


@given(text=st.text(alphabet="ab .", max_size=20), stop=st.text(alphabet="ab .", min_size=1, max_size=4))
def test_what_may_begin_a_stop_is_held_back(text, stop):
    """As the engine does, tokens end with the one that completes the stop."""
    known = text.find(stop)
    parts, whole = pieces(text if known < 0 else text[: known + len(stop)], [stop])
    assert "".join(parts) == whole == text.split(stop)[0].strip()


class Stub(types.SimpleNamespace):
    """Takes what supervision's Detections take."""


@pytest.fixture
def stubbed(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", types.SimpleNamespace(Detections=Stub))


def test_classes_are_numbered_across_answers(stubbed):
    found = detections([answer("kite", "cat"), answer(), answer("dog", "kite")])
    assert [one.class_id.tolist() for one in found] == [[0, 1], [], [2, 0]]
    assert [one.data["class_name"].tolist() for one in found] == [["kite", "cat"], [], ["dog", "kite"]]
    assert [one.xyxy.shape for one in found] == [(2, 4), (0, 4), (2, 4)]
    assert answer("dog", "cat").detections().class_id.tolist() == [0, 1]


def test_detections_have_a_confidence_where_every_box_has_a_score(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", types.SimpleNamespace(Detections=types.SimpleNamespace))
    box = LabelledBox.of("kite", Box(0.1, 0.2, 0.5, 0.8), SIZE, 0.75)
    scored = replace(answer("kite"), boxes=(box,))
    found = detections([scored, answer()])
    assert [one.confidence.tolist() for one in found] == [[0.75], []], "so that they may be merged"
    assert [one.confidence for one in detections([scored, answer("cat")])] == [None, None]


@pytest.fixture
def supervision():
    return pytest.importorskip("supervision", reason="supervision is not installed")


def test_detections_without_supervision(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(LionError, match="pip install supervision"):
        answer("kite").detections()


def test_detections_are_pixels_and_labels(supervision):
    found = answer("kite", "cat", "kite").detections()
    assert isinstance(found, supervision.Detections) and len(found) == 3
    np.testing.assert_allclose(found.xyxy, [[20, 20, 100, 80], [40, 20, 100, 80], [60, 20, 100, 80]], rtol=1e-6)
    assert found["class_name"].tolist() == ["kite", "cat", "kite"] and found.class_id.tolist() == [0, 1, 0]
    assert found[found["class_name"] == "cat"].xyxy.tolist() == [[40, 20, 100, 80]]


def test_an_answer_without_a_box_has_no_detections(supervision):
    none = answer().detections()
    assert len(none) == 0 and none.is_empty()
    both = supervision.Detections.merge([none, answer("cat").detections()])
    assert both["class_name"].tolist() == ["cat"]


def test_detections_can_be_drawn(supervision):
    picture = Image.new("RGB", SIZE)
    drawn = np.asarray(supervision.BoxAnnotator(thickness=2).annotate(picture.copy(), answer("cat").detections()))
    rows, columns = np.nonzero(drawn.any(axis=-1))
    edges = [columns.min(), rows.min(), columns.max(), rows.max()]
    assert np.abs(np.subtract(edges, [20, 20, 100, 80])).max() <= 2
    assert not np.asarray(supervision.BoxAnnotator().annotate(picture.copy(), answer().detections())).any()
