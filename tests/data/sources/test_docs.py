"""docs/reference/datasets.md names every dataset with its splits, official numbers and homes, and nothing else."""

import importlib
import pkgutil
import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from lion.data import sources
from lion.data.dataset import Reader
from lion.data.sources import READERS, DatasetName
from lion.train.recipe import parse

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "datasets.md").read_text()
MODULES = [
    importlib.import_module(f"lion.data.sources.{module.name}") for module in pkgutil.iter_modules(sources.__path__)
]
DEFINED = {value.info.name for module in MODULES for value in vars(module).values() if isinstance(value, Reader)}


def test_the_table_is_complete():
    assert set(READERS) == set(get_args(DatasetName)) == DEFINED
    listed = re.findall(r"^\| `([a-z0-9+-]+)` \|", PAGE, re.MULTILINE)
    assert set(listed) == set(READERS)


@pytest.mark.parametrize("name", READERS)
def test_splits_and_numbers_are_those_of_the_reader(name):
    info = READERS[name].info
    assert info.name == name
    rows = re.search(rf"^\| `{re.escape(name)}` \|.*\n(?:\| \| .*\n)*", PAGE, re.MULTILINE)[0]
    assert all(re.search(rf"\b{split}\b", rows) for split in info.splits)
    assert all(f"{count:,}" in rows for count in info.splits.values() if count is not None)
    if name != "coco-detection":
        address = re.search(r"https://\S+?(?=[ ;,()]|$)", info.annotations)[0]
        assert f"<{address}>" in PAGE


def test_the_recipe_for_training_is_one():
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "training.md").read_text()
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(parse(yaml.safe_load(block)).data) == 4
