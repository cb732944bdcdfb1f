"""A chain file: recipes that run in order, checked before torch is imported (docs/recipes.md).

Its fields are `chain`, a list of recipes, and `questions`, how many test questions of each set the last model answers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lion.errors import LionError
from lion.train.recipe.load import load, override, parse, read, set_value
from lion.train.recipe.schema import Recipe


@dataclass(frozen=True)
class Chain:
    """Validated recipes in order, and what follows them."""

    recipes: tuple[Recipe, ...]
    questions: int = 0
    """Test questions of each set that the last model answers; 0: none."""


def load_chain(recipe: str | Path, overrides: Iterable[str] = ()) -> Chain:
    """The recipes of a chain file (of any other recipe: itself alone), all validated before the first runs.

    An entry is a name, or `{recipe: NAME, with: {key: value}}`. An override holds for every recipe of the chain, or,
    as `NAME:key=value`, for the one called NAME.

    Raises:
        LionError: the file is no chain of this form, or as :func:`lion.train.recipe.load`.
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
    for text in sorted(overrides, key=_is_for_one):  # those for all first
        name, _, rest = text.partition(":") if _is_for_one(text) else (None, "", text)
        if name is not None and name not in dict(named):
            raise LionError(f"{text}: the chain's recipes are {', '.join(dict(named))}")
        for its_name, settings in named:
            if name in (None, its_name):
                override(settings, rest)
    return Chain(tuple(parse(settings, name) for name, settings in named), questions)


def _is_for_one(override: str) -> bool:
    """Whether an override is of the form `NAME:key=value`."""
    return ":" in override.split("=", 1)[0]


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
