"""How a test asks: other gates, settings of decoding as YAML has them, and where answers go."""

from pathlib import Path

import pytest
import torch
from torch import nn

from lion.errors import LionError
from lion.model.mixture_of_adapters import Router, TaskLevel
from lion.studies.asking import Task, decoding_settings, set_gates
from lion.studies.schema import Test, load_study

REGION, IMAGE = TaskLevel.REGION, TaskLevel.IMAGE


def test_gates():
    learnt = torch.rand(2, 2, 5)
    for gates in ("learnt", "swapped", "averaged", "one-hot"):
        router = Router(5)
        router.gates.data.copy_(learnt)
        set_gates(nn.ModuleList([router]), gates)
        found = router.gates.data
        if gates == "learnt":
            assert torch.equal(found, learnt)
        elif gates == "swapped":
            assert torch.equal(found[REGION], learnt[IMAGE]) and torch.equal(found[IMAGE], learnt[REGION])
        elif gates == "averaged":
            assert torch.equal(found[0], found[1]) and torch.allclose(found[0], learnt.mean(0))
        else:
            assert torch.equal(found, Router.initial_gates(5))


def test_settings_of_decoding():
    study = load_study("decoding")
    assert decoding_settings(study.tests["penalty-1.5"]) == {"repetition_penalty": 1.5}
    assert decoding_settings(study.tests["beams-2"]) == {"num_beams": 2}
    assert decoding_settings(study.tests["box-only"]) == {"box_only": True}
    with pytest.raises(LionError, match="must be numbers, true or false"):
        decoding_settings(Test(decoding={"num_beams": "many"}))


def test_answers_lie_with_the_model_by_what_the_test_asks_for():
    model = Path("out/runs/stage3-s0-abc")
    plain, more = Test(questions=3, sets=("rec",)), Test(questions=9)
    assert Task(model, "plain", plain).folder == Task(model, "another name", more).folder
    assert Task(model, "plain", plain).folder.parent == Path("out/answers/stage3-s0-abc")
    others = [Test(tags="none"), Test(tags={"drop": 0.5}), Test(gates="swapped"), Test(preset="greedy")]
    folders = {Task(model, "plain", one).folder for one in (plain, *others)}
    assert len(folders) == 5
