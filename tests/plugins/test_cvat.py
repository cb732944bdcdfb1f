"""CVAT's own command line runs the function; needs cvat-cli, in an environment of its own. The server is a stand-in."""

import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from PIL import Image

from lion.pipeline import LionPipeline

ROOT = Path(__file__).parents[2]
SCENE = ROOT / "examples" / "scene.png"
PAGE = (ROOT / "docs" / "how-to" / "integrations_cvat.md").read_text()
(COMMAND,) = re.findall(r"^cvat-cli (.*)$", PAGE, re.MULTILINE)
pytestmark = pytest.mark.slow


@pytest.fixture
def annotated(monkeypatch):
    """Run a command for a task with one picture; (label, points, score) of what is uploaded."""
    pytest.importorskip("cvat_cli", reason="not installed: pip install cvat-cli")
    from cvat_cli import __main__ as program
    from cvat_sdk import models

    def run(image, command, *more):
        labels = [
            models.Label._from_openapi_data(id=7 + place, name=name, type="rectangle", attributes=[], sublabels=[])
            for place, name in enumerate(("boat", "kite"))
        ]
        media = SimpleNamespace(load_image=lambda: image)
        sample = SimpleNamespace(frame_name="scene.png", frame_index=3, media=media)
        task = SimpleNamespace(labels=labels, samples=[sample])
        client = MagicMock()
        client.__enter__.return_value = client
        monkeypatch.setattr("cvat_cli._internal.common.make_client_from_cli", lambda *given, **named: client)
        monkeypatch.setattr("cvat_sdk.auto_annotation.driver.TaskDataset", lambda *given, **named: task)
        assert program.main([*shlex.split(command), *more]) == 0
        ((action, number), named) = client.tasks.api.partial_update_annotations.call_args
        request = named["patched_labeled_data_request"]
        assert (action, number, request.tags) == ("create", 42, [])
        assert all((one.frame, one.type.value, one.source) == (3, "rectangle", "auto") for one in request.shapes)
        return [(labels[one.label_id - 7].name, one.points, one.score) for one in request.shapes]

    return run


def test_the_command_of_the_docs_uploads_the_boxes_of_the_pipeline(annotated, loads, pipeline, picture):
    kite, boat = annotated(picture, COMMAND.replace("0.3", "0"), "-p", "device=str:cpu")
    assert loads == [(("path/to/model",), {"device": "cpu", "decoding": "lion"})]
    (box,) = pipeline.locate(picture, "the blue kite", if_there=True).boxes
    assert kite == ("kite", pytest.approx(box.pixel.xyxy()), pytest.approx(box.score)) and boat[0] == "boat"
    best = max(kite[2], boat[2])
    assert all(score >= best for *_, score in annotated(picture, COMMAND.replace("0.3", repr(best))))
    assert annotated(picture, COMMAND.replace("0.3", "1.0")) == []


def test_lion_mini_finds_the_kite_of_a_drawn_scene(annotated):
    command = COMMAND.replace("path/to/model", "lion-mini").replace("; boat", "; rocket=the rocket")
    found = annotated(Image.open(SCENE).convert("RGB"), command, "--allow-unmatched-labels", "-p", "device=str:cpu")
    (box,) = LionPipeline.from_pretrained(device="cpu").locate(SCENE, "the blue kite").boxes
    ((label, points, score),) = found
    assert label == "kite" and points == pytest.approx(box.pixel.xyxy()) and score > 0.5
