"""Reading recipes: overrides, files that are none, and the shipped files, all valid."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lion.errors import LionError
from lion.train.recipe import load
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
        ("steps.fast=3", "steps.fast: the recipe has no such place"),
        ("steps=[1", "not a YAML value"),
    ):
        with pytest.raises(LionError, match=message.replace(".", r"\.").replace("[", r"\[")):
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


@pytest.mark.parametrize("name", RECIPES)
def test_a_shipped_recipe_is_valid_and_its_header_is_its_manual(name):
    recipe = load(name)
    title, prerequisite, command, override, *_ = (SHIPPED / f"{name}.yaml").read_text().splitlines()
    assert recipe.name == name and title.startswith("# lion-mini")
    assert prerequisite.startswith("# Prerequisite: ") and command.split() == ["#", "Run:", "lion", "train", name]
    assert override.startswith(f"# Override:     lion train {name} ")
    other = load(name, override.split()[5:])
    assert all(other.init_folders[part] == recipe.init_folders[part] for part in recipe.init), (
        "what it needs is elsewhere"
    )


def test_recipes_are_checked_before_torch_is_imported():
    code = "import sys, lion.train.recipe as files; files.load_chain('mini'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
