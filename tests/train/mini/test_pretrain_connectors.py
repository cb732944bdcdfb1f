"""Pretraining of the connectors: it trains them alone, visual tokens come nearer to object tokens, stages go on."""

import pytest
import torch
from safetensors.torch import load_file

from lion.train.mini.pretrain_connectors import PretrainConnectors
from lion.train.recipe import load
from lion.train.run import make_objective, train
from tests.train.mini.helpers import SHORT


def test_connectors_train_without_the_language_model_and_a_stage_goes_on_from_them(tmp_path):
    recipe = load("mini-connectors", ["steps=1", *SHORT[1:], "init={}", f"root={tmp_path}"])
    scores = train(recipe)["scores"]
    assert set(scores) == {"qformer_distance", "mlp_distance"} and min(scores.values()) > 0
    torch.manual_seed(recipe.seed)
    before = PretrainConnectors(recipe).build().lion.state_dict()
    after = load_file(recipe.folder / "model.safetensors")
    changed = {name for name, tensor in after.items() if not torch.equal(before[name], tensor)}
    assert {name.split(".")[0] for name in changed} == {"qformer", "vision_aggregator", "mlp"}
    stage = load("mini-stage1", [*SHORT, f"root={tmp_path}"])
    model = make_objective(stage).build()
    assert all(torch.equal(after[name], tensor) for name, tensor in model.state_dict().items() if name in after)


def test_visual_tokens_come_nearer_to_object_tokens():
    recipe = load("mini-connectors", [*SHORT, "init={}"])
    objective = PretrainConnectors(recipe)
    objective.prepare()
    torch.manual_seed(0)
    model = objective.build()
    named = [parameter for part in objective.trainable(model).values() for _, parameter in part]
    optimiser = torch.optim.AdamW(named, lr=0.002)
    batch = objective.batch(0)
    losses = []
    for _ in range(8):
        loss = objective.loss(model, batch)
        assert float(loss.total.detach()) == pytest.approx(sum(float(part) for part in loss.per_task.values()))
        loss.total.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.per_task)
    assert all(losses[-1][kind] < 0.9 * losses[0][kind] for kind in ("qformer", "mlp"))
    again = PretrainConnectors(recipe).batch(0)
    assert all(torch.equal(again.tensors[name], tensor) for name, tensor in batch.tensors.items())
