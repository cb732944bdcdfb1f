"""Server processes: one app each, behind one port, until a signal ends them.

SIGTERM and SIGINT drain: no new connections, what has been accepted is answered, then the process ends with code 0.
"""

import json
import logging
import os
import signal
import socket
import sys
import tempfile
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from lion.errors import LionError
from lion.serve.errors import LOG
from lion.serve.metrics import SHARED_FOLDER
from lion.serve.protocol import HttpProtocol
from lion.serve.settings import Settings

BACKLOG = 1024
"""Connections that the system holds until a process takes them."""
DEALT = sys.platform == "linux"
"""Whether the system deals out connections among sockets with one address."""
SMALL_BYTES = 2**26
"""Of weights: a model of no more is answered as fast by one thread as by two, whose products are too short to share."""


def serve(
    model: str | Path | None,
    settings: Settings,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    adapters: Sequence[str] = (),
    **pipeline: object,
) -> None:
    """Serve a model until a signal ends it.

    Args:
        model: as ``LionPipeline.from_pretrained``.
        settings: limits, keys and hosts of each process.
        host: address to listen on.
        port: 0 for any that is free.
        workers: processes, each with a model of its own.
        adapters: files, ``name=FILE``, by whose names clients may ask.
        pipeline: further arguments of ``LionPipeline.from_pretrained``.

    Raises: LionError if the address is taken, or not this machine's.
    """
    listeners = _listen(host, port, workers if DEALT else 1)
    bound = listeners[0].getsockname()[1]
    config = uvicorn.Config(
        partial(_app, model, settings, adapters, workers, pipeline),
        factory=True,
        host=host,
        port=bound,
        workers=workers,
        backlog=BACKLOG,
        http=HttpProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=int(settings.deadline + settings.body_seconds) + 1,
    )
    start_logging()
    url = f"http://{f'[{host}]' if ':' in host else host}:{bound}"
    LOG.info(json.dumps({"listening": url, "workers": workers} | ({"page": f"{url}/"} if settings.page else {})))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ended)
    if workers == 1:
        uvicorn.Server(config).run(listeners)
        return
    with tempfile.TemporaryDirectory(prefix="lion-metrics-") as folder:
        os.environ[SHARED_FOLDER] = folder  # the processes inherit it, and keep their counters there
        _Processes(config, listeners).run()


def _app(
    model: str | Path | None,
    settings: Settings,
    adapters: Sequence[str],
    workers: int,
    pipeline: dict[str, object],
) -> FastAPI:
    """The app of one process, which loads the model here."""
    import torch

    from lion.pipeline import LionPipeline
    from lion.serve.app import create_app

    start_logging()
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _ended)
    loaded = LionPipeline.from_pretrained(model, **pipeline)  # type: ignore[arg-type]
    for given in adapters:
        loaded.load_adapters(given)
    weights = sum(parameter.nbytes for parameter in loaded.model.parameters())
    torch.set_num_threads(threads(weights, torch.get_num_threads(), workers))
    return create_app(loaded, settings)


def threads(weights: int, cores: int, workers: int) -> int:
    """Of the cores, how many a process computes on: its share, and of a model of few bytes one."""
    return 1 if weights <= SMALL_BYTES else max(cores // workers, 1)


def _ended(number: int, frame: FrameType | None) -> None:
    """What uvicorn passes a signal on to once it has drained; the process then ends by itself, with code 0."""


class _Processes(Multiprocess):
    """Server processes with a listener each: on a common one, the process that wakes first may have every client of a
    burst. A listener outlives its process, and who waits there is answered by the next one."""

    def __init__(self, config: uvicorn.Config, listeners: Sequence[socket.socket]) -> None:
        self.listeners = list(listeners)
        super().__init__(config, self.listeners)

    @property
    def sockets(self) -> list[socket.socket]:
        """Of the process that is started next: the first that has none, or all, for one more (SIGHUP, SIGTTIN)."""
        for number, listener in enumerate(self.listeners):
            if number >= len(self.processes) or self.processes[number].exitcode is not None:
                return [listener]
        return self.listeners

    @sockets.setter
    def sockets(self, value: list[socket.socket]) -> None:
        """Known already."""


def _listen(host: str, port: int, count: int) -> list[socket.socket]:
    """So many sockets that listen at one address, which nobody else has."""
    try:
        family, _, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = _listener(family, protocol, address, socket.SO_REUSEADDR)
        if count == 1:
            return [listener]
        address = listener.getsockname()  # it is free: the first socket shared with nobody
        listener.close()
        return [_listener(family, protocol, address, socket.SO_REUSEPORT) for _ in range(count)]
    except OSError as error:
        raise LionError(f"cannot listen on {host}:{port}: {error.strerror}; name another --host or --port") from error


def _listener(family: int, protocol: int, address: tuple[object, ...], shares: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM, protocol)
    listener.setsockopt(socket.SOL_SOCKET, shares, 1)
    listener.bind(address)
    listener.listen(BACKLOG)
    listener.set_inheritable(True)
    return listener


def start_logging() -> None:
    """Lines of JSON on stderr, warnings too, and what uvicorn has to say."""
    warnings.showwarning = lambda message, *_: LOG.warning(json.dumps({"note": str(message)}))
    handler = logging.StreamHandler(sys.stderr)
    for name, level in (("lion.serve", logging.INFO), ("uvicorn.error", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
