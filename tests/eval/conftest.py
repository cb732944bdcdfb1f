"""Guessers that learn from few scenes, so that tests are quick, and the parts of one tiny model."""

import pytest

from lion.eval.benchmarks import guessers
from tests.eval import tiny_world


@pytest.fixture(autouse=True, scope="session")
def few_scenes():
    usual, guessers.TRAIN_SCENES = guessers.TRAIN_SCENES, 60
    tiny_world.forget()
    yield
    guessers.TRAIN_SCENES = usual
    tiny_world.forget()


@pytest.fixture(scope="session")
def parts():
    return tiny_world.parts()
