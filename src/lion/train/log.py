"""A run's log, which always has JSON lines, pictures of answers and TensorBoard curves; and its progress."""

import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np

from lion.atomic import atomic_write
from lion.data.sample import BadSample
from lion.metrics import Estimate
from lion.train.curves import paths, rows
from lion.train.examples import Example, sheet
from lion.train.trackers import Trackers

FOLDERS = ("tensorboard", "samples", "wandb")
"""Those of a run's folder that belong to its log."""


class Watch(Protocol):
    """Receives progress of a task such as a run: steps done, steps in all, the last row of train.jsonl."""

    def __call__(self, task: str, done: int, total: int, row: Mapping[str, Any] = {}, /) -> None: ...


class RunLog:
    """Files of one run, from `step` on: later lines of an earlier attempt are dropped.

    `active`: False in every process but the main one; then all calls do nothing. `trackers`: who gets it as well.
    """

    def __init__(self, folder: Path, step: int, active: bool = True, trackers: Trackers | None = None) -> None:
        self.folder, self.active, self._files, self._trackers = folder, active, dict[str, TextIO](), trackers
        if not active:
            return
        from torch.utils.tensorboard import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        for name in ("train", "validation", "examples", "bad_samples"):
            path = folder / f"{name}.jsonl"
            _keep_up_to(path, step or -1)  # a run that begins again scores its start again
            # A name may hold bytes that are no text; written as JSON writes them.
            self._files[name] = path.open("a", buffering=1, encoding="utf-8", errors="backslashreplace")
        self._curves = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def write(self, name: str, step: int, values: Mapping[str, Any]) -> None:
        """A row of `train` (a step's loss, rate, speed) or `validation` (scores); its numbers also become curves."""
        self._line(name, {"step": step, **values})
        numbers = paths(values, name)
        for key, number in numbers.items() if self.active else ():
            self._curves.add_scalar(key, number, step)
        if self._trackers:
            self._trackers.log(numbers, step)

    def examples(self, step: int, examples: Sequence[Example]) -> None:
        """What the model answered to some held-out samples: lines, and a picture in the folder `samples`."""
        for example in examples:
            self._line("examples", {"step": step, **example.row()})
        if examples and self.active:
            picture, file = sheet(examples), io.BytesIO()
            picture.save(file, "PNG")
            atomic_write(self.folder / "samples" / f"step-{step:07d}.png", file.getvalue())
            picture = picture.convert("RGB")
            self._curves.add_image("validation/samples", np.asarray(picture), step, dataformats="HWC")
            if self._trackers:
                self._trackers.picture("validation/samples", picture, step)

    def bad_sample(self, step: int, bad: BadSample) -> None:
        """A sample that was skipped, with the reason."""
        self._line("bad_samples", {"step": step, "id": bad.id, "reason": bad.reason})

    def flush(self) -> None:
        """Flush buffers, so that a checkpoint is never ahead of the log, even where the machine goes down."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        if self.active:
            self._curves.flush()

    def close(self) -> None:
        """Flush and close."""
        for file in self._files.values():
            file.close()
        if self.active:
            self._curves.close()
        if self._trackers:
            self._trackers.close()

    def _line(self, name: str, row: Mapping[str, Any]) -> None:
        if self.active:
            self._files[name].write(json.dumps(row, ensure_ascii=False) + "\n")


def log_values(name: str, scores: Mapping[str, Estimate]) -> dict[str, float]:
    """Scores as plain numbers for a log, each called `name/score`."""
    return {f"{name}/{key}": round(score.value, 4) for key, score in scores.items()}


def _keep_up_to(path: Path, step: int) -> None:
    """Drop the rows after `step` and a last line that is incomplete. Raises: LionError as `rows`."""
    if path.is_file():
        with path.open("rb") as file:
            lines = [*file]
        kept = [line for line, row in zip(lines, rows(path), strict=False) if row["step"] <= step]
        if len(kept) < len(lines):
            atomic_write(path, b"".join(kept))
