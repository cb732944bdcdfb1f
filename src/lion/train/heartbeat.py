"""A process of a run that dies ends the others within a minute, each with one line that says so.

Nothing else does: an exchange waits as long as validation may take, NCCL notices no death, and a launcher looks after
the processes of its own machine. So each process counts up a number in the store over which they have found each other,
and looks at the number of the next one. Silence is counted in beats of one's own, not by a clock: of processes that are
all suspended for a while, by a scheduler or by Ctrl-Z, none was silent.
"""

import os
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import timedelta
from itertools import count
from typing import Any

from torch import distributed

from lion.distributed import Processes
from lion.errors import LionError, LionWarning
from lion.train.stopping import RESUMES, Stopped

BEAT = 5.0
"""Seconds between two signs of life."""
SILENCE = 40.0
"""Seconds without one after which a process counts as dead: the others know within two beats more."""
_RUNS = count()
"""Runs of this process, which are the same in all: a key of one run is not taken for another's."""
_c10d: Any = distributed
"""Its stores are public, but not to the type checker."""


@contextmanager
def watched(processes: Processes) -> Iterator[None]:
    """Within, the end of this process by an exception ends the others, and so does its death.

    Raises: LionError in place of the error of an exchange with a process that has ended.
    """
    with _Heartbeat(processes) if processes.count > 1 else nullcontext():
        try:
            yield
        except RuntimeError as error:  # gloo has no class of its own
            if processes.count == 1 or not (isinstance(error, distributed.DistError) or "gloo" in str(error)):
                raise
            raise LionError(f"another process of this run has ended, and may have said why; {RESUMES}") from error


class _Heartbeat:
    """Two threads: one beats and looks over the store, which may not answer any more; the other one judges."""

    def __init__(self, processes: Processes) -> None:
        self.rank, self.next, self.over = processes.rank, (processes.rank + 1) % processes.count, threading.Event()
        self.answers, self.ended, self.last_words = 0, "", ""
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        # A connection of its own, as the process group's is held by an exchange that waits.
        store = _c10d.TCPStore(host, port, is_master=False, timeout=timedelta(seconds=SILENCE))
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")  # torchrun's store outlives its processes
        self.store = _c10d.PrefixStore(f"lion/{attempt}/{next(_RUNS)}", store)
        self.beating = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> None:
        self.beating.start()
        threading.Thread(target=self._judge, daemon=True).start()

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is not None and not issubclass(kind, Stopped):
            self.last_words = f"process {self.rank} on {socket.gethostname()} has ended"
        self.over.set()
        self.beating.join(BEAT)

    def _beat(self) -> None:
        seen, silent = "", 0
        with suppress(RuntimeError):  # the store has gone
            for beat in count():
                self.store.set(str(self.rank), f"{beat} {socket.gethostname()}")
                now = self._read(str(self.next))
                self.answers += 1
                seen, silent = now, silent + 1 if now == seen else 0
                if silent * BEAT > SILENCE:
                    where = f" on {seen.partition(' ')[2]}" if seen else ""
                    self.store.set("ended", f"process {self.next}{where} has given no sign of life for {SILENCE:.0f} s")
                self.ended = self._read("ended")
                if self.over.wait(BEAT):
                    if self.last_words and not self.ended:
                        self.store.set("ended", self.last_words)
                    return

    def _read(self, key: str) -> str:
        value: bytes = self.store.get(key) if self.store.check([key]) else b""
        return value.decode()

    def _judge(self) -> None:
        ended, answers, silent = "", 0, 0
        while not self.over.wait(BEAT):  # once more after the sentence, for who is about to end by himself
            if ended:
                warnings.warn(f"{ended}, and this run cannot go on without it; {RESUMES}", LionWarning, stacklevel=2)
                os._exit(1)  # the main thread may wait in an exchange that nothing interrupts
            ended = self.ended
            answers, silent = self.answers, silent + 1 if self.answers == answers else 0
            if silent * BEAT > SILENCE:
                ended = f"process 0 (or the launcher beside it) has not answered for {SILENCE:.0f} s"
