"""What the command prints: answers on stdout, everything else, one line at a time, on stderr."""

from __future__ import annotations

import json
import math
import os
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain, count
from pathlib import Path
from threading import Lock, Timer
from typing import TYPE_CHECKING, Any, TextIO
from unicodedata import category

from lion.atomic import check_writable, no_space_left
from lion.errors import LionError, LionWarning

if TYPE_CHECKING:
    from rich.progress import TaskID

    from lion.pipeline import Answer, Look

PROGRESS_AFTER = 2.0
"""Seconds of work after which a progress bar is shown."""

LINE_EVERY = 30.0
"""Seconds between lines of progress where stderr is no terminal."""

SLOT = "{name}"
"""Stands for a picture's own name in --save."""


def say(kind: str, message: str) -> None:
    """One line on stderr, whatever the message holds: ``lion: note: ...`` or ``lion: error: ...``.

    Where nobody reads it any more, as behind ``2>&1 | head``, the work goes on.
    """
    try:
        print(
            f"lion: {kind}:", in_a_line(" ".join(filter(None, map(str.strip, message.splitlines())))), file=sys.stderr
        )
    except BrokenPipeError:
        leave(sys.stderr)


def in_a_line(name: str) -> str:
    """A name with its control characters escaped: a file's may hold the end of a line, or a terminal's commands."""
    return "".join(repr(letter)[1:-1] if category(letter) in ("Cc", "Zl", "Zp") else letter for letter in name)


