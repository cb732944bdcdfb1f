"""The schema of recipes: one line of help for every mistake, and a description of every setting."""

import pickle
from pathlib import Path

import pytest
from pydantic import BaseModel

from lion.errors import LionError
from lion.train.recipe import load, parse
from lion.train.recipe.schema import RENAMED, SECTIONS
from lion.train.stages import STAGES, PretrainLanguageOptions, Section
from tests.train.recipe.base import BASE, RECIPES


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stpes": 3}, "base: stpes: no such setting; did you mean steps?"),
        ({"warmup": 3}, "warmup: no such setting; did you mean optimizer.warmup?"),
        ({"steps": 0}, "steps: must be greater than 0 (it is 0)"),
        ({"seed": 2**32}, "seed: must be less than 4294967296"),
        ({"optimizer": {"lr": float("inf")}}, "optimizer.lr: must be a finite number"),
        ({"optimizer": {"lr": 1, "betas": [0.9, 2]}}, "optimizer.betas.1: must be less than 1"),
        ({"init": {"model": "x/../out"}}, "out: init.model is read from x/../out, where the run would write"),
        (
            {"data": [{"source": "jsonl", "path": "out/own.jsonl"}]},
            "out: data.0.path is read from out/own.jsonl, where the run would write",
        ),
        ({"steps": "many"}, "steps: must be a whole number"),
        ({"steps": True}, "steps: must be a whole number"),
        ({"optimizer": {"lr": True}}, "optimizer.lr: must be a number"),
        ({"data": [{"source": "jsonl", "path": "x", "flip": True}]}, "data.0.flip: must be a number"),
        ({"stage": "stage4"}, "stage: 'stage4' is not one of pretrain-vit"),
        ({"out": None}, "out: must be a path (it is empty)"),
        ({"out": [1]}, "out: must be a path (it is [1])"),
        ({"out": {"a": "b"}}, "out: must be a path (it is {'a': 'b'})"),
        ({"root": ["x"]}, "root: must be a path (it is ['x'])"),
        ({"init": ["x"]}, "init: must be a section of settings, as in {key: value} (it is ['x'])"),
        ({"init": {"model": ["x"]}}, "init.model: must be a path"),
        ({"name": None}, "name: must be a text (it is empty)"),
        ({"name": ["a"]}, "name: must be a text (it is ['a'])"),
        ({"name": "a b"}, "name: must be letters, digits, _, - and ., and begin with a letter or digit (it is a b)"),
        ({"name": ""}, "name: must be letters, digits"),
        ({"model": {}}, "model: must be a text"),
        ({"validation": "often"}, "validation: must be a section of settings"),
        ({"optimizer": 3}, "optimizer: must be a section of settings"),
        ({"options": "none"}, "options: must be a section of settings"),
        ({"optimizer": {"lr": 1, "betas": 0.9}}, "optimizer.betas: must be a list, as in [one, two]"),
        ({"optimizer": {"lr": 1, "betas": [0.9]}}, "optimizer.betas.1: is missing"),
        (
            {"frozen_weights": "bf16", "init": {"model": "x"}},
            "frozen_weights: bf16 weights are multiplied in bfloat16; set precision: bf16",
        ),
        (
            {"frozen_weights": "nf4", "precision": "bf16"},
            "frozen_weights: nf4 is for weights that were trained before; name init.model",
        ),
        ({"steps": 1.5}, "steps: must be a whole number"),
        ({"steps": []}, "steps: must be a whole number"),
        ({"homogeneous_batches": "perhaps"}, "homogeneous_batches: must be true or false"),
        ({"data": "own.jsonl"}, "data: must be a list"),
        ({"data": ["own.jsonl"]}, "data.0: must be a section of settings"),
        ({"data": [{"path": "own.jsonl"}]}, "data.0: must name its source, as in {source: jsonl, path: my.jsonl}"),
        ({"data": []}, "data: must have 1 or more entries"),
        (
            {"data": [{"source": "jsonl", "path": "x"}], "options": {"alignment": 0.1}},
            "options.alignment: only drawn scenes have what it needs, and no source has them; leave it out",
        ),
        (
            {"options": {"self_critical": 1}, "data": [{"source": "world", "scenes": 9, "tasks": {"vqa": 1}}]},
            "options.self_critical: only captions of drawn scenes have what it needs, and no source has them; ",
        ),
        ({"data": [{"source": "world", "scenes": 10}]}, "data.0.tasks: name at least one of caption"),
        (
            {"stage": "pretrain-vit", "data": [{"source": "world", "scenes": 10, "word_dropout": 0.3}]},
            "data.0.word_dropout: pretrain-vit does not read it; leave it out",
        ),
        (
            {"stage": "pretrain-connectors", "data": [{"source": "world", "scenes": 10, "tags": {}}]},
            "data.0.tags: pretrain-connectors does not read it; leave it out",
        ),
        (
            {"data": [{"source": "jsonl", "path": "x"}], "length_buckets": True},
            "length_buckets: passes are what is sorted; set order: epochs",
        ),
        (
            {"order": "epochs", "length_buckets": True},
            "length_buckets: drawn scenes have no texts to sort by, and all sources are world; leave it out",
        ),
        (
            {"stage": "pretrain-t5", "homogeneous_batches": True},
            "homogeneous_batches: pretrain-t5 does not read it; leave it out",
        ),
        (
            {"validation": {"every": 1, "data": [{"source": "world", "scenes": 10}]}},
            "validation.data.0: its source must be one of 'jsonl', 'shards', 'aokvqa'",
        ),
        (
            {"data": [{"source": "okvqa", "folder": "x"}]}
            | {"validation": {"every": 1, "data": [{"source": "okvqa", "folder": "x", "skip_bad": True}]}},
            "validation.data.0: data trains on these very records; hold out another split, such as split: val",
        ),
        (
            {"data": [{"source": "jsonl", "path": "x/../own.jsonl"}]}
            | {"validation": {"every": 1, "data": [{"source": "jsonl", "path": "own.jsonl"}]}},
            "validation.data.0: data trains on these very records; hold out another file",
        ),
        (
            {"stage": "pretrain-vit", "data": [{"source": "world", "scenes": 9}]}
            | {"validation": {"every": 1, "data": [{"source": "jsonl", "path": "own.jsonl"}]}},
            "validation.data: pretrain-vit does not read it; leave it out",
        ),
        (
            {"data": [{"source": "world", "scenes": 10, "tasks": {"rec": 1}}]},
            "data.0.tasks: stage1 does not train on rec; its tasks are caption, dialog, vqa",
        ),
        (
            {"data": [{"source": "world", "scenes": 1, "tasks": {"vqa": 0}}]},
            "data.0.tasks.vqa: must be greater",
        ),
        ({"data": [{"source": "world", "split": "test", "scenes": 1}]}, "data.0.split: no such setting"),
        ({"data": [{"source": "coco"}]}, "data.0: "),
        ({"data": [{"source": "refcoco"}]}, "data.0.folder: is missing"),
        (
            {"data": [{"source": "refcoco", "folder": "x", "tasks": {"rec": 1}}]},
            "data.0.tasks: stage1 does not train on rec",
        ),
        ({"lr_scale": {"router": 2}}, "lr_scale.router: stage1 knows qformer, image_adapter, tag_soft_prompt here"),
        ({"trainable": ["vision_encoder"]}, "trainable.vision_encoder: stage1 knows qformer, image_adapter, "),
        ({"trainable": ["qformer"], "lr_scale": {"image_adapter": 2}}, "lr_scale.image_adapter: stage1 knows qformer "),
        ({"export": "adapters"}, "export: adapters are put on one whole model; name it as init.model"),
        ({"init": {"vit": "x"}}, "init.vit: stage1 knows model, "),
        ({"optimizer": {"lr": 0.1, "warmup": 11}}, "optimizer.warmup: 11 is more than steps=10; lower it"),
        ({"options": {"scene_as": "text"}}, "options.scene_as: no such setting; remove it"),
        ({"precision": "fp16"}, "precision: must be 'fp32', 'bf16' or 'auto'"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_field(change, message):
    with pytest.raises(LionError) as error:
        parse({**BASE, **change}, name="base")
    assert message in str(error.value) and "\n" not in str(error.value)
    assert "nput" not in str(error.value), "pydantic's words"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"accumulate": 2}, "accumulate: is called gradient_accumulation now"),
        ({"one_task": True}, "one_task: is called homogeneous_batches now"),
        ({"clip": 2}, "clip: is called max_grad_norm now"),
        (
            {"data": [{"source": "world", "scenes": 10, "tasks": {"vqa": 1}, "loose": 0.3}]},
            "data.0.loose: is called data.0.word_dropout now",
        ),
        ({"stage": "pretrain-t5", "options": {"few_first": 0.1}}, "options.curriculum_few_objects now"),
        ({"checkpoint": {"loose": 0.3}}, "checkpoint.loose: no such setting; did you mean data.N.word_dropout?"),
        ({"options": {"find_first": 0.1}}, "options.find_first: no such setting; remove it"),
        ({"options": {"clip": 0.1}}, "options.clip: no such setting; remove it"),
        ({"options": {"aligment": 1}}, "options.aligment: no such setting; did you mean options.alignment?"),
        (
            {"data": [{"source": "jsonl", "path": "x", "loose": 0.3}]},
            "data.0.loose: no such setting; remove it",
        ),
        ({"optimizer": {"lr": 1, "accumulate": 2}}, "no such setting; did you mean gradient_accumulation?"),
        (
            {"stage": "pretrain-t5", "options": {"scene_as": "symbols"}},
            "options.scene_as: symbols is called object_tokens now",
        ),
    ],
)
def test_the_names_of_earlier_versions_are_refused_with_the_new_ones(change, message):
    with pytest.raises(LionError) as error:
        parse({**BASE, **change}, name="base")
    assert str(error.value).startswith("base: ") and str(error.value).endswith(message)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("optimiser", "base: optimiser: is called optimizer now"),
        ("optimzer", "base: optimzer: no such setting; did you mean optimizer?"),
        ("Optimizer", "base: Optimizer: no such setting; did you mean optimizer?"),
    ],
)
def test_a_misspelt_setting_is_not_called_missing(typed, message):
    fields = {key: value for key, value in BASE.items() if key != "optimizer"}
    with pytest.raises(LionError) as error:
        parse({**fields, typed: {"lr": 0.1}}, name="base")
    assert str(error.value) == message


