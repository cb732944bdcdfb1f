"""Reading recipes: overrides, files that are none, and the shipped files, all valid."""

import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml

from lion.errors import LionError
from lion.train.recipe import check_given_once, load, load_chain
from lion.train.recipe.schema import SHIPPED
from tests.train.recipe.base import BASE, RECIPES


def test_overrides_reach_into_the_tree(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(yaml.safe_dump(BASE))
    recipe = load(file, ["steps=20", "optimizer.lr=2e-3", "data.0.scenes=7", "validation.every=5", "data.0.tags={}"])
    assert (recipe.steps, recipe.optimizer.lr, recipe.data[0].scenes, recipe.validation.every) == (20, 0.002, 7, 5)
    assert recipe.data[0].tags.drop == 0.15
    for wrong, message in (
        ("steps", "an override is key=value"),
        ("data.one.scenes=3", "data.one.scenes: the recipe has no such place"),
        ("data.4.scenes=3", "data.4.scenes: the recipe has no such place"),
        ("data.-1.scenes=3", "data.-1.scenes: the recipe has no such place"),
        ("data.00.scenes=3", "data.00.scenes: the recipe has no such place"),
        ("data.+0.scenes=3", "data.+0.scenes: the recipe has no such place"),
        ("data.0_0.scenes=3", "data.0_0.scenes: the recipe has no such place"),
        ("data. 0.scenes=3", "data. 0.scenes: the recipe has no such place"),
        ("data.\uff10.scenes=3", "data.\uff10.scenes: the recipe has no such place"),
        ("data.-0={}", "data.-0: the recipe has no such place"),
        ("steps.fast=3", "steps.fast: the recipe has no such place"),
        ("steps=[1", "steps=[1 is not YAML"),
    ):
        with pytest.raises(LionError, match=re.escape(message)):
            load(file, [wrong])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimiser.lr=1e-4", "mini-t5: optimiser: is called optimizer now"),
        ("data.0.loose=0.1", "mini-t5: data.0.loose: is called data.0.word_dropout now"),
        ("options.find_first=0.1", "mini-t5: options.find_first: is called options.curriculum_grounding now"),
        ("options.scene_as=symbols", "mini-t5: options.scene_as: symbols is called object_tokens now"),
    ],
)
def test_overrides_by_earlier_names_are_refused_with_the_new_ones(override, message):
    with pytest.raises(LionError) as error:
        load("mini-t5", [override])
    assert str(error.value) == message


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


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (["steps", "seed", "steps"], "steps: is given after steps, which it would replace"),
        (["data.0.scenes", "data.0"], "data.0: is given after data.0.scenes, "),
        (["data.0.scenes", "data"], "data: is given after data.0.scenes, "),
        (["mini-vit:seed", "seed", "mini-vit:seed"], "mini-vit:seed: is given after mini-vit:seed, "),
        (["optimizer", "optimizer.warmup", "data.0", "data.00", "step", "steps", "a:steps", "b:steps"], None),
    ],
)
def test_a_setting_that_another_would_replace_is_refused(keys, says):
    with pytest.raises(LionError, match=says) if says else nullcontext():
        check_given_once(keys)


@pytest.mark.parametrize("read", [load, load_chain])
def test_python_refuses_a_setting_given_twice_too(tmp_path, read):
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(BASE))
    with pytest.raises(LionError, match="steps: is given after steps, which it would replace"):
        read(tmp_path / "own.yaml", iter(["steps=3", "seed=2", "steps=4"]))
    (tmp_path / "chain.yaml").write_text("chain: [mini-vit]")
    with pytest.raises(LionError, match="mini-vit:steps: is given after mini-vit:steps"):
        load_chain(tmp_path / "chain.yaml", ["mini-vit:steps=3", "mini-vit:steps=4"])


TWICE = """\
name: base
stage: stage1
data:
  - {source: world, scenes: 10, tasks: {vqa: 1}}
steps: 10
optimizer:
  lr: 1
out: out
"""


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("data:\n  - {source: world, scenes: 5}\n", "line 9: data stands in line 3 too; keep one"),
        ('"steps": 1\n', "line 9: steps stands in line 5 too; keep one"),
        ("validation: {every: 1, samples: 2, every: 3}\n", "line 9: every stands in line 9 too; keep one"),
        ("options:\n  alignment: 1\n  soft_coordinates: 1\n  alignment: 2\n", "line 12: alignment stands in line 10"),
        ("? steps\n: 4\n", "line 9: steps stands in line 5 too; keep one"),
    ],
)
def test_a_key_that_stands_twice_is_refused_with_its_lines(tmp_path, more, says):
    (tmp_path / "own.yaml").write_text(TWICE + more)
    with pytest.raises(LionError) as error:
        load(tmp_path / "own.yaml")
    assert f"{tmp_path}/own.yaml, {says}" in str(error.value) and "\n" not in str(error.value)


def test_a_merged_key_is_not_there_twice(tmp_path):
    own = "&v {source: jsonl, path: v.jsonl, weight: 2}"
    more = f"validation:\n  every: 9\n  data:\n    - {own}\n    - {{<<: *v, path: w.jsonl}}\n"
    (tmp_path / "own.yaml").write_text(TWICE + more)
    first, second = load(tmp_path / "own.yaml").validation.data
    assert (first.weight, second.weight, str(second.path)) == (2, 2, "w.jsonl")