def quiet_libraries(debug: bool) -> None:
    """Silence warnings, load reports and progress bars of other libraries; our own warnings are notes."""
    if debug:
        return
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    warnings.simplefilter("ignore")
    warnings.simplefilter("always", LionWarning)
    warnings.showwarning = lambda message, *_: say("note", str(message))
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def leave(stream: TextIO) -> None:
    """Go on where whoever read the stream has left: what is printed from now on goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # or Python complains again at exit


def print_answer(
    answer: Answer, as_json: bool, name: str = "", *, written: bool = False, more: Mapping[str, object] = {}
) -> None:
    """An answer on stdout: a JSON object in a line, or the text, its boxes and the tags it used.

    ``name`` stands before the text, to tell answers of one call apart; ``written`` is whether the text stands
    there already; ``more`` are further keys of the object.
    """
    if as_json:
        print(json.dumps({**answer.to_json(), **more}), flush=True)
        return
    print("" if written else f"{in_a_line(name)}{answer.text}")
    for box in answer.boxes:
        pixels = ", ".join(f"{value:.0f}" for value in box.pixel.xyxy())
        unit = ", ".join(f"{value:.3f}" for value in box.unit.xyxy())
        print(f"  box: [{unit}] of the picture, pixels [{pixels}]")
    if answer.tags and answer.task != "tag":
        print(f"  tags: {', '.join(answer.tags)}")
    sys.stdout.flush()


def plan_saves(save: str | None, pictures: Sequence[str]) -> list[Path | None]:
    """The file for each picture: a file's name for one, a folder or a pattern with ``{name}`` for several.

    Pictures of the same name are numbered. Raises: LionError if one file is to hold several pictures, its format is
    unknown, or a file would be overwritten.
    """
    from lion.images import SAVED, path_of

    if save is None:
        return [None] * len(pictures)
    path = Path(os.path.expanduser(save))
    if SLOT in save:
        pattern = str(path)
    elif path.is_dir() or save.endswith(os.sep) or not path.suffix:
        pattern = str(path / f"{SLOT}.png")
    elif len(pictures) == 1:
        pattern = str(path)
    else:
        raise LionError(f"--save {save} is one file for {len(pictures)} pictures; give a folder or 'out/{SLOT}.png'")
    if Path(pattern).suffix.lower() not in SAVED:
        raise LionError(f"--save {save}: the name must end in {', '.join(SAVED)}")
    targets: dict[Path, None] = {}
    for picture in pictures:
        stem = Path(picture).stem if path_of(picture) and picture != "-" else "picture"  # content has no name
        names = chain([stem], (f"{stem}-{number}" for number in count(2)))
        target = next(path for name in names if (path := Path(pattern.replace(SLOT, name))) not in targets)
        check_new("--save", target)
        targets[target] = None
    return list(targets)


def check_new(option: str, path: str | Path) -> None:
    """Raise LionError if an output would overwrite what is there, or could not be written."""
    if os.path.lexists(path):
        raise LionError(f"{option}: {path} exists; delete it or name another place")
    check_place(option, path)


def check_place(option: str, path: str | Path) -> None:
    """Raise LionError, before the work, if an output could not be written."""
    try:
        check_writable(path)
    except OSError as error:
        raise LionError(
            f"{option}: cannot write {path}: {error.filename}: {error.strerror}; name another place"
        ) from error


def save_answers(picture: Look, answers: Sequence[Answer], target: Path) -> int:
    """Save the picture with its answers drawn on it; one that cannot be written is a line. Returns the exit code."""
    from lion.pipeline import annotate, save_picture

    boxes = [box for answer in answers for box in answer.boxes]
    several = len(answers) > 1
    words = [f"{answer.question}: {answer.text}" if several else answer.text for answer in answers if not answer.boxes]
    try:
        save_picture(annotate(picture.image, boxes, "\n".join(words)), target)
    except LionError as error:
        say("error", str(error))
        return 1 if error.__cause__ is not None and no_space_left(error.__cause__) else 2
    return 0


class Meter:
    """Progress bars on a terminal's stderr that appear once the work has lasted; elsewhere a line now and then. Both
    say how much time is left.

    Args:
        what: the task; None where `watch` names tasks as they begin.
        total: how much there is to do; None if unknown.

    Of processes that torchrun or accelerate has started the first one alone shows any.
    """

    def __init__(self, what: str | None = None, total: int | None = None) -> None:
        from rich import progress
        from rich.console import Console

        columns = [progress.TextColumn("{task.description}"), progress.BarColumn()]
        if what is None or total is not None:
            columns += [progress.MofNCompleteColumn(), progress.TimeRemainingColumn()]
        console = Console(stderr=True)
        self._bar = progress.Progress(
            *columns,
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            speed_estimate_period=60,
            get_time=time.monotonic,
        )
        self._tasks: dict[str, TaskID] = {}
        if what is not None:
            self._task = self._bar.add_task(what, total=total)
        self._lock = Lock()
        self._shown = False
        first = os.environ.get("RANK", "0") == "0"
        self._timer = Timer(PROGRESS_AFTER, self._show) if first and console.is_terminal else None
        self._next_line = math.inf if self._timer or not first else time.monotonic() + LINE_EVERY

    def advance(self, count: int = 1) -> None:
        """Note ``count`` more done."""
        self._bar.advance(self._task, count)
        self._say_now_and_then(self._task)

    def watch(self, task: str, done: int, total: int, row: Mapping[str, Any] = {}, /) -> None:
        """Show how much of a task is done, its loss and its speed where the row has them; a finished task's bar goes.

        A `lion.train.log.Watch`.
        """
        if task not in self._tasks:
            self._tasks[task] = self._bar.add_task(task, total=total, completed=done)
        shown = f"{task}  loss {row['loss']:.3f}" if "loss" in row else task
        if (speed := row.get("samples_per_second")) is not None:
            shown += f"  {f'{speed:.0f}' if speed >= 10 else f'{speed:.2g}'} {row.get('unit', 'samples')}/s"
        self._bar.update(self._tasks[task], completed=done, description=shown)
        self._say_now_and_then(self._tasks[task])
        if done >= total:
            self._bar.remove_task(self._tasks.pop(task))

    def _say_now_and_then(self, number: TaskID) -> None:
        """A line about a task, its time left included, where there is no bar to show it."""
        if time.monotonic() < self._next_line:
            return
        self._next_line = time.monotonic() + LINE_EVERY
        task = next(task for task in self._bar.tasks if task.id == number)
        of = f" of {task.total:.0f}" if task.total is not None else ""
        left = f", {timedelta(seconds=round(seconds))} left" if (seconds := task.time_remaining) else ""
        say("note", f"{task.description}, {task.completed:.0f}{of}{left}")

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Step aside while lines are printed on the same terminal."""
        with self._lock:
            if self._shown:
                self._bar.stop()
            yield
            if self._shown:
                self._bar.start()

    def _show(self) -> None:
        with self._lock:
            self._bar.start()
            self._shown = True

    def __enter__(self) -> Meter:
        if self._timer:
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer.join()
        if self._shown:
            self._bar.stop()
