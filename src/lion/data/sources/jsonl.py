"""Your own pictures: one JSON object a line.

    {"image": "a.jpg", "caption": "a dog on a beach"}
    {"image": "a.jpg", "question": "what is it?", "answer": "a dog", "history": [["is it day?", "yes"]]}
    {"image": "a.jpg", "expression": "the dog", "box": [0.1, 0.2, 0.5, 0.9], "tags": ["dog", "beach"]}

`image` is a path, relative to the file's folder; `box` is x1, y1, x2, y2 in the unit square. What a line holds says
which tasks it serves: a caption, VQA, with `history` dialog, with `expression` and `box` both REC and REG; `task`
limits it to one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lion.boxes import Box, format_box
from lion.data.augment import Augment
from lion.data.sample import Sample
from lion.errors import LionError
from lion.images import open_image
from lion.prompts import INSTRUCTIONS, Task, dialog_instruction, instruction

_KEYS = frozenset({"image", "caption", "question", "answer", "history", "expression", "box", "tags", "task"})


class JsonlSource:
    """Samples from a JSONL file; see the top of this file for its lines.

    Args:
        path: the file.
        weights: mixing weight of each task; empty: each task of the file, as often as it occurs.
        decimals: decimals of boxes in text (the processor's `box_decimals`).
        augment: random flips and crops.

    Raises:
        LionError: the file is missing or empty, or a line is malformed; names the line and the fix.
    """

    def __init__(
        self, path: Path, weights: Mapping[Task, float] | None = None, decimals: int = 3, augment: Augment | None = None
    ) -> None:
        if not path.is_file():
            raise LionError(f"there is no file {path}; give the path of a JSONL file")
        self.path, self.decimals, self.augment = path, decimals, augment or Augment()
        self._rows: list[dict[str, Any]] = []
        self._by_task: dict[Task, list[int]] = {}
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if line.strip():
                self._add(line, f"{path} line {number}")
        if not self._rows:
            raise LionError(f"{path} holds no samples; write one JSON object a line")
        if missing := sorted(set(weights or {}) - set(self._by_task)):
            raise LionError(f"{path} has no line for the task {missing[0]}; it has {', '.join(sorted(self._by_task))}")
        self.tasks: Mapping[Task, float] = weights or {task: len(rows) for task, rows in self._by_task.items()}

    def prepare(self) -> None:
        """Nothing: pictures are read when they are asked for."""

    def indices(self, task: Task, max_objects: int | None = None) -> Sequence[int]:
        """Lines that serve the task; nobody counted the things in them, so `max_objects` changes nothing."""
        return self._by_task[task]

    def name(self, index: int, task: Task) -> str:
        """File name, line among the samples, task."""
        return f"{self.path.name}:{index + 1}:{task}"

    def sample(self, index: int, task: Task, rng: np.random.Generator) -> Sample:
        """The line's picture with one of the task's wordings. Raises: LionError if the picture cannot be read."""
        row = self._rows[index]
        image = open_image(self.path.parent / row["image"])
        image, box = self.augment(image, _box(row), _words(row), rng)
        text, answer = self._say(row, task, box, int(rng.random() * len(INSTRUCTIONS[task])))
        meta = {"box": box} if box else {}
        return Sample(self.name(index, task), image, task, text, answer, row.get("tags"), meta)

    def _say(self, row: Mapping[str, Any], task: Task, box: Box | None, template: int) -> tuple[str, str]:
        match task:
            case Task.CAPTION:
                return instruction(task, template=template), row["caption"]
            case Task.VQA:
                return instruction(task, question=row["question"], template=template), row["answer"]
            case Task.DIALOG:
                history = [(asked, answered) for asked, answered in row["history"]]
                return dialog_instruction(history, row["question"], template=template), row["answer"]
            case Task.REC:
                assert box is not None
                text = instruction(task, expression=row["expression"], template=template)
                return text, format_box(box, self.decimals)
            case Task.REG:
                return instruction(task, box=box, template=template, decimals=self.decimals), row["expression"]

    def _add(self, line: str, where: str) -> None:
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise LionError(f"{where} is not JSON: {error.msg}") from error
        if not isinstance(row, dict) or not isinstance(row.get("image"), str):
            raise LionError(f'{where}: needs a picture, as in {{"image": "a.jpg", "caption": "..."}}')
        if unknown := sorted(set(row) - _KEYS):
            raise LionError(f"{where}: unknown key {unknown[0]}; known are {', '.join(sorted(_KEYS))}")
        try:
            _box(row)
        except (LionError, TypeError) as error:
            raise LionError(f"{where}: box: {error} (a box is x1,y1,x2,y2 in the unit square)") from error
        tasks = _tasks(row)
        if "task" in row and row["task"] not in tasks:
            raise LionError(f"{where}: task {row['task']!r} does not fit; the line serves {', '.join(tasks) or 'none'}")
        if not tasks:
            raise LionError(f"{where}: needs caption, or question and answer, or expression and box")
        for task in [Task(row["task"])] if "task" in row else tasks:
            self._by_task.setdefault(task, []).append(len(self._rows))
        self._rows.append(row)


def _tasks(row: Mapping[str, Any]) -> list[Task]:
    """The tasks a line has everything for."""
    tasks = []
    if row.get("caption"):
        tasks.append(Task.CAPTION)
    if row.get("question") and row.get("answer"):
        tasks.append(Task.DIALOG if row.get("history") else Task.VQA)
    if row.get("expression") and row.get("box"):
        tasks += [Task.REC, Task.REG]
    return tasks


def _box(row: Mapping[str, Any]) -> Box | None:
    box = Box(*row["box"]) if row.get("box") else None
    if box and box != box.clamp():
        raise LionError(f"{row['box']} reaches outside the picture; divide pixels by its width and height")
    return box


def _words(row: Mapping[str, Any]) -> str:
    rounds = [word for pair in row.get("history", []) for word in pair]
    return " ".join([*(str(row.get(key, "")) for key in ("caption", "question", "answer", "expression")), *rounds])
