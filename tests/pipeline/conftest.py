"""One tiny pipeline for all tests of this folder, and a picture to ask about."""

import pytest
from PIL import Image

from lion.pipeline import DecodingPreset, LionPipeline
from tests.pipeline import tiny


@pytest.fixture(scope="session")
def parts():
    """Model, processor and tagger, shared: tests do not change them."""
    processor = tiny.processor()
    return tiny.model(processor), processor, tiny.tagger()


@pytest.fixture
def pipeline(parts):
    return LionPipeline(*parts, name="tiny", batch_size=3)


@pytest.fixture
def picture():
    return Image.linear_gradient("L").resize((90, 60)).convert("RGB")


@pytest.fixture
def short_answers(pipeline):
    """Random weights never stop by themselves."""
    pipeline.decoding = dict.fromkeys(pipeline.decoding, DecodingPreset(num_beams=2, max_new_tokens=8))


@pytest.fixture
def counted(pipeline, monkeypatch):
    """How many pictures the Vision Encoder and the tagger were shown."""
    seen = {"vision": 0, "tagger": 0}
    look, tagger = pipeline.seeing(), pipeline.tagger

    def counting_look(pixel_values):
        seen["vision"] += len(pixel_values)
        return look(pixel_values)

    def counting_tagger(images):
        seen["tagger"] += len(images)
        return tagger(images)

    monkeypatch.setattr(pipeline, "seeing", lambda: counting_look)
    monkeypatch.setattr(pipeline, "tagger", counting_tagger)
    return seen
