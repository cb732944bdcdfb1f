"""Stopping a run by Ctrl-C or SIGTERM: the loop saves a checkpoint first."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

RESUMES = "the same command, without any --restart, resumes"
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(Exception):
    """The run was stopped by a signal and has saved a checkpoint to resume from; `interrupted`: by Ctrl-C here."""

    def __init__(self, reason: str, interrupted: bool = False) -> None:
        super().__init__(reason)
        self.interrupted = interrupted


class StopRequest(threading.Event):
    """Set once a signal to stop has come; `interrupted`: Ctrl-C's."""

    interrupted = False


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Within, the first SIGINT or SIGTERM sets the event, the second one acts as usual; in the main thread alone."""
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def receive(number: int, frame: FrameType | None) -> None:
        stop.interrupted = number == signal.SIGINT
        stop.set()
        restore()

    for number in SIGNALS:
        signal.signal(number, receive)
    try:
        yield stop
    finally:
        restore()