@pytest.mark.parametrize(
    ("setting", "text", "means"),
    [
        ("optimizer.lr", "1e-4", 1e-4),
        ("optimizer.lr", "1E-4", 1e-4),
        ("optimizer.lr", ".5", 0.5),
        ("optimizer.lr", "010", 10.0),
        ("steps", "010", 10),
        ("steps", "1_000", 1000),
        ("steps", "'12'", 12),
        ("steps", "!!int 010", 10),
        ("steps", "!!int 1:30", None),
        ("optimizer.lr", "!!float 1:30", None),
        ("steps", "0x10", None),
        ("steps", "0o10", None),
        ("steps", "1:30", None),
        ("steps", "true", None),
        ("steps", "on", None),
        ("steps", "1.5", None),
        ("steps", "!!bool yes", None),
        ("steps", "!!int many", None),
        ("steps", "2026-11-28", None),
        ("optimizer.lr", "1:30", None),
        ("optimizer.lr", "yes", None),
        ("optimizer.lr", "True", None),
        ("optimizer.lr", ".inf", None),
        ("optimizer.lr", "inf", None),
        ("optimizer.lr", ".nan", None),
        ("optimizer.lr", "nan", None),
        ("optimizer.lr", "1,5", None),
        ("optimizer.betas", "[yes, 0.9]", None),
        ("optimizer.betas", "[0.5, 9e-1]", (0.5, 0.9)),
        ("data.0.tasks", "{vqa: true}", None),
        ("data.0.tasks", "{vqa: .nan}", None),
        ("data.0.tags", "{share: yes}", None),
        ("data.0.tags", "{drop: .nan}", None),
        ("lr_scale", "{qformer: on}", None),
        ("lr_scale", "{qformer: .inf}", None),
        ("options.alignment", "off", None),
        ("validation", "{every: true}", None),
        ("validation", "~", None),
        ("checkpoint.keep", "no", None),
        ("homogeneous_batches", "yes", True),
        ("homogeneous_batches", "off", False),
        ("homogeneous_batches", "2", None),
        ("out", "2026", Path("2026")),
        ("out", "010", Path("010")),
        ("out", "2026-11-28", Path("2026-11-28")),
        ("name", "12e4567", "12e4567"),
        ("name", "no", "no"),
    ],
)
def test_a_value_is_what_a_person_thinks_or_refused_in_one_line(tmp_path, setting, text, means):
    """Booleans are no numbers, and numbers are decimal; in a file as on the command line."""
    (tmp_path / "own.yaml").write_text(TWICE)
    if means is None and text != "~":
        with pytest.raises(LionError, match=setting.rpartition(".")[2]) as error:
            load(tmp_path / "own.yaml", [f"{setting}={text}"])
        assert "\n" not in str(error.value)
        return
    value = load(tmp_path / "own.yaml", [f"{setting}={text}"])
    for part in setting.split("."):
        value = getattr(value, part)
    assert value == means


def test_variables_in_paths_are_those_of_the_environment(tmp_path, monkeypatch):
    """Before, a folder called `$SCRATCH` was made."""
    monkeypatch.setenv("SCRATCH", str(tmp_path))
    monkeypatch.delenv("NOWHERE", raising=False)
    (tmp_path / "own.yaml").write_text(TWICE)
    assert load(tmp_path / "own.yaml", ["out=$SCRATCH/runs/${SCRATCH}"]).folder == Path(f"{tmp_path}/runs/{tmp_path}")
    shards = "data=[{source: shards, path: $SCRATCH/tars}]"
    assert load(tmp_path / "own.yaml", [shards]).data[0].path == f"{tmp_path}/tars"
    for given in ("out=$NOWHERE/runs", "root=~/${NOWHERE}", "data=[{source: shards, path: $NOWHERE}]"):
        with pytest.raises(LionError, match=r"\$NOWHERE is not set"):
            load(tmp_path / "own.yaml", [given])
    assert load(tmp_path / "own.yaml", ["out=a$5"]).out == Path("a$5")


def test_a_recipe_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "own.yaml").write_text(TWICE)
    assert load("~/own.yaml", ["out=~/runs/1"]).folder == tmp_path / "runs/1"
    (tmp_path / "chain.yaml").write_text("chain: [{recipe: ~/own.yaml, with: {root: ~/r}}]")
    assert load_chain("~/chain.yaml").recipes[0].folder == tmp_path / "r/out"


@pytest.mark.parametrize("text", ["[" * 3000, "a: !!binary é", "a: !!python/object:os.system x", "a: 1\n\tb: 2", "- 1"])
def test_files_that_are_no_settings_are_one_line(tmp_path, text):
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(LionError, match=r"own\.yaml") as error:
        load(tmp_path / "own.yaml")
    assert "\n" not in str(error.value)


def test_a_run_s_own_recipe_file_reads_as_it_was(tmp_path):
    recipe = load("mini-t5", ["name=12e4567", "out=010", "optimizer.lr=1e-5"])
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    assert load(tmp_path / "again.yaml") == recipe


@pytest.mark.parametrize("name", RECIPES)
def test_a_shipped_recipe_is_valid_and_its_header_is_its_manual(name):
    recipe = load(name)
    title, prerequisite, command, override, *_ = (SHIPPED / f"{name}.yaml").read_text().splitlines()
    assert recipe.name == name and re.match("# (A )?(lion-mini|LION)", title)
    assert prerequisite.startswith("# Prerequisite: ") and command.split() == ["#", "Run:", "lion", "train", name]
    assert override.startswith(f"# Override:     lion train {name} ")
    other = load(name, override.split()[5:])
    assert all(other.init_folders[part] == recipe.init_folders[part] for part in recipe.init), (
        "what it needs is elsewhere"
    )


def test_an_override_under_an_alias_changes_one_place():
    recipe = load("paper-xl-stage1", ["data.0.tags.drop=0.4"])
    assert [source.tags.drop for source in recipe.data[:2]] == [0.4, 0.1]


def test_recipes_are_checked_before_torch_is_imported():
    code = "import sys, lion.train.recipe as files; files.load_chain('mini'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
