"""Training several recipes of a chain at a time where none needs another's output.

Models of lion-mini's size leave most of a second core idle: two side by side take little longer than one alone. Each
then trains in a process of its own, which saves a checkpoint and ends when this process stops or dies.
"""

import errno
import json
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from typing import Any

import torch

from lion.atomic import no_space_left
from lion.distributed import Processes
from lion.errors import LionError
from lion.train.log import Watch
from lion.train.recipe.schema import Recipe
from lion.train.run import Done, check_init, finished, make_objective, train
from lion.train.stopping import RESUMES, Stopped, stop_request

_REPORT_EVERY = 0.5
"""Seconds between two reports of a run's step."""


def train_side_by_side(
    chain: Sequence[Recipe],
    at_once: int,
    *,
    restart: bool = False,
    prepare: Callable[[], None] = lambda: None,
    watch: Watch | None = None,
) -> Iterator[Done]:
    """As `lion.train.run.train_in_turn`, each recipe in a process of its own as soon as what it needs has finished.

    Args:
        at_once: how many may train at a time.
        prepare: called first in every new process; has to be importable.

    Raises:
        LionError: as `lion.train.run.train`, after the other runs have saved and ended; under a launcher of several
            processes.
        Stopped: after Ctrl-C or SIGTERM, with checkpoints saved.
    """
    if Processes.launched(join=False).count > 1:
        raise LionError("--at-once starts processes of its own; leave it out under accelerate launch")
    waiting, running = list(chain), list[_RunProcess]()
    names = [recipe.name for recipe in chain]  # which the arms and seeds of a study share
    shown_as = {one.folder: one.name if names.count(one.name) == 1 else one.folder.name for one in chain}
    with stop_request() as stop:
        try:
            while waiting or running:
                ready = _ready(waiting, [run.recipe for run in running])
                skipped = [] if restart else [(each, record) for each in ready if (record := finished(each))]
                for recipe, record in skipped:
                    waiting.remove(recipe)
                    yield recipe, record, True
                if skipped:
                    continue  # others may have become ready
                starting = ready[: at_once - len(running)]
                # A run that trains alone has all threads: until it ends nothing else can start.
                threads = max(torch.get_num_threads() // max(len(running) + len(starting), 1), 1)
                for recipe in starting:
                    check_init(recipe)
                    make_objective(recipe).prepare(watch)  # here, since two processes must not draw the same pictures
                    if stop.is_set():
                        break
                    waiting.remove(recipe)
                    running.append(_RunProcess(recipe, restart, threads, prepare, watch, shown_as[recipe.folder]))
                if stop.is_set():
                    raise Stopped(f"stopped; {RESUMES}", stop.interrupted)
                sent = connection.wait([run.pipe for run in running], timeout=1.0)
                for run in [run for run in running if run.pipe in sent]:
                    if done := run.receive():
                        running.remove(run)
                        yield run.recipe, done, False
        finally:
            for run in running:
                run.process.terminate()
            for run in running:
                run.join()


def _ready(waiting: Sequence[Recipe], running: Sequence[Recipe]) -> list[Recipe]:
    """Recipes that need no output of a run before them in the chain that has not finished."""
    missing = {recipe.folder for recipe in running}
    ready = []
    for recipe in waiting:
        # Not `init_folders`, which takes the bundled model for a `lion-mini` that is still to be trained.
        if not missing & {recipe.root / folder for folder in recipe.init.values()}:
            ready.append(recipe)
        missing.add(recipe.folder)
    return ready


class _RunProcess:
    """A recipe's run in a process of its own.

    The process sends JSON: `{"step", "row"}` twice a second, then one of `{"done"}`, `{"stopped"}`, `{"error"}` (a
    user's mistake, a full disk, or a file that cannot be read or written), `{"bug", "traceback"}`.
    """

    def __init__(
        self,
        recipe: Recipe,
        restart: bool,
        threads: int,
        prepare: Callable[[], None],
        watch: Watch | None,
        shown_as: str,
    ) -> None:
        self.recipe, self.shown_as, self.watch = recipe, shown_as, watch
        context = get_context("spawn")
        self.pipe, sender = context.Pipe(duplex=False)
        self.process = context.Process(target=_run, args=(recipe, restart, threads, prepare, sender))
        self.process.start()
        sender.close()

    def join(self) -> None:
        """Wait until the process has ended, reading what it still sends: with a full pipe it never would."""
        with suppress(EOFError, OSError):
            while True:
                self.pipe.recv_bytes()
        self.process.join()

    def receive(self) -> Mapping[str, Any] | None:
        """Handle one message; the run's record once it is done. Raises: LionError if the run failed; Stopped."""
        try:
            message: dict[str, Any] = json.loads(self.pipe.recv_bytes())
        except EOFError:
            self.process.join()
            code = self.process.exitcode
            raise LionError(f"{self.recipe.name}: its process ended with code {code}; {RESUMES}") from None
        match message:
            case {"step": step, "row": row}:
                if self.watch:
                    self.watch(self.shown_as, step, self.recipe.steps, row)
                return None
            case {"stopped": reason}:
                raise Stopped(reason)
            case {"error": reason, "full": True}:
                raise LionError(reason) from OSError(errno.ENOSPC, reason)
            case {"error": reason}:
                raise LionError(reason)
            case {"bug": reason, "traceback": lines}:
                bug = RuntimeError(f"{self.recipe.name}: {reason}")
                bug.add_note(lines)
                raise bug
        self.process.join()
        record: Mapping[str, Any] = message["done"]
        return record


def _run(recipe: Recipe, restart: bool, threads: int, prepare: Callable[[], None], pipe: Connection) -> None:
    """Train in the new process, and send reports through `pipe`."""
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # Ctrl-C is for the first process, which passes it on
    threading.Thread(target=_end_with_parent, daemon=True).start()
    prepare()
    torch.set_num_threads(threads)

    def send(**message: Any) -> None:
        with suppress(BrokenPipeError):  # the parent has died: the run still has to save
            pipe.send_bytes(json.dumps(message).encode())

    reported = 0.0

    def watch(task: str, done: int, total: int, row: Mapping[str, Any] = {}, /) -> None:
        """Report a step now and then: while the parent draws pictures it reads nothing, and a pipe holds hundreds."""
        nonlocal reported
        if task == recipe.name and (time.monotonic() - reported >= _REPORT_EVERY or done == total):
            reported = time.monotonic()
            send(step=done, row=dict(row))

    try:
        send(done=train(recipe, restart=restart, watch=watch))
    except LionError as error:
        send(error=str(error), full=error.__cause__ is not None and no_space_left(error.__cause__))
    except Stopped as stopped:
        send(stopped=str(stopped))
    except OSError as error:
        send(error=f"{error.filename or recipe.folder}: {error.strerror or error}; {RESUMES}")
    except Exception as error:
        send(bug=f"{type(error).__name__}: {error}", traceback=traceback.format_exc())


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
