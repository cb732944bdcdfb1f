"""Answers as other programs want them: boxes as supervision's detections."""

import sys

import numpy as np
import pytest
from PIL import Image

from lion.boxes import Box
from lion.errors import LionError
from lion.pipeline import Answer, LabelledBox, Verb

SIZE = (200, 100)


def answer(*labels):
    boxes = [LabelledBox.of(label, Box(0.1 * place, 0.2, 0.5, 0.8), SIZE) for place, label in enumerate(labels, 1)]
    return Answer("", Verb.LOCATE, boxes=tuple(boxes), ok=bool(boxes))


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
