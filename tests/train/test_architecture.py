"""`architecture` in a recipe: what it trains, what the built model is like, and what it refuses."""

import pytest
import torch
from safetensors.torch import load_file

from lion.data import pictures
from lion.errors import LionError
from lion.model.mixture_of_adapters import Router, TaskLevel
from lion.pipeline import LionPipeline
from lion.train.language_modelling import LanguageModelling
from lion.train.recipe import parse
from lion.train.run import logged_scores, train
from lion.train.stages import STAGES

TASKS = {"caption": 1, "vqa": 2, "dialog": 1, "rec": 1, "reg": 1}


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("LION_CACHE", str(tmp_path_factory.mktemp("cache")))
    patch.setattr(pictures, "BLOCK", 16)
    yield
    patch.undo()


def recipe(root, stage="stage3", **fields):
    tasks = {task: weight for task, weight in TASKS.items() if task in STAGES[stage].tasks}
    world = {"source": "world", "scenes": 16, "pixels": 64, "tasks": tasks, "tags": {"share": 0.5}}
    shared = {"name": stage, "stage": stage, "model": "tiny", "root": str(root), "out": stage, "data": [world]}
    return parse({**shared, "steps": 2, "batch_size": 4, "optimizer": {"lr": 0.01}, **fields})


def built(one):
    return LanguageModelling(one).build()


@pytest.mark.parametrize(
    ("architecture", "without", "instead"),
    [
        ({}, set(), set()),
        ({"adapters": "own"}, {"router"}, set()),
        ({"adapters": "shared"}, {"router", "region_adapter"}, set()),
        ({"visual_inputs": "qformer"}, {"vision_aggregator", "mlp"}, set()),
        ({"visual_inputs": "aggregator"}, {"qformer"}, set()),
        ({"soft_token_as": "the"}, {"tag_soft_prompt"}, set()),
    ],
)
def test_what_trains(tmp_path, architecture, without, instead):
    one = recipe(tmp_path, architecture=architecture)
    assert set(one.trained) == set(STAGES["stage3"].trainable) - without | instead


def test_one_adapter_for_both_levels_trains_in_the_region_stage_too(tmp_path):
    one = recipe(tmp_path, "stage2", architecture={"adapters": "shared"})
    assert "image_adapter" in one.trained and "region_adapter" not in one.trained
    model = built(one)
    for router in (module for module in model.modules() if isinstance(module, Router)):
        assert torch.equal(router.gates[TaskLevel.REGION], router.gates[TaskLevel.IMAGE])
        assert router.gates[TaskLevel.REGION, TaskLevel.IMAGE].eq(1).all()
        assert router.gates[TaskLevel.REGION, TaskLevel.REGION].eq(0).all()


def test_taps_widths_and_a_soft_token_as_are_in_the_trained_model_and_in_its_checkpoint(tmp_path):
    changes = {"taps": [3, 3, 3], "adapter_bottleneck": 16, "soft_token_as": "the"}
    one = recipe(tmp_path, architecture=changes)
    model = built(one)
    (word,) = LanguageModelling(one).processor.tokenizer("the", add_special_tokens=False).input_ids
    before = model.language_model.shared.weight[word].clone()
    assert torch.equal(model.tag_soft_prompt.vector, before)
    assert all(not each.mixture.image_adapter.up.weight.any() for each in model.language_model.encoder.block)
    train(one)
    loaded = LionPipeline.from_pretrained(one.folder).model
    assert tuple(loaded.config.taps) == (3, 3, 3) == loaded.vision_encoder.taps
    down = loaded.language_model.encoder.block[0].mixture.image_adapter.down
    assert down.out_features == loaded.config.adapter_bottleneck == 16 and down.weight.std() > 0.05
    stored = load_file(one.folder / "model.safetensors")
    assert torch.equal(stored["tag_soft_prompt.vector"], stored["language_model.shared.weight"][word])


