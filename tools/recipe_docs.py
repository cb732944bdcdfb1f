"""Write docs/reference/recipes.md from the recipes' schema: ``python -m tools.recipe_docs``."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from lion.atomic import atomic_write
from lion.data.tag_noise import TagNoise
from lion.train.recipe import schema as recipes
from lion.train.recipe.fingerprint import MAY_CHANGE
from lion.train.recipe.schema import RENAMED, RENAMED_VALUES, SECTIONS, SHIPPED, Recipe
from lion.train.stages import STAGES, Options, Setting

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "recipes.md"

TEXT = """# Recipes

A recipe is a YAML file with everything that one training run depends on: data, steps, optimizer, what trains.

```
lion train mini-quick                               # a shipped recipe, by its name
lion train mine.yaml                                # a file of your own
lion train mini-quick --dry-run                     # what it would train, and in how much memory; trains nothing
lion train mini-vit steps=200 optimizer.lr=1e-4     # settings changed for one run
```

A recipe is checked before anything is loaded; a mistake is one line that names the setting and the fix. See also [a
recipe for your own data](../how-to/training.md#a-recipe), [what a run takes on other cards](../how-to/planning.md) and
[many GPUs](../how-to/training_at_scale.md).

This page is generated from the schema (`python -m tools.recipe_docs`).

## Shipped recipes

{shipped}

Each file in [`src/lion/recipes/`](../../src/lion/recipes) opens with what it needs, how it is run, and an override to
try. [Datasets](datasets.md#for-the-papers-recipes) tells where the paper's recipes look for their files.

## Overrides

Settings after the recipe, as `KEY=VALUE`, change it for one run.

* A key has dots into sections, and sources count from 0: `data.0.scenes=500`, `validation.every=100`.
* A value is YAML: `validation=null`, `'data.0.tasks={{vqa: 1, rec: 2}}'`. It is read as its setting's type: `1e-4`,
  `1_000` and `010` (ten) are numbers, `yes` is true where a setting is true or false and refused where it is a number,
  and a folder may be called `2026`.
* A setting given twice, in a file or among the overrides, is refused: one of the two would be lost.
* In a chain an override holds for every recipe; `NAME:KEY=VALUE` holds for the one called NAME, after the others:
  `lion train mini seed=1 mini-stage3:steps=500`.

## Chains

A chain is a file with two settings:

| setting | type | default | meaning |
| --- | --- | --- | --- |
| `chain` | list | required | recipes in order: a name, or `{{recipe: NAME, with: {{KEY: VALUE}}}}` with overrides |
| `questions` | integer | 0 | test questions of each set of the drawn world that the last model answers at the end |

Finished recipes are skipped and stopped ones resume. `--at-once 2` trains two at a time where neither needs the other.

## Stages

`stage` names a row of this table ([`stages.py`](../../src/lion/train/stages.py)). What a stage does not train is
frozen. `pretrain-` stages make lion-mini's parts; the paper's are `stage1` to `stage3` ([what
for](../explanation/paper.md)).

{stages}

`lr_scale` takes the components that the stage trains. `init` takes the model, or the components, that it starts from:

{init}

A stage refuses a setting that it does not read.

## Settings

*Read by*: the stages that read a setting; where nothing is said, all do. Once a run has begun, these may change:
{may_change}.
With any other change the run's folder is refused, and `--restart` starts over.

{settings}

## Earlier names

A setting by the name that an earlier version gave it is refused, and the message names the new one. Runs that began or
finished under the earlier names resume and count as finished.

{renamed}
"""


def page() -> str:
    """The whole page."""
    rows = [[f"`{path.stem}`", *_shipped(path)] for path in sorted(SHIPPED.glob("*.yaml"))]
    return TEXT.format(
        shipped=_table(["recipe", "stage", "what it trains"], rows),
        stages=_stage_table(),
        init=_table(
            ["stage", "`init`"], [[f"`{name}`", _code(stage.init) or "none"] for name, stage in STAGES.items()]
        ),
        may_change=_code(MAY_CHANGE),
        settings="\n\n".join(_section(*section) for section in _sections()),
        renamed=_table(
            ["earlier", "now"], [[f"`{old}`", f"`{new}`"] for old, new in (RENAMED | RENAMED_VALUES).items()]
        ),
    )


def _shipped(path: Path) -> list[str]:
    """Stage and first line of a shipped recipe."""
    text = path.read_text("utf-8")
    stage = yaml.safe_load(text).get("stage")
    return [f"`{stage}`" if stage else "a chain", text.splitlines()[0].lstrip("# ")]


def _stage_table() -> str:
    rows = [
        [f"`{name}`", _code(stage.trainable), _code(sorted(stage.tasks)) or "scenes", stage.visual_inputs or "none"]
        for name, stage in STAGES.items()
    ]
    return _table(["stage", "trains", "tasks", "visual inputs of the language model"], rows)


def _sections() -> list[tuple[str, str, type[BaseModel]]]:
    """(title, prefix of the settings' dotted names, schema) of every table."""
    data: list[tuple[str, str, type[BaseModel]]] = [
        ("`data`: the drawn world", "data.N.", recipes.WorldData),
        ("`data`, `validation.data`: your own pictures", "data.N.", recipes.JsonlData),
        ("`data`, `validation.data`: archives of pictures", "data.N.", recipes.ShardsData),
        ("`data`, `validation.data`: a dataset", "data.N.", recipes.DatasetData),
    ]
    options = {stage.options for stage in STAGES.values()} - {Options}
    return [
        ("The run", "", Recipe),
        *data,
        *(
            (f"`{prefix[:-1]}`", prefix, model)
            for prefix, model in SECTIONS.items()
            if model not in (Recipe, recipes.WorldData)
        ),
        *((f"`options` of {_code(_stages_of(model))}", "options.", model) for model in sorted(options, key=_stages_of)),
    ]


def _section(title: str, prefix: str, model: type[BaseModel]) -> str:
    """A heading, what the section is, and a table of its settings, those without a default first.

    Stages that read all of them stand above the table, others in a column."""
    schema = model.model_json_schema()
    required = set(schema.get("required", [])) - {"options"}
    rows = []
    for name, facts in sorted(schema["properties"].items(), key=lambda item: item[0] not in required):
        default = "required" if name in required else f"`{_yaml(facts.get('default', {}))}`"
        stages = _read_by(prefix + name, model)
        read_by = "all" if len(stages) == len(STAGES) else _code(stages)
        rows.append([f"`{name}`", _type(facts, schema), default, facts["description"], read_by])
    about, head = (model.__doc__ or "").strip(), ["setting", "type", "default", "meaning", "read by"]
    if len({row[-1] for row in rows}) == 1:
        about += f" Read by {rows[0][-1]}." if rows[0][-1] != "all" else ""
        head, rows = head[:-1], [row[:-1] for row in rows]
    return f"### {title}\n\n{about}\n\n{_table(head, rows)}"


def _read_by(setting: str, model: type[BaseModel]) -> list[str]:
    """The stages that read a setting of a schema."""
    if issubclass(model, Options):
        return _stages_of(model)
    unread = {name for name, stage in STAGES.items() if setting in stage.unread}
    if issubclass(model, recipes.RecordData):  # a stage that reads none for validation trains on none
        unread |= {name for name, stage in STAGES.items() if Setting.VALIDATION_DATA in stage.unread}
    if model is TagNoise:
        unread |= {name for name, stage in STAGES.items() if Setting.TAGS in stage.unread}
    if setting == "init":
        unread |= {name for name, stage in STAGES.items() if not stage.init}
    if setting == "options":
        unread |= set(_stages_of(Options))
    return [name for name in STAGES if name not in unread]


def _stages_of(options: type[BaseModel]) -> list[str]:
    """The stages whose section `options` has a schema."""
    return [name for name, stage in STAGES.items() if stage.options is options]


def _type(facts: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """A setting's type and bounds in words."""
    if "$ref" in facts:
        target = schema["$defs"][facts["$ref"].rpartition("/")[2]]
        return _type(target, schema)
    if "anyOf" in facts:
        return " or ".join(_type(one, schema) for one in facts["anyOf"])
    if "const" in facts:
        return f"`{facts['const']}`"
    if "enum" in facts:
        return _code(facts["enum"])
    if facts["type"] == "object" and "properties" in facts:
        return "section"
    if facts["type"] == "array":
        return "list"
    if facts["type"] == "object":
        return f"mapping to {_type(facts['additionalProperties'], schema)}"
    names = {"string": "path" if facts.get("format") == "path" else "text", "boolean": "true or false"}
    bounds = {"exclusiveMinimum": "> ", "minimum": "≥ ", "exclusiveMaximum": "< ", "maximum": "≤ "}
    limits = [f"{sign}{facts[bound]:.10g}" for bound, sign in bounds.items() if bound in facts]
    return ", ".join([names.get(facts["type"], facts["type"]), *limits])


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=200).removesuffix("\n").removesuffix("\n...")


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


if __name__ == "__main__":
    atomic_write(PAGE, page())
