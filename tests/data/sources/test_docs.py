"""docs/datasets.md names every dataset with its splits, official numbers and homes, and nothing else."""

import importlib
import pkgutil
import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from lion.data import sources
from lion.data.dataset import Origin
from lion.data.sources import READERS, DatasetName
from lion.train import recipe

PAGE = (Path(__file__).parents[3] / "docs" / "datasets.md").read_text()
MODULES = [
    importlib.import_module(f"lion.data.sources.{module.name}") for module in pkgutil.iter_modules(sources.__path__)
]
ORIGINS = {value.name: value for module in MODULES for value in vars(module).values() if isinstance(value, Origin)}


def test_the_table_is_complete():
    assert set(READERS) == set(get_args(DatasetName)) == set(ORIGINS)
    listed = re.findall(r"^\| `([a-z0-9+-]+)` \|", PAGE, re.MULTILINE)
    assert set(listed) == set(READERS)


@pytest.mark.parametrize("name", READERS)
def test_splits_and_numbers_are_those_of_the_reader(name):
    origin = ORIGINS[name]
    rows = re.search(rf"^\| `{re.escape(name)}` \|.*\n(?:\| \| .*\n)*", PAGE, re.MULTILINE)[0]
    assert all(re.search(rf"\b{split}\b", rows) for split in origin.splits)
    assert all(f"{count:,}" in rows for count in origin.counts.values())
    assert set(origin.counts) <= set(origin.splits)
    if name != "coco-detection":
        address = re.search(r"https://\S+?(?=[ ;,()]|$)", origin.annotations)[0]
        assert f"<{address}>" in PAGE


def test_the_recipe_of_the_page_is_one():
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(recipe.parse(yaml.safe_load(block)).data) == 4
