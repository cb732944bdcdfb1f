"""Labels with phrases, and the boxes that a pipeline finds for them."""

import json
from importlib.resources import files
from pathlib import Path

import pytest

from lion.errors import LionError
from lion.pipeline import LionPipeline
from lion.plugins.phrases import locate, read_phrases, shown_name


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("kite", {"kite": "kite"}),
        (" kite = the blue kite ;boat; ", {"kite": "the blue kite", "boat": "boat"}),
        ("a=x = y", {"a": "x = y"}),
    ],
)
def test_labels_have_phrases(text, phrases):
    assert read_phrases(text) == phrases


@pytest.mark.parametrize("text", ["", " ; ", "=x", "kite=", "kite;kite=the blue kite"])
def test_labels_that_say_nothing(text):
    with pytest.raises(LionError, match="kite=the blue kite; boat"):
        read_phrases(text)


def test_boxes_carry_the_label_and_pass_the_threshold(pipeline, picture):
    phrases = {"kite": "the blue kite", "boat": "a boat"}
    (kite, boat), others = locate(pipeline, [picture, picture.rotate(90)], phrases)
    asked = pipeline.locate(picture, "the blue kite", if_there=True).boxes[0]
    assert (kite.label, boat.label) == ("kite", "boat")
    assert (kite.unit, kite.pixel, kite.score) == (asked.unit, asked.pixel, asked.score) and 0 < kite.score < 1
    assert [box.label for box in others] == ["kite", "boat"] and others[0].unit != kite.unit
    assert "kite" in [box.label for box in locate(pipeline, [picture], phrases, kite.score)[0]]
    assert locate(pipeline, [picture], phrases, 1.0) == [[]]


def test_what_is_not_there_has_no_box(pipeline, picture, monkeypatch):
    monkeypatch.setattr("lion.pipeline.answering.PRESENCE_THRESHOLD", 1.1)
    assert locate(pipeline, [picture], {"kite": "the blue kite"}) == [[]]


def test_a_toy_is_called_one():
    lion = LionPipeline.from_pretrained(device="cpu")
    assert shown_name(lion) == "lion-mini (a toy: drawn scenes only)"
    lion.name = "own/model"  # whatever a copy is called
    assert shown_name(lion) == "own/model (a toy: drawn scenes only)"
    lion.model.config.domain = None
    assert shown_name(lion) == "own/model"


def test_the_zoo_of_fiftyone_calls_the_toy_one():
    folder = Path(str(files("lion"))) / "plugins" / "fiftyone_zoo"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["name"] != "lion"  # FiftyOne imports the source under this name
    described = {model["base_name"]: model["description"] for model in manifest["models"]}
    assert list(described) == ["lion-mini", "lion"] and "toy" in described["lion-mini"]
