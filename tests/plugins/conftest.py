"""A tiny pipeline that always finds a box, and a picture to look at."""

import pytest
from PIL import Image

from lion.pipeline import LionPipeline
from tests.pipeline import tiny


@pytest.fixture(scope="session")
def parts():
    """Model, processor and tagger, shared: tests do not change them."""
    processor = tiny.processor()
    return tiny.model(processor), processor, tiny.tagger()


@pytest.fixture
def pipeline(parts, monkeypatch):
    monkeypatch.setattr(
        "lion.pipeline.answering.PRESENCE_THRESHOLD", 0.0
    )  # random weights may say that nothing is there
    return LionPipeline(*parts, name="tiny", decoding="boxes")


@pytest.fixture
def picture():
    return Image.linear_gradient("L").resize((90, 60)).convert("RGB")


@pytest.fixture
def loads(pipeline, monkeypatch):
    """Let every name of a model load the tiny one; the calls so far."""
    calls = []

    def load(*model, **settings):
        calls.append((model, settings))
        return pipeline

    monkeypatch.setattr(LionPipeline, "from_pretrained", load)
    return calls
