"""One tiny pipeline for all tests of this folder, and a picture to ask about."""

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
def pipeline(parts):
    return LionPipeline(*parts, name="tiny", batch_size=3)


@pytest.fixture
def picture():
    return Image.linear_gradient("L").resize((90, 60)).convert("RGB")
