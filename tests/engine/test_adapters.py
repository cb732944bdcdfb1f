"""Adapters in one batch: rows take different ones, and each prompt's ids are those it gets alone."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from lion.engine import Scheduler, Settings, Weights, rank
from lion.engine.weights import route
from tests.engine import tiny


def others(model, count):
    """Language models with the model's weights but for their mixtures."""
    models = []
    for seed in range(count):
        torch.manual_seed(seed)
        memo = {id(parameter): parameter for parameter in model.parameters()}
        own = deepcopy(model, memo)
        for block in [*own.encoder.block, *own.decoder.block]:
            block.mixture = deepcopy(block.mixture, {})
            for parameter in block.mixture.parameters():
                parameter.data = parameter + 0.5 * torch.randn_like(parameter)
        models.append(own)
    return models


@pytest.fixture(scope="module")
def models():
    base = tiny.language_model(seed=3)
    return [base, *others(base, 2)]


@pytest.mark.parametrize("settings", [Settings(1, 8), Settings(3, 8)])
def test_prompts_of_several_adapters_share_steps_and_get_their_own_ids(models, settings):
    weights = Weights(models[0])
    numbers = [weights.adapters_of(model) for model in models]
    assert numbers == [0, 1, 2] == [weights.adapters_of(model) for model in models]
    prompts = tiny.prompts(settings, 12)
    mixed = [replace(prompt, adapters=numbers[place % 3]) for place, prompt in enumerate(prompts)]
    ours = [answers[0].ids for answers in Scheduler(weights, places=12).run(mixed)]
    assert ours == [tiny.generate(models[place % 3], [prompt])[0] for place, prompt in enumerate(prompts)]
    assert ours != [tiny.generate(models[0], [prompt])[0] for prompt in prompts]


def test_they_join_while_others_are_decoded(models):
    weights, prompts = Weights(models[0]), tiny.prompts(Settings(1, 8), 2)
    scheduler = Scheduler(weights)
    tickets = [scheduler.submit(prompts[0])]
    found = scheduler.step()
    tickets.append(scheduler.submit(replace(prompts[1], adapters=weights.adapters_of(models[1]))))
    while scheduler:
        found |= scheduler.step()
    golden = [tiny.generate(model, [prompt])[0] for model, prompt in zip(models, prompts, strict=False)]
    assert [found[ticket][0].ids for ticket in tickets] == golden


def test_candidates_are_ranked_with_their_own(models):
    weights = Weights(models[0])
    inputs, levels = tiny.inputs(6)
    candidates = [[[5, 6, 1], [7, 1]]] * 6
    routes = [route(weights.adapters_of(models[place % 3]), level) for place, level in enumerate(levels)]
    ours = rank(weights, inputs, routes, candidates)
    for place, row in enumerate(ours):
        alone = rank(Weights(models[place % 3]), [inputs[place]], [levels[place]], candidates[:1])[0]
        assert row == pytest.approx(alone, abs=1e-4)


def test_rows_of_one_set_cost_what_they_did(models, monkeypatch):
    """Only the adapters that a batch takes are computed."""
    weights = Weights(models[0])
    for model in models:
        weights.adapters_of(model)
    layer = weights.decoder[0].feed_forward
    monkeypatch.setattr(layer.mixtures[0], "inner", lambda *rest: pytest.fail("no row takes these"))
    prompts = [replace(one, adapters=2) for one in tiny.prompts(Settings(1, 4), 3)]
    Scheduler(weights).run(prompts)
