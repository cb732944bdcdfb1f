"""The curriculum: few objects and clean tokens at first, then as many and as noisy as visual tokens will be."""

import numpy as np
import pytest

from lion.prompts import Task
from lion.train.mini.curriculum import Curriculum, most_objects
from lion.train.recipe import load
from lion.world import scene


def curriculum(*overrides):
    recipe = load("mini-t5", overrides)
    return Curriculum(recipe.data[0], recipe.options, decimals=2)


def examples(done, size=40):
    return curriculum().batch(done, size, np.random.default_rng(0))[1]


def test_scenes_may_hold_one_more_object_with_every_third_of_the_phase():
    assert [most_objects(done, 0.3) for done in (0, 0.05, 0.1, 0.15, 0.2, 0.29, 0.3, 0.99)] == [
        *(1, 1, 2, 2, 3, 3, None, None)
    ]
    assert most_objects(0, 0) is None


@pytest.mark.parametrize(("done", "most"), [(0.0, 1), (0.05, 2), (0.11, 3), (0.12, 6)])
def test_scenes_hold_few_objects_at_first(done, most):
    assert max(len(example.scene.objects) for example in examples(done)) == most


def test_early_tokens_are_one_per_object_and_late_ones_repeat_and_show_the_background():
    for example in examples(0.2):
        assert sorted(token.object_index for token in example.tokens) == list(range(len(example.scene.objects)))
    late = [[token.object_index for token in example.tokens] for example in examples(0.9)]
    assert any(None in indices for indices in late)
    assert any(indices.count(0) == 2 for indices in late) and max(indices.count(0) for indices in late) == 2


def test_a_validation_example_is_a_function_of_scene_task_and_generator():
    shown = scene("val", 3)
    one, two = (curriculum().validation_example(shown, Task.VQA, np.random.default_rng(4)) for _ in range(2))
    assert one == two and one.task == Task.VQA and one.answer
