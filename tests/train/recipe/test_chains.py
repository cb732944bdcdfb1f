"""Chain files: overrides for all or for one recipe, and one line of help for every mistake."""

import pytest

from lion.checkpoints.finding import BUNDLED
from lion.errors import LionError
from lion.train.recipe import load_chain
from lion.train.recipe import reading as files
from lion.train.recipe.schema import SHIPPED
from tests.train.recipe.base import CHAINS


@pytest.mark.parametrize("name", CHAINS)
def test_a_shipped_chain_takes_each_part_from_a_recipe_before(name):
    _, prerequisite, _, override, *_ = (SHIPPED / f"{name}.yaml").read_text().splitlines()
    made = set()
    for recipe in load_chain(name, override.split()[5:]).recipes:
        for part in recipe.init:
            assert (
                recipe.init_folders[part] in made
                or str(recipe.init[part]) == BUNDLED
                or (f" {recipe.init_folders[part]}, a LION" in prerequisite)
            )
        made.add(recipe.folder)


def test_overrides_of_a_chain_hold_for_all_or_for_one():
    chain = load_chain("mini", ["seed=5", "mini-stage2:steps=777"]).recipes
    assert {recipe.seed for recipe in chain} == {5}
    assert [recipe.steps for recipe in chain if recipe.name == "mini-stage2"] == [777]
    assert all(recipe.steps != 777 for recipe in chain if recipe.name != "mini-stage2")
    with pytest.raises(LionError, match="stage9:steps=7: the chain's recipes are mini-t5, "):
        load_chain("mini", ["stage9:steps=7"])
    assert [recipe.name for recipe in load_chain("mini-vit").recipes] == ["mini-vit"]


def test_overrides_of_one_recipe_come_after_those_of_all():
    steps = [recipe.steps for recipe in load_chain("mini", ["mini-stage1:steps=200", "steps=300"]).recipes]
    assert sorted(set(steps)) == [200, 300] and steps.count(200) == 1


def test_each_recipe_of_a_chain_is_read_and_validated_once(monkeypatch):
    read, parsed = [], []
    settings, parse = files.read, files.parse
    monkeypatch.setattr(files, "read", lambda name: read.append(name) or settings(name))
    monkeypatch.setattr(files, "parse", lambda fields, name: parsed.append(name) or parse(fields, name))
    recipes = load_chain("mini", ["mini-t5:steps=200"]).recipes
    assert len(recipes) == len(parsed) == len(read) - 1 == 9  # and the chain itself


def test_a_recipe_by_its_name_under_with(tmp_path):
    (tmp_path / "own.yaml").write_text("chain: [{recipe: mini-vit, with: {name: again}}, mini-vit]\nquestions: 3")
    chain = load_chain(tmp_path / "own.yaml", ["again:steps=200"])
    assert [(recipe.name, recipe.steps) for recipe in chain.recipes] == [("again", 200), ("mini-vit", 9000)]
    assert chain.questions == 3


@pytest.mark.parametrize(
    ("chain", "says"),
    [
        ("chain: mini-vit", "'mini-vit' is no list of recipes"),
        ("chain: []", "is no list of recipes"),
        ("chain: [{with: {steps: 3}}]", "is neither a recipe's name nor"),
        ("chain: [[3]]", "['3'] is neither a recipe's name nor".replace("[", r"\[").replace("]", r"\]")),
        ("chain: [3]", "no recipe and no file is called 3"),
        ("chain: [{recipe: mini-vit, with: [steps]}]", "is neither a recipe's name nor"),
        ("chain: [{recipe: mini-vit, with: {steps: 2024-01-01}}]", "steps: must be a whole number"),
        ("chain: [{recipe: mini-vit, steps: 3}]", "is neither a recipe's name nor"),
        ("chain: [mini]", "mini is a chain of recipes"),
        ("chain: [mini-vit]\nsteps: 3", "steps: a chain file holds `chain` and `questions` alone"),
        ("chain: [mini-vit]\nquestions: -1", "questions: -1 is not a number of test questions"),
        ("chain: [mini-vit]\nquestions: yes", "questions: yes is not a number of test questions"),
        ("chain: [mini-vit]\nquestions: 1:30", "questions: 1:30 is not a number of test questions"),
        ("chain: [mini-vit]\nchain: [mini-t5]", r"own.yaml, line 2: chain stands in line 1 too; keep one"),
        ("chain: [{recipe: mini-vit, with: {steps: 3, steps: 4}}]", "line 1: steps stands in line 1 too"),
        (
            "chain: [{recipe: mini-vit, with: {optimizer.lr: 3, optimizer: {lr: 4}}}]",
            "optimizer: is given after optimizer.lr, which it would replace",
        ),
        ("chain: [{recipe: mini-vit, with: {optimiser.lr: 1}}]", "mini-vit: optimiser: is called optimizer now"),
    ],
)
def test_a_chain_of_another_shape(tmp_path, chain, says):
    (tmp_path / "own.yaml").write_text(chain)
    with pytest.raises(LionError, match=says):
        load_chain(tmp_path / "own.yaml")
