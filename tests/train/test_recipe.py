"""Recipes: one line of help for every mistake, before torch is imported; shipped files all valid."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from lion.errors import LionError
from lion.prompts import Task
from lion.train import recipe as recipes
from lion.train.chain import _ready
from lion.train.chain_file import load_chain
from lion.train.recipe import SHIPPED, load, parse, shipped
from lion.train.stages import STAGES, Options

BASE = {
    "name": "base",
    "stage": "stage1",
    "data": [{"source": "world", "scenes": 10, "tasks": {"vqa": 1}}],
    "steps": 10,
    "optimiser": {"lr": 0.001},
    "out": "out",
}
CHAINS = {name for name in shipped() if "chain" in yaml.safe_load((SHIPPED / f"{name}.yaml").read_text())}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stpes": 3}, "base: stpes: no such setting; did you mean steps?"),
        ({"warmup": 3}, "warmup: no such setting; did you mean optimiser.warmup?"),
        ({"steps": 0}, "steps: input should be greater than 0 (it is 0)"),
        ({"seed": 2**32}, "seed: input should be less than 4294967296"),
        ({"optimiser": {"lr": float("inf")}}, "optimiser.lr: input should be a finite number"),
        ({"optimiser": {"lr": 1, "betas": [0.9, 2]}}, "optimiser.betas.1: input should be less than 1"),
        ({"init": {"model": "x/../out"}}, "out: init.model is read from x/../out, where the run would write"),
        (
            {"data": [{"source": "jsonl", "path": "out/own.jsonl"}]},
            "out: data.0.path is read from out/own.jsonl, where the run would write",
        ),
        ({"steps": "many"}, "steps: input should be a valid integer"),
        ({"stage": "stage4"}, "stage: 'stage4' is not one of pretrain-vit"),
        ({"out": None}, "out: "),
        ({"data": []}, "data: "),
        ({"data": [{"source": "world", "scenes": 10}]}, "data.0.tasks: name at least one of caption"),
        (
            {"stage": "pretrain-vit", "data": [{"source": "world", "scenes": 10, "loose": 0.3}]},
            "data.0.loose: pretrain-vit does not read it; leave it out",
        ),
        (
            {"stage": "pretrain-connectors", "data": [{"source": "world", "scenes": 10, "tags": {}}]},
            "data.0.tags: pretrain-connectors does not read it; leave it out",
        ),
        ({"stage": "pretrain-t5", "one_task": True}, "one_task: pretrain-t5 does not read it; leave it out"),
        (
            {"validation": {"every": 1, "data": [{"source": "world", "scenes": 10}]}},
            "validation.data.0: input tag 'world' found",
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
            "data.0.tasks.vqa: input should be greater",
        ),
        ({"data": [{"source": "world", "split": "test", "scenes": 1}]}, "data.0.split: no such setting"),
        ({"data": [{"source": "coco"}]}, "data.0: "),
        ({"data": [{"source": "refcoco"}]}, "data.0.folder: is missing"),
        (
            {"data": [{"source": "refcoco", "folder": "x", "tasks": {"rec": 1}}]},
            "data.0.tasks: stage1 does not train on rec",
        ),
        ({"lr_scale": {"router": 2}}, "lr_scale.router: stage1 knows qformer, image_adapter, tag_soft_prompt here"),
        ({"init": {"vit": "x"}}, "init.vit: stage1 knows model, "),
        ({"optimiser": {"lr": 0.1, "warmup": 11}}, "optimiser.warmup: 11 is more than steps=10; lower it"),
        ({"options": {"scene_as": "text"}}, "options.scene_as: no such setting; remove it"),
        ({"precision": "fp16"}, "precision: input should be 'fp32', 'bf16' or 'auto'"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_field(change, message):
    with pytest.raises(LionError) as error:
        parse({**BASE, **change}, name="base")
    assert message in str(error.value) and "\n" not in str(error.value)


def test_overrides_reach_into_the_tree(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(yaml.safe_dump(BASE))
    recipe = load(file, ["steps=20", "optimiser.lr=2e-3", "data.0.scenes=7", "validation.every=5", "data.0.tags={}"])
    assert (recipe.steps, recipe.optimiser.lr, recipe.data[0].scenes, recipe.validation.every) == (20, 0.002, 7, 5)
    assert recipe.data[0].tags.drop == 0.15
    for wrong, message in (
        ("steps", "an override is key=value"),
        ("data.one.scenes=3", "data.one.scenes: the recipe has no such place"),
        ("data.4.scenes=3", "data.4.scenes: the recipe has no such place"),
        ("steps.fast=3", "steps.fast: the recipe has no such place"),
        ("steps=[1", "not a YAML value"),
    ):
        with pytest.raises(LionError, match=message.replace(".", r"\.").replace("[", r"\[")):
            load(file, [wrong])


def test_files_that_are_no_recipes(tmp_path):
    with pytest.raises(LionError, match=r"did you mean mini-stage1\?"):
        load("mini-stage11")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    with pytest.raises(LionError, match=r"picture\.png is not YAML"):
        load(tmp_path / "picture.png")
    (tmp_path / "list.yaml").write_text("- 1")
    (tmp_path / "broken.yaml").write_text("a: [")
    with pytest.raises(LionError, match="holds no settings"):
        load(tmp_path / "list.yaml")
    with pytest.raises(LionError, match="is not YAML"):
        load(tmp_path / "broken.yaml")
    with pytest.raises(LionError, match="is a chain of recipes"):
        load("mini")


@pytest.mark.parametrize("name", sorted(set(shipped()) - CHAINS))
def test_a_shipped_recipe_is_valid_and_its_header_is_its_manual(name):
    recipe = load(name)
    title, prerequisite, command, override, *_ = (SHIPPED / f"{name}.yaml").read_text().splitlines()
    assert recipe.name == name and title.startswith("# lion-mini")
    assert prerequisite.startswith("# Prerequisite: ") and command.split() == ["#", "Run:", "lion", "train", name]
    assert override.startswith(f"# Override:     lion train {name} ")
    other = load(name, override.split()[5:])
    assert all(other.init_folder(part) == recipe.init_folder(part) for part in recipe.init), (
        "what it needs is elsewhere"
    )


@pytest.mark.parametrize("name", sorted(CHAINS))
def test_a_shipped_chain_takes_each_part_from_a_recipe_before(name):
    override = (SHIPPED / f"{name}.yaml").read_text().splitlines()[3]
    made = set()
    for recipe in load_chain(name, override.split()[5:]):
        for part in recipe.init:
            assert recipe.init_folder(part) in made or str(recipe.init[part]) == recipes.BUNDLED
        made.add(recipe.folder)


def test_the_model_in_the_package_is_meant_unless_another_run_left_a_folder_of_its_name(tmp_path):
    """A run that writes into a folder of that name does not take itself for it."""
    recipe = parse({**BASE, "root": tmp_path, "out": "lion-mini", "init": {"tagger": "lion-mini"}})
    packaged = recipe.init_folder("tagger")
    assert (packaged / "tagger").is_dir()
    recipe.folder.mkdir()
    assert recipe.init_folder("tagger") == packaged
    assert recipe.model_copy(update={"out": Path("else")}).init_folder("tagger") == tmp_path / "lion-mini"


def test_overrides_of_a_chain_hold_for_all_or_for_one():
    chain = load_chain("mini", ["seed=5", "mini-stage2:steps=777"])
    assert {recipe.seed for recipe in chain} == {5}
    assert [recipe.steps for recipe in chain if recipe.name == "mini-stage2"] == [777]
    assert all(recipe.steps != 777 for recipe in chain if recipe.name != "mini-stage2")
    with pytest.raises(LionError, match="stage9:steps=7: the chain's recipes are mini-t5, "):
        load_chain("mini", ["stage9:steps=7"])
    assert [recipe.name for recipe in load_chain("mini-vit")] == ["mini-vit"]


def test_the_fingerprint_knows_what_shapes_the_curve(tmp_path):
    first = parse(BASE)
    same = parse({**BASE, "out": "elsewhere", "workers": 3, "checkpoint": {"every": 1}, "name": "b"})
    assert same.fingerprint() == first.fingerprint()
    for change in ({"steps": 11}, {"seed": 1}, {"batch_size": 3}, {"precision": "bf16"}):
        assert parse({**BASE, **change}).fingerprint() != first.fingerprint()
    assert parse({**BASE, "clip": 1.0}).fingerprint() == first.fingerprint()
    from_init = parse({**BASE, "init": {"model": str(tmp_path)}})
    before = from_init.fingerprint()
    (tmp_path / "finished.json").write_text('{"fingerprint": "abc"}')
    assert from_init.fingerprint() != before


def test_the_fingerprint_knows_your_own_files(tmp_path):
    (tmp_path / "own.jsonl").write_text("{}")
    own = parse({**BASE, "data": [{"source": "jsonl", "path": str(tmp_path / "own.jsonl")}]})
    before = own.fingerprint()
    assert own.fingerprint() == before
    (tmp_path / "own.jsonl").write_text("{} ")
    assert own.fingerprint() != before


@pytest.mark.parametrize(
    ("chain", "says"),
    [
        ("chain: mini-vit", "'mini-vit' is no list of recipes"),
        ("chain: []", "is no list of recipes"),
        ("chain: [{with: {steps: 3}}]", "is neither a recipe's name nor"),
        ("chain: [3]", "3 is neither a recipe's name nor"),
        ("chain: [{recipe: mini-vit, with: [steps]}]", "is neither a recipe's name nor"),
        ("chain: [{recipe: mini-vit, with: {steps: 2024-01-01}}]", "steps: input should be a valid integer"),
        ("chain: [{recipe: mini-vit, steps: 3}]", "is neither a recipe's name nor"),
    ],
)
def test_a_chain_of_another_shape(tmp_path, chain, says):
    (tmp_path / "own.yaml").write_text(chain)
    with pytest.raises(LionError, match=says):
        load_chain(tmp_path / "own.yaml")


def test_what_a_chain_still_has_to_make_is_not_taken_from_the_package():
    made, after = load("mini-stage3"), load("mini-stage3", ["out=again", "init={model: lion-mini}"])
    assert _ready([made, after], []) == [made]


@pytest.mark.parametrize("name", sorted(set(shipped()) - CHAINS))
def test_a_recipe_comes_whole_to_another_process(name):
    recipe = load(name, ["seed=5"])
    there = pickle.loads(pickle.dumps(recipe))
    assert there == recipe and type(there) is type(recipe)


def models(root: type[BaseModel]) -> set[type[BaseModel]]:
    return {root}.union(*(models(child) for child in root.__subclasses__()))


@pytest.mark.parametrize("model", sorted(models(recipes._Strict) | models(Options), key=lambda model: model.__name__))
def test_every_field_says_what_it_is(model):
    bare = [name for name, field in model.model_fields.items() if not field.description]
    assert not bare, f"{model.__name__}: {bare}"
    assert model.model_config["extra"] == "forbid" and model.model_config["frozen"]


def test_recipes_are_checked_before_torch_is_imported():
    code = "import sys, lion.train.chain_file as files; files.load_chain('mini'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_the_stage_table_is_the_papers():
    region, image = {Task.REC, Task.REG}, {Task.CAPTION, Task.VQA, Task.DIALOG}
    assert (STAGES["stage1"].visual_inputs, STAGES["stage1"].tasks) == ("qformer", image)
    assert (STAGES["stage2"].visual_inputs, STAGES["stage2"].tasks) == ("aggregator", region)
    assert (STAGES["stage3"].visual_inputs, STAGES["stage3"].tasks) == ("both", image | region)
    one, two, three = (set(STAGES[f"stage{number}"].trainable) for number in (1, 2, 3))
    assert three == one | two | {"router"}
