"""A chain of recipes: one after another, or several at once where none needs what another makes.

Models of lion-mini's size leave most of a second core idle: two of them side by side take little longer than one
alone. Each then trains in a process of its own, which saves and ends when this one stops or is gone.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from typing import Any

import torch
from rich.progress import TaskID

from lion.errors import LionError
from lion.train.loop import RESUMES, Stopped
from lion.train.progress import ProgressBars, polite_stop
from lion.train.recipe import Recipe
from lion.train.run import check_init, finished, make_objective, train

_BETWEEN = 0.5
"""Seconds between messages about steps."""

Done = tuple[Recipe[Any], Mapping[str, Any], bool]
"""A recipe, the record of its run, and whether it was finished before."""


def train_chain(
    chain: Sequence[Recipe[Any]],
    *,
    restart: bool = False,
    at_once: int = 1,
    prepare: Callable[[], None] = lambda: None,
) -> Iterator[Done]:
    """Train what is not finished, and hand out each recipe as it is done.

    Args:
        chain: recipes, each after those it needs.
        restart: throw away what is there.
        at_once: how many may train at a time.
        prepare: called first in every new process; has to be importable.

    Raises:
        LionError: as `lion.train.run.train` does, and other runs save and end; several at once in each of several
            processes.
        Stopped: after Ctrl-C or SIGTERM, with checkpoints saved.
    """
    if at_once > 1:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise LionError("--at-once starts processes of its own; leave it out under accelerate launch")
        yield from _side_by_side(chain, restart, at_once, prepare)
        return
    for recipe in chain:
        before = None if restart else finished(recipe)
        yield recipe, before or train(recipe, restart=restart), before is not None


def _side_by_side(
    chain: Sequence[Recipe[Any]], restart: bool, at_once: int, prepare: Callable[[], None]
) -> Iterator[Done]:
    waiting, running = list(chain), dict[Connection, _Apart]()
    with ProgressBars() as bars, polite_stop() as stop:
        try:
            while waiting or running:
                ready = _ready(waiting, running.values())
                if not restart and (done := [(each, before) for each in ready if (before := finished(each))]):
                    for recipe, before in done:
                        waiting.remove(recipe)
                        yield recipe, before, True
                    continue  # more may be ready now
                starting = ready[: at_once - len(running)]
                # Whoever has nobody beside it has all threads: until it ends nothing else can start.
                threads = max(torch.get_num_threads() // max(len(running) + len(starting), 1), 1)
                for recipe in starting:
                    check_init(recipe)
                    with bars.paused():  # one process draws pictures, and shows a bar of its own
                        make_objective(recipe).prepare()
                    if stop.wanted:
                        break
                    waiting.remove(recipe)
                    apart = _Apart(recipe, restart, threads, prepare, bars)
                    running[apart.pipe] = apart
                if stop.wanted:
                    raise Stopped(f"stopped; {RESUMES}")
                for pipe in connection.wait([*running], timeout=1.0):
                    apart = running[pipe]  # type: ignore[index]  # wait hands back what it was given
                    if (record := apart.listen()) is not None:
                        del running[apart.pipe]
                        yield apart.recipe, record, False
        finally:
            for apart in running.values():
                apart.process.terminate()
            for apart in running.values():
                apart.join()


def _ready(waiting: Sequence[Recipe[Any]], running: Iterable[_Apart]) -> list[Recipe[Any]]:
    """Recipes that need nothing of what those before them are still to make."""
    missing = {apart.recipe.folder for apart in running}
    ready = []
    for recipe in waiting:
        # Not `init_folder`, which takes the bundled model for a `lion-mini` that is still to be made.
        if not missing & {recipe.root / folder for folder in recipe.init.values()}:
            ready.append(recipe)
        missing.add(recipe.folder)
    return ready


class _Apart:
    """A recipe's run in a process of its own, and its progress bar.

    Messages are lines of JSON: `{"step", "row"}` twice a second, then one of `{"done"}`, `{"stopped"}`, `{"error"}` (a
    mistake or a bad place), `{"bug", "traceback"}`.
    """

    def __init__(
        self, recipe: Recipe[Any], restart: bool, threads: int, prepare: Callable[[], None], bars: ProgressBars
    ) -> None:
        self.recipe, self.bars = recipe, bars
        self.bar: TaskID = bars.add(recipe.name, recipe.steps)
        self.pipe, theirs = get_context("spawn").Pipe(duplex=False)
        arguments = (recipe, restart, threads, prepare, theirs)
        self.process = get_context("spawn").Process(target=_run, args=arguments)
        self.process.start()
        theirs.close()

    def join(self) -> None:
        """Wait until the process has ended, reading what it still says: one with a full pipe never would."""
        with suppress(EOFError, OSError):
            while True:
                self.pipe.recv_bytes()
        self.process.join()

    def listen(self) -> Mapping[str, Any] | None:
        """Take in a message; the record once the run is done. Raises: LionError if it failed; Stopped."""
        try:
            told = json.loads(self.pipe.recv_bytes())
        except EOFError:
            self.process.join()
            code = self.process.exitcode
            raise LionError(f"{self.recipe.name}: its process ended with code {code}; {RESUMES}") from None
        if "error" in told:
            raise LionError(told["error"])
        if "bug" in told:
            bug = RuntimeError(f"{self.recipe.name}: {told['bug']}")
            bug.add_note(told["traceback"])
            raise bug
        if "stopped" in told:
            raise Stopped(told["stopped"])
        if "step" in told:
            self.bars.update(self.bar, told["step"], told["row"])
            return None
        self.process.join()
        self.bars.remove(self.bar)
        done: Mapping[str, Any] = told["done"]
        return done


def _run(recipe: Recipe[Any], restart: bool, threads: int, prepare: Callable[[], None], pipe: Connection) -> None:
    """What the new process does."""
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # Ctrl-C is for the first process, which passes it on
    threading.Thread(target=_end_with_parent, daemon=True).start()
    prepare()
    torch.set_num_threads(threads)

    def tell(**message: Any) -> None:
        with suppress(BrokenPipeError):  # nobody is there any more: the run still has to save
            pipe.send_bytes(json.dumps(message).encode())

    told = 0.0

    def watch(step: int, row: Mapping[str, Any]) -> None:
        """Few messages: while the parent draws pictures it reads none, and a pipe holds some hundreds."""
        nonlocal told
        if time.monotonic() - told >= _BETWEEN or step == recipe.steps:
            told = time.monotonic()
            tell(step=step, row={name: row[name] for name in ("loss", "samples_per_second")})

    try:
        tell(done=train(recipe, restart=restart, watch=watch))
    except LionError as error:
        tell(error=str(error))
    except Stopped as stopped:
        tell(stopped=str(stopped))
    except OSError as error:
        tell(error=f"{error.filename or recipe.folder}: {error.strerror or error}; {RESUMES}")
    except Exception as error:
        tell(bug=f"{type(error).__name__}: {error}", traceback=traceback.format_exc())


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