def test_the_defaults_are_the_papers_model(tmp_path):
    plain, named = recipe(tmp_path), recipe(tmp_path, architecture={"adapters": "mixture", "taps": [3, 2, 1]})
    torch.manual_seed(0)
    first = built(plain).state_dict()
    torch.manual_seed(0)
    second = built(named).state_dict()
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_frozen_weights_in_fewer_bits_are_those_of_the_papers_model(tmp_path):
    held = {"frozen_weights": "bf16", "precision": "bf16", "init": {"model": "lion-mini"}}
    recipe(tmp_path, **held)
    with pytest.raises(LionError, match="architecture: is for whole models held in fp32"):
        recipe(tmp_path, **held, architecture={"adapters": "own"})


@pytest.mark.parametrize(
    ("architecture", "says"),
    [
        ({"taps": [3, 2]}, "must be 3 blocks"),
        ({"taps": [9, 2, 1]}, "of 3"),
        ({"soft_token_as": "zebrafish"}, "not one piece"),
    ],
)
def test_what_the_model_cannot_be_is_one_line(tmp_path, architecture, says):
    with pytest.raises(LionError, match=says):
        built(recipe(tmp_path, architecture=architecture))


def test_trained_adapters_keep_their_width(tmp_path):
    train(recipe(tmp_path))
    further = recipe(tmp_path, name="wider", out="wider", init={"model": "stage3"})
    built(further)
    with pytest.raises(LionError, match="have been trained with 64"):
        built(
            further.model_copy(
                update={"architecture": recipe(tmp_path, architecture={"adapter_bottleneck": 8}).architecture}
            )
        )


def test_a_stage_that_builds_no_language_model_refuses_it():
    with pytest.raises(LionError, match="architecture: pretrain-vit does not read it"):
        parse({
            "name": "vit", "stage": "pretrain-vit", "out": "vit", "steps": 1, "optimizer": {"lr": 1},
            "data": [{"source": "world", "scenes": 2}], "architecture": {"adapters": "own"},
        })  # fmt: skip


def test_gradient_cosines_are_logged_and_change_nothing(tmp_path):
    validation = {"every": 1, "samples": 4, "decoding": "greedy"}
    plain = recipe(tmp_path, out="plain", validation=validation)
    measured = recipe(tmp_path, out="measured", validation={**validation, "gradients": True})
    train(plain), train(measured)
    weights = [load_file(one.folder / "model.safetensors") for one in (plain, measured)]
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())
    scores = logged_scores(measured)[2]
    layers = {name.split("/")[1] for name in scores if name.startswith("gradient_cosine/")}
    assert {"encoder.0", "encoder.1", "decoder.1", "qformer", "vision_aggregator", "mlp", "tag_soft_prompt"} <= layers
    assert all(-1 <= scores[f"gradient_cosine/{layer}"] <= 1 for layer in layers)
    assert scores["gradient_cosine_within/qformer"] != scores["gradient_cosine/qformer"]
    # One level alone has no conflict, and no such scores.
    one = recipe(tmp_path, "stage1", out="one", validation={**validation, "gradients": True})
    assert not any(name.startswith("gradient") for name in train(one)["scores"])


def test_own_adapters_have_no_gradient_in_common(tmp_path):
    """With gates of 1 and 0 each level moves its own adapter alone."""
    own = recipe(
        tmp_path, out="own", architecture={"adapters": "own"}, validation={"every": 9, "samples": 4, "gradients": True}
    )
    shared = recipe(
        tmp_path,
        out="shared",
        architecture={"adapters": "shared"},
        validation={"every": 9, "samples": 4, "gradients": True},
    )
    apart, together = train(own)["scores"], train(shared)["scores"]
    assert apart["gradient_cosine/encoder.0"] == 0 and apart["gradient_cosine_within/encoder.0"] != 0
    assert together["gradient_cosine/encoder.0"] != 0