def test_new_names_exist_and_earlier_ones_do_not():
    names = {name for model in (*SECTIONS.values(), PretrainLanguageOptions) for name in model.model_fields}
    assert set(RENAMED.values()) <= names and not set(RENAMED) & names


def test_options_are_those_of_the_stage():
    for stage, row in STAGES.items():
        data = [{"source": "world", "scenes": 1, "tasks": {task: 1 for task in row.tasks}}]
        assert type(parse({**BASE, "stage": stage, "data": data}).options) is row.options


def test_the_model_in_the_package_is_meant_unless_another_run_left_a_folder_of_its_name(tmp_path):
    """A run that writes into a folder of that name does not take itself for it."""
    recipe = parse({**BASE, "root": tmp_path, "out": "lion-mini", "init": {"tagger": "lion-mini"}})
    packaged = recipe.init_folders["tagger"]
    assert (packaged / "tagger").is_dir()
    recipe.folder.mkdir()
    assert recipe.init_folders["tagger"] == packaged
    assert recipe.model_copy(update={"out": Path("else")}).init_folders["tagger"] == tmp_path / "lion-mini"


def test_a_tilde_is_the_home_folder_wherever_a_path_stands(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    own = {"source": "jsonl", "path": "~/a.jsonl", "tags_from": "~/tags.jsonl"}
    held_out = {"source": "okvqa", "folder": "~/okvqa"}
    recipe = parse(
        {**BASE, "root": "~/root", "out": "~/runs/mine", "init": {"model": "~/m", "qformer": "q"}, "data": [own]}
        | {"validation": {"every": 1, "data": [held_out]}}
    )
    assert recipe.folder == tmp_path / "runs/mine"
    assert recipe.init_folders == {"model": tmp_path / "m", "qformer": tmp_path / "root/q"}
    assert recipe.data[0].paths() == {"path": tmp_path / "a.jsonl", "tags_from": tmp_path / "tags.jsonl"}
    assert recipe.validation.data[0].folder == tmp_path / "okvqa"
    assert parse({**BASE, "out": "runs/~"}).folder == Path("runs/~")
    with pytest.raises(LionError, match=f"out: data.0.tags_from is read from {tmp_path}"):
        parse({**BASE, "out": "~/", "data": [own]})


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_comes_whole_to_another_process(name):
    recipe = load(name, ["seed=5"])
    there = pickle.loads(pickle.dumps(recipe))
    assert there == recipe and type(there) is type(recipe)


def models(root: type[BaseModel]) -> set[type[BaseModel]]:
    return {root}.union(*(models(child) for child in root.__subclasses__()))


@pytest.mark.parametrize("model", sorted(models(Section), key=lambda model: model.__name__))
def test_every_field_says_what_it_is(model):
    bare = [name for name, field in model.model_fields.items() if not field.description]
    assert not bare, f"{model.__name__}: {bare}"
    assert model.model_config["extra"] == "forbid" and model.model_config["frozen"]
