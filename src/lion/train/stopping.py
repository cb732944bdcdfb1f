"""Stopping a run from outside: the first Ctrl-C or SIGTERM becomes a request that the loop meets with a checkpoint."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

RESUMES = "the same command, without --restart, resumes"
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(Exception):
    """The run was stopped by a signal and has saved a checkpoint to resume from."""


@dataclass
class StopRequest:
    """`received`: whether a signal has arrived."""

    received: bool = False


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Inside, the first SIGINT or SIGTERM sets `received`, the second one acts as usual; in the main thread alone."""
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def receive(number: int, frame: FrameType | None) -> None:
        stop.received = True
        restore()

    for number in SIGNALS:
        signal.signal(number, receive)
    try:
        yield stop
    finally:
        restore()
