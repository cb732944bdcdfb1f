"""The curriculum: few objects and clean tokens at first, then as many and as noisy as visual tokens will be."""

import numpy as np
import pytest
import torch

from lion.prompts import Task
from lion.train.mini.alignment import covered_cells
from lion.train.mini.curriculum import Curriculum, Grid, _cells, most_objects
from lion.train.recipe import load
from lion.world import scene


def curriculum(*overrides):
    recipe = load("mini-t5", overrides)
    return Curriculum(recipe.data[0], recipe.options, decimals=2, queries=4, patches=8)


def examples(done, *overrides):
    return curriculum(*overrides).batch(done, 40, np.random.default_rng(0))[1]


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
    late = [[token.object_index for token in example.tokens] for example in examples(0.9, "options.grids=0")]
    assert any(None in indices for indices in late)
    assert any(indices.count(0) == 2 for indices in late) and max(indices.count(0) for indices in late) == 2


def test_a_validation_example_is_a_function_of_scene_task_and_generator():
    shown = scene("val", 3)
    one, two = (curriculum().validation_example(shown, Task.VQA, np.random.default_rng(4)) for _ in range(2))
    assert one == two and one.task == Task.VQA and one.answer


def test_late_scenes_are_given_in_the_grids_of_their_stages():
    kinds = {}
    for seed in range(80):
        difficulty, [example] = curriculum().batch(1.0, 1, np.random.default_rng(seed))
        kinds.setdefault(tuple(grid.side for grid in difficulty.grids), set()).add(difficulty.task)
        if difficulty.grids:
            assert len(example.tokens) == sum(grid.side**2 for grid in difficulty.grids)
    assert set(kinds) == {(), (4,), (8,), (4, 8)}
    assert kinds[4,] <= {Task.CAPTION, Task.VQA, Task.DIALOG} and kinds[8,] <= {Task.REC, Task.REG}
    assert not any(curriculum().batch(0.3, 1, np.random.default_rng(seed))[0].grids for seed in range(20))
    assert not any(curriculum("options.grids=0").batch(1.0, 1, np.random.default_rng(s))[0].grids for s in range(20))


@pytest.mark.parametrize("side", [4, 8])
def test_each_object_shows_in_a_cell_that_it_covers(side):
    rng, absent = np.random.default_rng(0), 0
    for number in range(60):
        shown = scene("train", number)
        cells = _cells(shown, Grid(side), rng, ())
        boxes = torch.tensor([[one.box.xyxy() for one in shown.objects]])
        covered = covered_cells(boxes, side * side)[0]
        for cell, token in enumerate(cells):
            if token.object_index is None:
                assert token.words == (shown.theme,) and token.box is None
            else:
                assert covered[token.object_index, cell]
                assert token.box == shown.objects[token.object_index].box
        absent += len(shown.objects) - len({token.object_index for token in cells} - {None})
    assert absent <= 2  # all of an object's cells may belong to smaller ones


def test_an_omitted_object_shows_in_no_cell():
    shown = scene("train", 0)
    cells = _cells(shown, Grid(8), np.random.default_rng(0), (0,))
    assert {token.object_index for token in cells} == {None, *range(1, len(shown.objects))}


def test_the_q_formers_cells_blend_objects_and_the_aggregators_are_half_as_noisy():
    """As measured on lion-mini's visual tokens (docs/log.md, lion-mini 2)."""
    one = curriculum("options.blended=0.5")
    assert (one.queries, one.patches) == (Grid(4, 0.5), Grid(8, noise=0.5)) and curriculum().patches == Grid(8)
    pure, shares, others = 0, [], set()
    for number in range(60):
        shown = scene("train", number)
        tokens = one.validation_example(shown, Task.CAPTION, np.random.default_rng(number)).tokens
        blended, clear = tokens[:16], tokens[16:]
        assert {token.noise for token in blended} == {1.0} and {token.noise for token in clear} == {0.5}
        assert {token.blended_with for token in clear} == {None}
        for token in blended:
            assert (token.blended_with is None) == (token.share == 1.0)
            if token.blended_with:
                assert token.object_index is not None and token.blended_with.object_index != token.object_index
                others.add(token.blended_with.object_index is None)
                shares.append(token.share)
        pure += sum(token.object_index is not None and token.share == 1.0 for token in blended)
    assert others == {True, False} and 0.5 <= min(shares) < 0.55 and max(shares) > 0.95 and pure > 20
