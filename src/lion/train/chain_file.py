"""A chain file: recipes that run in order, checked before torch is imported.

Its fields are `chain`, a list of recipes, and `questions`, how many test questions of each set the last model answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lion.errors import LionError
from lion.train.recipe import Recipe, load, read


def load_chain(recipe: str | Path, overrides: Iterable[str] = ()) -> list[Recipe[Any]]:
    """The recipes of a chain file in order (of any other recipe: itself alone), all validated before the first runs.

    An entry is a name, or `{recipe: NAME, with: {key: value}}`. An override holds for every recipe of the chain, or,
    as `NAME:key=value`, for the one called NAME.
    """
    fields = read(recipe)
    if "chain" not in fields:
        return [load(recipe, overrides)]
    if extra := sorted(set(fields) - {"chain", "questions"}):
        raise LionError(
            f"{recipe}: {extra[0]}: a chain file holds `chain` and `questions` alone; put settings under an entry's "
            "`with`"
        )
    entries: list[Any] = [{"recipe": entry} if isinstance(entry, str) else entry for entry in _listed(fields["chain"])]
    for entry in entries:
        known = isinstance(entry, dict) and isinstance(entry.get("recipe"), str) and not set(entry) - {"recipe", "with"}
        if not known or not isinstance(entry.get("with") or {}, dict):
            raise LionError(
                f"{recipe}: chain: {entry!r} is neither a recipe's name nor {{recipe: NAME, with: {{...}}}}"
            )
    own: list[str] = []
    common: list[str] = []
    for override in overrides:
        (own if ":" in override.split("=", 1)[0] else common).append(override)
    recipes = []
    for entry in entries:
        settings = [f"{key}={json.dumps(value, default=str)}" for key, value in (entry.get("with") or {}).items()]
        before = load(entry["recipe"], settings)
        mine = [o.split(":", 1)[1] for o in own if o.split(":", 1)[0] == before.name]
        recipes.append(load(entry["recipe"], [*settings, *common, *mine]))
    if unknown := [o for o in own if o.split(":", 1)[0] not in {r.name for r in recipes}]:
        raise LionError(f"{unknown[0]}: the chain's recipes are {', '.join(r.name for r in recipes)}")
    return recipes


def _listed(chain: Any) -> list[Any]:
    if not isinstance(chain, list) or not chain:
        raise LionError(f"chain: {chain!r} is no list of recipes; write chain: [mini-stage1, mini-stage2]")
    return chain


def final_questions(recipe: str | Path) -> int:
    """How many test questions of each set the last model of a chain is to answer (`questions`); 0 for none.

    Raises:
        LionError: it is no number from 0 on.
    """
    number = read(recipe).get("questions", 0)
    if not isinstance(number, int) or number < 0:
        raise LionError(f"{recipe}: questions: {number!r} is not a number of test questions")
    return number
