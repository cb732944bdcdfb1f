"""The curves of runs, read back from their folders, and chosen for a figure (curves_plot.py).

Logs of earlier versions have fewer curves, and a run in progress has those it has written so far.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lion.errors import LionError

_MAIN_SCORES: Mapping[str, tuple[str, ...]] = {
    "caption": ("cider", "recall"),
    "reg": ("cider", "both"),
    "rec": ("accuracy@0.5",),
    "vqa": ("accuracy",),
    "dialog": ("accuracy",),
    "pope-adversarial": ("accuracy",),
}
"""The score that stands for a set of questions: the first of these that it has."""
_OTHER_SCORES = 6
"""Most scores of a set that is not in that table, such as those of pretraining."""
_SPEED = {
    "train/samples_per_second": ("samples a second", 1.0),
    "train/tokens_per_second": ("tokens a second", 1.0),
    "train/mfu": ("MFU, %", 100.0),
    "train/input_wait": ("waiting for batches, %", 100.0),
    "train/peak_memory_gb": ("peak memory, GB", 1.0),
    "train/lr": ("learning rate", 1.0),
}
"""Titles and factors."""

Points = tuple[list[int], list[float]]
"""Steps and values."""


@dataclass(frozen=True, slots=True)
class RunCurves:
    """A run's curves, by names such as `train/per_task/vqa` and `validation/rec/accuracy@0.5`."""

    name: str
    points: Mapping[str, Points]


@dataclass(frozen=True, slots=True)
class Panel:
    """A curve of each run that has it."""

    title: str
    lines: Sequence[tuple[RunCurves, Points]]


def paths(values: Mapping[str, Any], under: str) -> dict[str, float]:
    """The numbers of a row, however deep, each called by its path, as `train/per_task/vqa`."""
    found = dict[str, float]()
    for key, value in values.items():
        name = f"{under}/{key}"
        if isinstance(value, Mapping):
            found |= paths(value, name)
        elif not isinstance(value, str):
            found[name] = value
    return found


def read_runs(folders: Sequence[Path]) -> list[RunCurves]:
    """The runs in the folders; one that holds runs, such as a chain's, stands for them in the order of their end.

    Raises: LionError if a folder holds none, or a log that cannot be read.
    """
    found = [run for folder in folders for run in _runs_in(folder)]
    parts = 1
    while len({run.parts[-parts:] for run in found}) < len(set(found)) and parts < 9:
        parts += 1
    return [RunCurves("/".join(run.parts[-parts:]), _read(run)) for run in dict.fromkeys(found)]


def _runs_in(folder: Path) -> list[Path]:
    folder = folder.resolve()
    if (folder / "train.jsonl").is_file():
        return [folder]
    logs = sorted(folder.glob("*/train.jsonl"), key=lambda log: (log.stat().st_mtime, log))
    if not logs:
        raise LionError(f"{folder} holds no run; name the folder of one (it has train.jsonl), or of a chain's runs")
    return [log.parent for log in logs]


def _read(folder: Path) -> dict[str, Points]:
    points: dict[str, Points] = {}
    for name in ("train", "validation"):
        for row in rows(folder / f"{name}.jsonl"):
            step = row.pop("step")
            for curve, value in paths(row, name).items():
                steps, values = points.setdefault(curve, ([], []))
                steps.append(step)
                values.append(value)
    return points


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a log, none if there is no file. Raises: LionError that names a line which is no row."""
    if not path.is_file():
        return
    with path.open("rb") as file:  # a damaged one may be no text
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return  # it is being written
            try:
                row = json.loads(line)
                row["step"] += 0
            except (ValueError, TypeError, KeyError) as error:
                raise LionError(
                    f"{path}, line {number}, is not a row of a run's log; delete it if it is damaged"
                ) from error
            yield row


def losses(runs: Sequence[RunCurves]) -> list[Panel]:
    """The loss, and its parts by task or term."""
    return _panels(runs, {"train/loss": ("loss", 1.0)}) + _panels(
        runs, dict(sorted(_under(runs, "train/per_task/").items()))
    )


def scores(runs: Sequence[RunCurves]) -> list[Panel]:
    """The main score of each set of questions, times 100."""
    sets: dict[str, list[str]] = {}
    for name in _under(runs, "validation/"):
        questions, _, score = name.removeprefix("validation/").rpartition("/")
        if not questions.endswith("accuracy") and not score.endswith(("seconds", "bad_samples")):
            sets.setdefault(questions, []).append(score)
    chosen = {}
    for questions, found in sets.items():
        main = _MAIN_SCORES.get(questions.removeprefix("held_out/"))
        for score in [each for each in main if each in found][:1] if main else found[:_OTHER_SCORES]:
            title = f"{questions} {score}".strip()
            distance = score.endswith("_distance")
            chosen["/".join(filter(None, ("validation", questions, score)))] = (title, 1.0 if distance else 100.0)
    return _panels(runs, chosen)


def norms(runs: Sequence[RunCurves]) -> list[Panel]:
    """Gradient norms, of all parameters and by component."""
    return _panels(runs, {"train/grad_norm": ("all", 1.0)}) + _panels(runs, _under(runs, "train/grad_norms/"))


def speeds(runs: Sequence[RunCurves]) -> list[Panel]:
    """How fast, how busy and how large a run was."""
    return _panels(runs, _SPEED)


def gates(run: RunCurves) -> dict[str, dict[str, Points]]:
    """The router's gates by block, each by `level/adapter`; empty for a run that trained none."""
    found: dict[str, dict[str, Points]] = {}
    for name in _under([run], "train/gates/"):
        block, pair = name.removeprefix("train/gates/").split("/", 1)
        found.setdefault(block, {})[pair] = run.points[name]
    return found


def _under(runs: Sequence[RunCurves], prefix: str) -> dict[str, tuple[str, float]]:
    """The curves of that prefix, in the order of the runs' logs, with the rest of their names as titles."""
    names = dict.fromkeys(name for run in runs for name in run.points if name.startswith(prefix))
    return {name: (name.removeprefix(prefix), 1.0) for name in names}


def _panels(runs: Sequence[RunCurves], chosen: Mapping[str, tuple[str, float]]) -> list[Panel]:
    panels = []
    for name, (title, factor) in chosen.items():
        lines = [
            (run, (steps, [factor * value for value in values]))
            for run in runs
            if name in run.points
            for steps, values in [run.points[name]]
        ]
        if lines:
            panels.append(Panel(title, lines))
    return panels
