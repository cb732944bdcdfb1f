"""Baselines with statistics of few scenes, so that tests are quick, and the parts of one tiny model."""

import pytest

from tests.eval import tiny_world


@pytest.fixture(autouse=True, scope="session")
def few_scenes():
    with tiny_world.few_scenes():
        yield


@pytest.fixture(scope="session")
def parts():
    return tiny_world.parts()
