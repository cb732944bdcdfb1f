"""The recipes of a study's arms and seeds, each run in a folder named after what it is.

A folder's name holds a hash of the recipe, and of those of the runs that its weights come from. So arms that begin
alike share their first runs, and so do studies that write to the same place; a changed setting makes another folder,
and nothing is ever trained twice or taken for something else.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lion.checkpoints.record import read_record
from lion.errors import LionError
from lion.studies.schema import Study
from lion.train.recipe.reading import override, parse, read, set_value
from lion.train.recipe.schema import Recipe

_NOT_HASHED = {"name", "root", "out", "init", "checkpoint", "workers"}
RUNS = "runs"


class Trained(NamedTuple):
    """An arm with one seed."""

    arm: str
    seed: int


Chains = Mapping[Trained, Sequence[Recipe]]
"""The runs of each arm and seed, in order."""


def make_chains(study: Study, out: Path, overrides: Iterable[str] = (), only: Iterable[str] = ()) -> dict[Trained, Any]:
    """The placed recipes of every arm and seed; `only` these arms, if there are any.

    Args:
        out: the folder of studies; runs go to `out/runs`.
        overrides: as of `lion train`, after the arms' own; `RUN:KEY=VALUE` holds for the runs of that name.

    Raises: LionError for an unknown arm or run, or a recipe that is wrong.
    """
    chosen = list(only) or list(study.arms)
    if unknown := [arm for arm in chosen if arm not in study.arms]:
        raise LionError(f"{study.name} has no arm {unknown[0]}; its arms are {', '.join(study.arms)}")
    texts = [_addressed(text) for text in overrides]
    if unknown := [run for run, _ in texts if run and run not in study.runs]:
        raise LionError(f"{study.name} has no run {unknown[0]}; its runs are {', '.join(study.runs)}")
    return {
        Trained(arm, seed): _place(_recipes(study, arm, seed, texts), out / RUNS)
        for arm in chosen
        for seed in study.seeds_of(arm)
    }


def _addressed(text: str) -> tuple[str, str]:
    """`RUN:KEY=VALUE` as run and override; the run is empty where none is named."""
    run, colon, rest = text.partition(":")
    return (run, rest) if colon and "=" not in run else ("", text)


def _recipes(study: Study, arm: str, seed: int, overrides: Sequence[tuple[str, str]]) -> list[Recipe]:
    """The arm's recipes as its file has them: `init` names runs."""
    recipes = []
    for name in study.arms[arm].chain:
        fields = {**read(study.runs[name].recipe), "seed": seed}
        for settings in (study.settings, study.runs[name].settings, study.arms[arm].settings):
            for key, value in settings.items():
                run, colon, rest = key.partition(":")
                if not colon or run == name:
                    set_value(fields, rest or key, value)
        for run, text in overrides:
            if run in ("", name):
                override(fields, text)
        recipes.append(parse({**fields, "name": name, "out": name, "root": "."}, f"{arm}: {name}"))
    return recipes


def _place(recipes: Sequence[Recipe], folder: Path) -> list[Recipe]:
    """The same recipes with folders of their own under `folder`, and `init` pointing to those of the runs before."""
    hashes: dict[str, str] = {}
    outs: dict[str, Path] = {}
    placed = []
    for recipe in recipes:
        facts = recipe.model_dump(mode="json", exclude=_NOT_HASHED, exclude_defaults=True)
        facts["init"] = {part: hashes.get(str(path), str(path)) for part, path in recipe.init.items()}
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]
        hashes[recipe.name] = digest
        init = {part: outs.get(str(path), path) for part, path in recipe.init.items()}
        outs[recipe.name] = Path(f"{recipe.name}-s{recipe.seed}-{digest}")
        placed.append(recipe.model_copy(update={"root": folder, "out": outs[recipe.name], "init": init}))
    return placed


def distinct(chains: Chains) -> list[Recipe]:
    """Every run once, those that others need first; seed by seed, so that early results cover all arms."""
    found: dict[Path, Recipe] = {}
    for trained in sorted(chains, key=lambda one: one.seed):
        for recipe in chains[trained]:
            found.setdefault(recipe.folder, recipe)
    return list(found.values())


def is_finished(recipe: Recipe) -> bool:
    """Whether the run's folder holds a finished run."""
    return read_record(recipe.folder) is not None


def seconds_per_step(recipe: Recipe) -> float | None:
    """Of the runs of this name, length and architecture that have finished beside it; None where there is none."""
    found = []
    for folder in sorted(recipe.root.glob(f"{recipe.name}-s*")):
        record = read_record(folder)
        if record and record["steps"] == recipe.steps:
            found.append(record["seconds"] / record["steps"])
    return sum(found) / len(found) if found else None
