"""Doing what a study still lacks: its runs, then its tests; and what that would take."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from lion.errors import LionError
from lion.studies.asking import ask_all
from lion.studies.results import Results
from lion.studies.runs import distinct, is_finished, seconds_per_step
from lion.train.dry_run import dry_run, time_step
from lion.train.log import Watch
from lion.train.recipe.schema import Recipe
from lion.train.run import Done, train_in_turn
from lion.train.side_by_side import train_side_by_side


@dataclass(frozen=True)
class PlannedRun:
    """Runs of one name and length: how many there are, how many are missing, and seconds of a step."""

    name: str
    arms: tuple[str, ...]
    steps: int
    count: int
    missing: int
    seconds_per_step: float | None
    """Of finished runs of the kind, or measured here; None where neither is there."""
    trained: int
    """Parameters that train, 0 where they were not counted."""

    @property
    def hours(self) -> float | None:
        """Of what is missing, one thread's or one GPU's."""
        return None if self.seconds_per_step is None else self.missing * self.steps * self.seconds_per_step / 3600


def plan(results: Results, *, time: bool) -> list[PlannedRun]:
    """The runs of a study by kind; `time`: measure a step of each kind that has not been run, which loads a model.

    Raises: LionError as a dry run of the recipes.
    """
    kinds: dict[Any, list[Recipe]] = {}
    arms: dict[Any, dict[str, None]] = {}
    for recipe in distinct(results.chains):
        kinds.setdefault(_kind(recipe), []).append(recipe)
    for trained, chain in results.chains.items():
        for recipe in chain:
            arms.setdefault(_kind(recipe), {})[trained.arm] = None
    planned = []
    for kind, recipes in kinds.items():
        missing = [recipe for recipe in recipes if not is_finished(recipe)]
        seconds, count = seconds_per_step(recipes[0]), 0
        if time and missing:
            before = next(chain for chain in results.chains.values() if missing[0] in chain)
            estimate, objective = dry_run(missing[0], before)
            count = sum(estimate.trained.values())
            seconds = seconds or time_step(missing[0], objective)
        planned.append(
            PlannedRun(recipes[0].name, tuple(arms[kind]), recipes[0].steps, len(recipes), len(missing), seconds, count)
        )
    return planned


def _kind(recipe: Recipe) -> str:
    """Everything of a recipe but its seed and places."""
    return recipe.model_dump_json(exclude={"seed", "root", "out", "init"}) + ",".join(sorted(recipe.init))


def train_missing(
    results: Results, jobs: int, prepare: Callable[[], None], watch: Watch | None, done: Callable[[Done], None]
) -> None:
    """Train the runs that have not finished, `jobs` at a time, one thread each; a single job has all threads.

    Raises: LionError as `lion train`; Stopped after Ctrl-C or SIGTERM, with a checkpoint saved.
    """
    missing = results.missing_runs
    if not missing:
        return
    if jobs == 1:
        runs = train_in_turn(missing, watch=watch)
    else:
        torch.set_num_threads(1)
        runs = train_side_by_side(missing, jobs, prepare=prepare, watch=watch)
    for one in runs:
        done(one)


def answer_missing(
    results: Results, jobs: int, prepare: Callable[[], None], watch: Callable[[str, int, int], None]
) -> None:
    """Answer the tests that are not complete. Raises: as :func:`lion.studies.asking.ask_all`; LionError for a model
    that is not trained."""
    tasks = results.tasks(missing=True)
    if unfinished := [task for task in tasks if not (task.model / "finished.json").is_file()]:
        raise LionError(f"{unfinished[0].model} is not trained; run the study without --only, or train it first")
    ask_all(tasks, jobs, prepare, watch)


def hours_of_answers(results: Results) -> float | None:
    """Hours of one job for the missing tests, by the speed of those that are there; None where none is."""
    seconds = results.seconds_of_answers()
    if not seconds:
        return None
    count = sum(task.how.questions * len(task.how.sets) for task in results.tasks(missing=True))
    return count * sum(seconds) / len(seconds) / 3600


def summary(results: Results) -> Mapping[str, int]:
    """Numbers of runs and tests, and of those missing."""
    return {
        "runs": len(distinct(results.chains)),
        "missing runs": len(results.missing_runs),
        "tests": len(results.tasks()),
        "missing tests": len(results.tasks(missing=True)),
    }
