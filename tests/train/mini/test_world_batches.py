"""Scenes and pictures of the pretraining objectives: pure functions of the step, from one drawn source."""

import numpy as np
import pytest

from lion.errors import LionError
from lion.train.mini.world_batches import WorldBatches
from lion.train.presets import world_processor
from lion.train.recipe import load
from tests.train.mini.helpers import SHORT

WORLD = "{source: world, scenes: 8}"


def batches(*overrides, short=SHORT):
    recipe = load("mini-vit", [*short, *overrides])
    return WorldBatches(recipe, world_processor("tiny").image_processor)


def test_a_batch_is_a_function_of_seed_step_and_shard():
    one, two = batches(), batches()
    first, again = one.batch(1, 0), two.batch(1, 0)
    assert [scene.id for scene in first[0]] == [scene.id for scene in again[0]]
    assert np.array_equal(first[1], again[1]) and first[1].shape == (3, 56, 56, 3)
    others = [one.batch(2, 0), one.batch(1, 1), batches("seed=1").batch(1, 0)]
    assert any([scene.id for scene in first[0]] != [scene.id for scene in other[0]] for other in others)


def test_validation_reads_each_val_scene_once():
    parts = [scenes for scenes, _ in batches().validation(batch_size=3)]
    assert [len(scenes) for scenes in parts] == [3, 1]
    assert len({scene.id for scenes in parts for scene in scenes}) == 4
    assert all(scene.id.startswith("val-") for scenes in parts for scene in scenes)


def test_two_sources_are_refused():
    with pytest.raises(LionError, match="learns from exactly one world source"):
        batches(f"data=[{WORLD}, {WORLD}]", short=[one for one in SHORT if not one.startswith("data.")])
