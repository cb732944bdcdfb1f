"""A tiny LION in memory, and limits and peers small enough for a test."""

import pytest

from lion.bench import limits, peers, stages
from lion.pipeline import DecodingPreset, LionPipeline
from lion.prompts import Task
from tests.pipeline import tiny


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(limits, "SQUARE", 64)
    monkeypatch.setattr(limits, "LARGE", 2**16)
    monkeypatch.setattr(stages, "OWN_SHAPE_SECONDS", 0.0)
    monkeypatch.setattr(stages, "BATCHES", (1, 3))
    monkeypatch.setattr(stages, "TOKENS", 5)
    monkeypatch.setattr(peers, "TOKENS", 5)
    monkeypatch.setattr(peers, "CASES", ((1, 1), (3, 2)))


@pytest.fixture(scope="session")
def lion():
    processor = tiny.processor()
    lion = LionPipeline(tiny.model(processor), processor, tiny.tagger(), name="tiny")
    lion.decoding = dict.fromkeys(Task, DecodingPreset(num_beams=2, max_new_tokens=5))
    return lion


@pytest.fixture
def shape():
    """A peer's shape with the vocabulary that random_lion's processor needs."""
    return peers.Shape(
        width=32, heads=2, inner=64, vision_layers=4, qformer_layers=2, text_inner=64, text_layers=2, vocabulary=600,
        queries=4, pixels=64, patch=16,
    )  # fmt: skip
