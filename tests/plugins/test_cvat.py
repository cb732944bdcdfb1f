"""CVAT's own loader and checks take the function; needs cvat-cli, in an environment of its own."""

import logging
from pathlib import Path

import pytest
from PIL import Image

from lion.pipeline import LionPipeline

SCENE = Path(__file__).parents[2] / "examples" / "scene.png"
pytestmark = pytest.mark.slow


@pytest.fixture
def cvat():
    """CVAT's packages."""
    return pytest.importorskip("cvat_cli", reason="not installed: pip install cvat-cli")


def loaded(*parameters):
    """As ``cvat-cli task auto-annotate`` loads it with ``-p``."""
    from cvat_cli._internal.common import FunctionLoader
    from cvat_cli._internal.parsers import parse_function_parameter

    return FunctionLoader("lion.plugins.cvat", None, dict(map(parse_function_parameter, parameters))).load()


def annotated(function, image, threshold=None):
    """(label, points, score) of what CVAT would store for a frame of a task that has these labels, numbered from 7."""
    from cvat_sdk import models
    from cvat_sdk.auto_annotation.driver import _AnnotationMapper, _DetectionFunctionContextImpl

    labels = [
        models.Label._from_openapi_data(id=7 + one.id, name=one.name, type="rectangle", attributes=[], sublabels=[])
        for one in function.spec.labels
    ]
    mapper = _AnnotationMapper(
        logging.getLogger(), function.spec.labels, labels, allow_unmatched_labels=False, conv_mask_to_poly=False
    )
    context = _DetectionFunctionContextImpl(frame_name="scene.png", conf_threshold=threshold)
    tags, shapes = mapper.validate_and_remap(function.detect(context, image), 3)
    assert not tags and all((one.frame, one.type.value, one.source) == (3, "rectangle", "auto") for one in shapes)
    return [(labels[one.label_id - 7].name, one.points, one.score) for one in shapes]


def test_cvat_stores_the_boxes_of_the_pipeline(cvat, loads, pipeline, picture):
    function = loaded("model=str:own", "labels=str:kite=the blue kite;boat", "device=str:cpu")
    assert loads == [(("own",), {"device": "cpu", "decoding": "lion"})]
    kite, boat = annotated(function, picture)
    (box,) = pipeline.locate(picture, "the blue kite", if_there=True).boxes
    assert kite == ("kite", pytest.approx(box.pixel.xyxy()), pytest.approx(box.score)) and boat[0] == "boat"
    best = max(kite[2], boat[2])
    assert all(score >= best for *_, score in annotated(function, picture, best))
    assert annotated(function, picture, 1.0) == []


def test_lion_mini_finds_the_kite_of_a_drawn_scene(cvat):
    function = loaded("model=str:lion-mini", "labels=str:kite=the blue kite;rocket=the rocket", "device=str:cpu")
    ((label, points, score),) = annotated(function, Image.open(SCENE).convert("RGB"))
    (box,) = LionPipeline.from_pretrained(device="cpu").locate(SCENE, "the blue kite").boxes
    assert label == "kite" and points == pytest.approx(box.pixel.xyxy()) and score > 0.5
