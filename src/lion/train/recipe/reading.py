"""Reading recipes and chains of them: shipped names, YAML files and overrides, and one line for whatever is wrong.

`load("mini-stage1", ["steps=100", "optimizer.lr=1e-3"])` gives a validated recipe; no torch is imported.
"""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from lion.data.sources import READERS
from lion.errors import LionError
from lion.train.recipe.plain_yaml import read_yaml
from lion.train.recipe.schema import (
    RENAMED,
    RENAMED_VALUES,
    SECTIONS,
    SHIPPED,
    DatasetData,
    JsonlData,
    Recipe,
    ShardsData,
    WorldData,
)
from lion.train.stages import STAGES

_SECTION = "must be a section of settings, as in {{key: value}}"
_WANTED = {
    "string_type": "must be a text",
    "string_pattern_mismatch": "must be letters, digits, _, - and ., and begin with a letter or digit",
    "path_type": "must be a path",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "tuple_type": "must be a list, as in [one, two]",
    "too_short": "must have {min_length} or more entries",
    "too_long": "must have no more than {max_length} entries",
    "model_type": _SECTION,
    "model_attributes_type": _SECTION,
    "dict_type": _SECTION,
    "union_tag_invalid": "its source must be one of {expected_tags}",
    "union_tag_not_found": "must name its source, as in {{source: jsonl, path: my.jsonl}}",
}
"""What a value has to be, by the type of pydantic's complaint; those of bounds and choices read well as they are."""


def shipped() -> list[str]:
    """Names of the shipped recipes."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def load(recipe: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read, override and validate one recipe.

    Args:
        recipe: a shipped name (`mini-stage1`) or the path of a YAML file.
        overrides: `key=value` with dots into the tree (`data.0.scenes=500`), each key once; values are YAML.

    Raises:
        LionError: an unknown recipe, setting or stage, a setting given twice, a value out of range, or a contradiction.
    """
    overrides, fields = list(overrides), read(recipe)
    check_given_once(text.partition("=")[0] for text in overrides)
    for text in overrides:
        override(fields, text)
    return parse(fields, name=str(fields.get("name", recipe)))


def check_given_once(keys: Iterable[str]) -> None:
    """Check that no setting is given twice. Raises: LionError if a key, or its whole section, is set again."""
    before: list[str] = []
    for key in keys:
        if lost := [earlier for earlier in before if f"{earlier}.".startswith(f"{key}.")]:
            raise LionError(f"{key}: is given after {lost[0]}, which it would replace; give each setting once")
        before.append(key)


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
    overrides, fields = list(overrides), read(recipe)
    if "chain" not in fields:
        return Chain((load(recipe, overrides),))
    check_given_once(text.partition("=")[0] for text in overrides)
    if extra := sorted(set(fields) - {"chain", "questions"}):
        raise LionError(
            f"{recipe}: {extra[0]}: a chain file holds `chain` and `questions` alone; put settings under an entry's "
            "`with`"
        )
    questions = str(fields.get("questions", "0"))
    if not (questions.isascii() and questions.isdigit()):
        raise LionError(f"{recipe}: questions: {questions} is not a number of test questions")
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
    return Chain(tuple(parse(settings, name) for name, settings in named), int(questions))


def _entry_settings(chain: str | Path, entry: Any) -> tuple[str, dict[str, Any]]:
    """The name of an entry's recipe, and its settings with those under `with`, not yet validated."""
    given: Any = {"recipe": entry} if isinstance(entry, str) else entry
    known = isinstance(given, dict) and isinstance(given.get("recipe"), str) and not set(given) - {"recipe", "with"}
    if not known or not isinstance(given.get("with") or {}, dict):
        raise LionError(f"{chain}: chain: {entry!r} is neither a recipe's name nor {{recipe: NAME, with: {{...}}}}")
    settings = read(given["recipe"])
    changes = given.get("with") or {}
    check_given_once(changes)
    for key, value in changes.items():
        set_value(settings, key, value)
    return str(settings.get("name", given["recipe"])), settings


