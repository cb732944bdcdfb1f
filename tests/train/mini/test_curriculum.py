"""Lessons: few things first and clean, then as many and as messy as they will be seen."""

import numpy as np
import pytest

from lion.prompts import Task
from lion.train.mini.curriculum import Lessons, most_things
from lion.train.recipe import load
from lion.world import scene


def lessons(*overrides):
    recipe = load("mini-t5", overrides)
    return Lessons(recipe.data[0], recipe.options, decimals=2)


def rows(done, *overrides, count=40):
    return lessons(*overrides).rows(done, count, np.random.default_rng(0))[1]


def test_things_grow_more_until_scenes_are_as_usual():
    assert [most_things(done, 0.3) for done in (0, 0.05, 0.1, 0.15, 0.2, 0.29, 0.3, 0.99)] == [
        *(1, 1, 2, 2, 3, 3, None, None)
    ]
    assert most_things(0, 0) is None


@pytest.mark.parametrize(("done", "most"), [(0.0, 1), (0.05, 2), (0.11, 3), (0.12, 6)])
def test_scenes_hold_few_things_at_first(done, most):
    assert max(len(row.scene.objects) for row in rows(done)) == most


def test_early_symbols_are_the_things_alone_and_late_ones_repeat_and_fill():
    early = rows(0.2)
    assert all([symbol.thing for symbol in row.symbols].count(None) == 0 for row in early)
    assert all(len(row.symbols) == len(row.scene.objects) for row in early)
    late = rows(0.9)
    assert any(None in [symbol.thing for symbol in row.symbols] for row in late)
    assert any(len({s.thing for s in row.symbols}) < len([s for s in row.symbols if s.box]) for row in late)


def test_a_question_is_a_function_of_scene_task_and_numbers():
    shown = scene("val", 3)
    one, two = (lessons().question(shown, Task.VQA, np.random.default_rng(4)) for _ in range(2))
    assert one == two and one.task == Task.VQA and one.answer
