"""What all pretraining objectives promise: pure batches, early refusals, and parts that a stage can start from."""

import pickle

import numpy as np
import pytest
import torch

from lion.checkpoints.parts import load_part
from lion.errors import LionError
from lion.model import LionForConditionalGeneration
from lion.train.presets import preset_config, world_processor
from lion.train.recipe import load
from lion.train.run import make_objective, train
from tests.train.mini.helpers import SHORT


@pytest.mark.parametrize("name", ["mini-vit", "mini-t5", "mini-tagger"])
def test_an_objective_makes_the_same_batches_in_another_process(name):
    here = make_objective(load(name, SHORT))
    there = pickle.loads(pickle.dumps(here)).batch(1).tensors
    wanted = here.batch(1).tensors
    assert there.keys() == wanted.keys()
    assert all(torch.equal(there[name], wanted[name]) for name in wanted)


def test_a_recipe_that_cannot_work_is_refused_at_once():
    with pytest.raises(LionError, match="validation: pretrain-tagger sets its tags' thresholds on val scenes"):
        make_objective(load("mini-tagger", ["validation=null"]))
    with pytest.raises(LionError, match=r"options\.curriculum_grounding: needs one of rec, reg, vqa"):
        make_objective(load("mini-t5", ["data.0.tasks={caption: 1, dialog: 1}"]))


@pytest.mark.parametrize(("name", "part"), [("mini-vit", "vision_encoder"), ("mini-t5", "language_model")])
def test_a_stage_can_start_from_the_part(name, part, tmp_path):
    recipe = load(name, [*SHORT, "model=tiny", f"root={tmp_path}"])
    record = train(recipe)
    assert record["steps"] == 2 and record["scores"]
    model = LionForConditionalGeneration(preset_config("tiny", world_processor("tiny")))
    before = {name: p.clone() for name, p in model.component_parameters(part)}
    load_part(model, part, recipe.folder)
    assert any(not torch.equal(before[name], p) for name, p in model.component_parameters(part))


def test_the_language_models_pretraining_goes_on_where_a_run_ended(tmp_path):
    first, more = (load(name, [*SHORT, "model=tiny", f"root={tmp_path}"]) for name in ("mini-t5", "mini-t5-dialogs"))
    train(first)
    objective = make_objective(more)
    model = LionForConditionalGeneration(objective.config)
    load_part(model, "language_model", first.folder)
    own = objective.build().language_model.state_dict()
    assert own and all(torch.equal(model.language_model.state_dict()[name], tensor) for name, tensor in own.items())
    assert objective.curriculum.batch(0.0, 4, np.random.default_rng(0))[0].noise_level == 0
    assert objective.batch(0).tensors["noise"].max() == pytest.approx(more.options.noise)  # the end of the curriculum