def read(recipe: str | Path) -> dict[str, Any]:
    """The YAML of a shipped recipe or a file, unvalidated. Raises: LionError if there is none or it is no mapping."""
    path = SHIPPED / f"{recipe}.yaml"
    if not path.is_file():
        path = Path(os.path.expanduser(recipe))
    if not path.is_file():
        near = difflib.get_close_matches(str(recipe), shipped(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"shipped are {', '.join(shipped())}"
        raise LionError(f"no recipe and no file is called {recipe}; {hint}")
    return read_file(path)


def read_file(path: Path) -> dict[str, Any]:
    """The settings of a YAML file, unvalidated. Raises: LionError if it is not YAML or holds none."""
    try:
        fields = read_yaml(path.read_text("utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise LionError(f"{path} is not YAML: {error}") from error
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
        return Recipe.model_validate({"options": {}, **_truth_as_text(fields)})
    except ValidationError as error:
        raise LionError(f"{name}: {_first_problem(error, stage)}") from error


def _truth_as_text(value: Any) -> Any:
    """`value` with True and False as `true` and `false`, as YAML has them: pydantic takes True for 1, too."""
    if isinstance(value, Mapping):
        return {key: _truth_as_text(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_truth_as_text(one) for one in value]
    return str(value).lower() if isinstance(value, bool) else value


def override(fields: dict[str, Any], text: str) -> None:
    """Apply `key=value` to a recipe's plain values. Raises: LionError if it is malformed or has no place."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise LionError(f"an override is key=value, such as steps=100, not {text!r}")
    set_value(fields, key, read_yaml(value, f"{key}={value}"))


def set_value(fields: dict[str, Any], key: str, value: Any) -> None:
    """Set the value at a dotted key, making sections on the way. Raises: LionError if the key has no place."""
    *path, last = key.split(".")
    node: Any = fields
    try:
        for part in path:
            if isinstance(node, dict) and node.get(part) is None:
                node[part] = {}
            place = _place(node, part)
            node[place] = copy(node[place])  # an alias in YAML is one object in several places
            node = node[place]
        node[_place(node, last)] = value
    except (AttributeError, IndexError, TypeError, ValueError):
        raise LionError(f"{key}: the recipe has no such place; lists are counted from 0, as in data.0.scenes") from None


def _place(node: Any, part: str) -> int | str:
    """A part of a dotted key in a list or a mapping. Raises: ValueError for a second spelling of a number: 00, -1."""
    if not isinstance(node, list):
        return part
    if part != str(abs(number := int(part))):
        raise ValueError(part)
    return number


def _first_problem(error: ValidationError, stage: str) -> str:
    """Pydantic's first complaint as `setting: what is wrong (what was given)`; unknown settings come before others.

    A misspelt setting is unknown under one name and may be missing under another; the first says what to do.
    """
    problem = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    # The union's tag ('world') is part of pydantic's path and not of the file's.
    kinds: dict[str, type[BaseModel]] = {"world": WorldData, "jsonl": JsonlData, "shards": ShardsData}
    kinds |= dict.fromkeys(READERS, DatasetData)
    where = ".".join(str(part) for part in problem["loc"] if part not in kinds)
    message, given = problem["msg"].removeprefix("Value error, "), problem["input"]
    if problem["type"] == "extra_forbidden":
        kind = next((kinds[part] for part in problem["loc"] if part in kinds), WorldData)
        sections = {**SECTIONS, "options.": STAGES[stage].options, "data.N.": kind}
        return f"{where}: {_unknown_setting(where, sections)}"
    if problem["type"] == "missing":
        return f"{where}: is missing; give it a value"
    if problem["type"] == "literal_error" and isinstance(given, str) and given in RENAMED_VALUES:
        return f"{where}: {given} is called {RENAMED_VALUES[given]} now"
    if not where:
        return message
    shown = given if given and isinstance(given, str) else "empty" if given in (None, "") else repr(given)
    if problem["type"] in _WANTED:
        message = _WANTED[problem["type"]].format(**problem.get("ctx", {}))
    message = message.replace("Input should", "must")
    return f"{where}: {message[0].lower()}{message[1:]} (it is {shown})"


def _unknown_setting(where: str, sections: Mapping[str, type[BaseModel]]) -> str:
    """What to do about a setting that does not exist, by its dotted name and the schemas by their settings' prefix."""
    section, dot, name = where.rpartition(".")
    prefix = re.sub(r"\b\d+\b", "N", section).removeprefix("validation.") if "data" in section else section
    own, now = sections.get(prefix + dot), RENAMED.get(name, name)
    if own and now != name and now in own.model_fields:
        return f"is called {section}{dot}{now} now"
    # A setting of the options is nowhere else, and one that is nowhere in them belongs to another stage.
    known = {section + dot: own} if own and section == "options" else sections
    names = {n: p + n for p, model in known.items() for n in model.model_fields}
    near = difflib.get_close_matches(now, names, n=1)
    return f"no such setting; did you mean {names[near[0]]}?" if near else "no such setting; remove it"
