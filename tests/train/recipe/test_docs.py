"""docs/reference/recipes.md is what the schema says."""

import re

import pytest

from lion.cli.train import recipes
from lion.train.recipe.schema import DatasetData, JsonlData, Recipe, ShardsData, WorldData
from lion.train.stages import STAGES
from tools.recipe_docs import PAGE, page


def test_the_page_is_the_schemas():
    assert PAGE.read_text("utf-8") == page(), "run python -m tools.recipe_docs"


def rows(title):
    """The table under a heading, as {first cell: other cells}."""
    table = re.split(r"\n##+ ", page().split(f"### {title}\n")[1])[0]
    cells = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| `")]
    return {first.strip("`"): rest for first, *rest in cells}


@pytest.mark.parametrize(
    ("title", "model"),
    [
        ("The run", Recipe),
        ("`data`: the drawn world", WorldData),
        ("`data`, `validation.data`: your own pictures", JsonlData),
        ("`data`, `validation.data`: archives of pictures", ShardsData),
        ("`data`, `validation.data`: a dataset", DatasetData),
        *(
            (f"`options` of {', '.join(f'`{n}`' for n in names)}", STAGES[names[0]].options)
            for names in (["pretrain-t5"], ["stage1", "stage2", "stage3"])
        ),
    ],
)
def test_every_setting_has_a_row(title, model):
    assert set(rows(title)) == set(model.model_fields)


def test_a_row_tells_type_default_and_readers():
    kind, default, _, readers = rows("`data`: the drawn world")["pixels"]
    assert (kind, default) == ("integer, ≥ 32", "`256`")
    assert set(re.findall("[a-z0-9-]+", readers)) == set(STAGES) - {"pretrain-t5"}
    assert rows("The run")["steps"][1::2] == ["required", "all"]


def test_the_shipped_recipes_are_those_of_the_help():
    for line in recipes().split("\n\n")[1:]:
        name, title = line.split(": ", 1)
        assert re.search(rf"^\| `{name}` \| .* \| {re.escape(title)} \|$", page(), re.MULTILINE)
