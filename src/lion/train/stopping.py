"""Stopping a run by Ctrl-C or SIGTERM: the loop saves a checkpoint first."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

RESUMES = "the same command, without --restart, resumes"
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(Exception):
    """The run was stopped by a signal and has saved a checkpoint to resume from."""


@contextmanager
def stop_request() -> Iterator[threading.Event]:
    """Within, the first SIGINT or SIGTERM sets the event, the second one acts as usual; in the main thread alone."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def receive(number: int, frame: FrameType | None) -> None:
        stop.set()
        restore()

    for number in SIGNALS:
        signal.signal(number, receive)
    try:
        yield stop
    finally:
        restore()
