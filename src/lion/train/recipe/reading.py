"""Reading recipes and chains of them: shipped names, YAML files and overrides, and one line for whatever is wrong.

`load("mini-stage1", ["steps=100", "optimizer.lr=1e-3"])` gives a validated recipe; no torch is imported.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from lion.data.sources import READERS
from lion.errors import LionError
from lion.train.recipe.schema import RENAMED, RENAMED_VALUES, SECTIONS, SHIPPED, Recipe
from lion.train.stages import STAGES


def shipped() -> list[str]:
    """Names of the shipped recipes."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def load(recipe: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read, override and validate one recipe.

    Args:
        recipe: a shipped name (`mini-stage1`) or the path of a YAML file.
        overrides: `key=value` with dots into the tree (`data.0.scenes=500`); values are YAML.

    Raises:
        LionError: an unknown recipe, setting or stage, a value out of range, or a contradiction.
    """
    fields = read(recipe)
    for text in overrides:
        override(fields, text)
    return parse(fields, name=str(fields.get("name", recipe)))


@dataclass(frozen=True)
class Chain:
    """Recipes that run in order."""

    recipes: tuple[Recipe, ...]
    questions: int = 0
    """Test questions of each set that the last model answers; 0: none."""


def load_chain(recipe: str | Path, overrides: Iterable[str] = ()) -> Chain:
    """The recipes of a chain file (of any other recipe: itself alone), all validated before the first runs.

    A chain file holds `chain`, a list of names or `{recipe: NAME, with: {key: value}}`, and `questions`. An override
    holds for every recipe of the chain, or, as `NAME:key=value`, for the one called NAME.

    Raises: LionError if the file is no chain of this form, or as :func:`load`.
    """
    fields = read(recipe)
    if "chain" not in fields:
        return Chain((load(recipe, overrides),))
    if extra := sorted(set(fields) - {"chain", "questions"}):
        raise LionError(
            f"{recipe}: {extra[0]}: a chain file holds `chain` and `questions` alone; put settings under an entry's "
            "`with`"
        )
    questions = fields.get("questions", 0)
    if not isinstance(questions, int) or questions < 0:
        raise LionError(f"{recipe}: questions: {questions!r} is not a number of test questions")
    entries = fields["chain"]
    if not isinstance(entries, list) or not entries:
        raise LionError(f"chain: {entries!r} is no list of recipes; write chain: [mini-stage1, mini-stage2]")
    named = [_entry_settings(recipe, entry) for entry in entries]
    addressed = [text.partition(":") if ":" in text.split("=", 1)[0] else (None, "", text) for text in overrides]
    for name, _, text in sorted(addressed, key=lambda parts: parts[0] is not None):  # those for all first
        if name is not None and name not in dict(named):
            raise LionError(f"{name}:{text}: the chain's recipes are {', '.join(dict(named))}")
        for its_name, settings in named:
            if name in (None, its_name):
                override(settings, text)
    return Chain(tuple(parse(settings, name) for name, settings in named), questions)


def _entry_settings(chain: str | Path, entry: Any) -> tuple[str, dict[str, Any]]:
    """The name of an entry's recipe, and its settings with those under `with`, not yet validated."""
    given: Any = {"recipe": entry} if isinstance(entry, str) else entry
    known = isinstance(given, dict) and isinstance(given.get("recipe"), str) and not set(given) - {"recipe", "with"}
    if not known or not isinstance(given.get("with") or {}, dict):
        raise LionError(f"{chain}: chain: {entry!r} is neither a recipe's name nor {{recipe: NAME, with: {{...}}}}")
    settings = read(given["recipe"])
    for key, value in (given.get("with") or {}).items():
        set_value(settings, str(key), value)
    return str(settings.get("name", given["recipe"])), settings


def read(recipe: str | Path) -> dict[str, Any]:
    """The YAML of a shipped recipe or a file, unvalidated. Raises: LionError if there is none or it is no mapping."""
    path = SHIPPED / f"{recipe}.yaml"
    if not path.is_file():
        path = Path(recipe)
    if not path.is_file():
        near = difflib.get_close_matches(str(recipe), shipped(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"shipped are {', '.join(shipped())}"
        raise LionError(f"no recipe and no file is called {recipe}; {hint}")
    try:
        fields = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LionError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(fields, dict):
        raise LionError(f"{path} holds no settings; a recipe is lines of `key: value`")
    return fields


def parse(fields: Mapping[str, Any], name: str = "recipe") -> Recipe:
    """Validate a recipe given as plain values. Raises: LionError with the first problem, one line."""
    if "chain" in fields:
        raise LionError(f"{name} is a chain of recipes: `lion train {name}` runs it, it has no settings of its own")
    stage = fields.get("stage")
    if not isinstance(stage, str) or stage not in STAGES:
        raise LionError(f"{name}: stage: {stage!r} is not one of {', '.join(STAGES)}")
    try:
        return Recipe.model_validate({"options": {}, **fields})
    except ValidationError as error:
        raise LionError(f"{name}: {_first_problem(error)}") from error


def override(fields: dict[str, Any], text: str) -> None:
    """Apply `key=value` to a recipe's plain values. Raises: LionError if it is malformed or has no place."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise LionError(f"an override is key=value, such as steps=100, not {text!r}")
    try:
        set_value(fields, key, yaml.safe_load(value))
    except yaml.YAMLError as error:
        raise LionError(f"{key}: {value!r} is not a YAML value") from error


def set_value(fields: dict[str, Any], key: str, value: Any) -> None:
    """Set the value at a dotted key, making sections on the way. Raises: LionError if the key has no place."""
    *path, last = key.split(".")
    node: Any = fields
    try:
        for part in path:
            if isinstance(node, dict) and node.get(part) is None:
                node[part] = {}
            node = node[int(part) if isinstance(node, list) else part]
        node[int(last) if isinstance(node, list) else last] = value
    except (AttributeError, IndexError, TypeError, ValueError):
        raise LionError(f"{key}: the recipe has no such place; lists are counted from 0, as in data.0.scenes") from None


def _first_problem(error: ValidationError) -> str:
    """Pydantic's first complaint as `setting: what is wrong (what was given)`; unknown settings come before others.

    A misspelt setting is unknown under one name and may be missing under another; the first says what to do.
    """
    problem = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    # The union's tag ('world') is part of pydantic's path and not of the file's.
    where = ".".join(str(part) for part in problem["loc"] if part not in ("world", "jsonl", *READERS))
    message, given = problem["msg"].removeprefix("Value error, "), problem["input"]
    if problem["type"] == "extra_forbidden":
        return f"{where}: {_unknown_setting(where)}"
    if problem["type"] == "missing":
        return f"{where}: is missing; give it a value"
    if problem["type"] == "literal_error" and isinstance(given, str) and given in RENAMED_VALUES:
        return f"{where}: {given} is called {RENAMED_VALUES[given]} now"
    if not where:
        return message
    return f"{where}: {message[0].lower()}{message[1:]} (it is {given!r})"


def _unknown_setting(where: str) -> str:
    """What to do about a setting that does not exist, by its dotted name."""
    *section, name = where.split(".")
    if name in RENAMED:
        return f"is called {'.'.join([*section, RENAMED[name]])} now"
    names = {} if section == ["options"] else {n: p + n for p, model in SECTIONS.items() for n in model.model_fields}
    near = difflib.get_close_matches(name, names, n=1)
    return f"no such setting; did you mean {names[near[0]]}?" if near else "no such setting; remove it"
