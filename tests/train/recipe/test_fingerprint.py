"""Fingerprints: what shapes the loss curve changes them, and no new version or name does."""

import json
from pathlib import Path

import pytest

from lion.train.recipe import load_chain, parse, shipped
from lion.train.recipe.fingerprint import fingerprint
from lion.train.recipe.schema import RENAMED, RENAMED_VALUES
from tests.train.recipe.base import BASE

GOLDEN = json.loads((Path(__file__).parent / "fingerprints.json").read_text())
"""Made at 87f6310, before settings were renamed; `on_datasets` at 4c6c06c. Those of the quick recipes go with the
bundled model's record."""


@pytest.fixture(autouse=True)
def no_runs(tmp_path, monkeypatch):
    """A folder without earlier runs, whose records fingerprints would hold."""
    monkeypatch.chdir(tmp_path)


def test_finished_runs_of_the_shipped_recipes_stay_theirs():
    names = [name for name in shipped() if name.startswith("mini")]
    recipes = [recipe for name in names for recipe in load_chain(name).recipes]
    assert {recipe.name: fingerprint(recipe) for recipe in recipes} == GOLDEN["shipped"]


def test_neither_do_the_recipes_on_datasets_change(monkeypatch):
    """Without the record of the bundled lion-mini, which the next one's will replace."""
    monkeypatch.setattr("lion.train.recipe.fingerprint.read_record", lambda folder: None)
    names = [name for name in shipped() if not name.startswith("mini")]
    recipes = [recipe for name in names for recipe in load_chain(name).recipes]
    assert {recipe.name: fingerprint(recipe) for recipe in recipes} == GOLDEN["on_datasets"]


def renamed(fields):
    """Plain values of a recipe, with the settings of earlier versions under their new names."""
    if isinstance(fields, dict):
        return {RENAMED.get(key, key): renamed(value) for key, value in fields.items()}
    if isinstance(fields, list):
        return [renamed(entry) for entry in fields]
    return RENAMED_VALUES.get(fields, fields)


def test_the_golden_recipes_have_every_renamed_setting():
    assert all(f'"{old}"' in json.dumps(GOLDEN["by_first_names"]) for old in (*RENAMED, *RENAMED_VALUES))


@pytest.mark.parametrize("row", GOLDEN["by_first_names"], ids=lambda row: row["fingerprint"])
def test_a_renamed_setting_leaves_the_fingerprint(row):
    assert fingerprint(parse(renamed(row["old"]))) == row["fingerprint"]


def test_the_fingerprint_knows_what_shapes_the_curve(tmp_path):
    first = parse(BASE)
    same = parse(
        {**BASE, "out": "elsewhere", "workers": 3, "log_to": ["wandb"], "checkpoint": {"every": 1}, "name": "b"}
    )
    assert fingerprint(same) == fingerprint(first)
    for change in ({"steps": 11}, {"seed": 1}, {"batch_size": 3}, {"precision": "bf16"}):
        assert fingerprint(parse({**BASE, **change})) != fingerprint(first)
    assert fingerprint(parse({**BASE, "max_grad_norm": 1.0})) == fingerprint(first)
    from_init = parse({**BASE, "init": {"model": str(tmp_path)}})
    before = fingerprint(from_init)
    (tmp_path / "finished.json").write_text('{"fingerprint": "abc"}')
    assert fingerprint(from_init) != before


def test_the_fingerprint_knows_your_own_files(tmp_path):
    (tmp_path / "own.jsonl").write_text("{}")
    own = parse({**BASE, "data": [{"source": "jsonl", "path": str(tmp_path / "own.jsonl")}]})
    before = fingerprint(own)
    assert fingerprint(own) == before
    (tmp_path / "own.jsonl").write_text("{} ")
    assert fingerprint(own) != before
