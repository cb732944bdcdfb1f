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
import time
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from lion.errors import LionError
from lion.serve.errors import LOG
from lion.serve.metrics import SHARED_FOLDER
from lion.serve.protocol import HttpProtocol, Loop, shared, url_of
from lion.serve.settings import Settings

BACKLOG = 1024
"""Connections that the system holds until a process takes them."""
LOADS_WITHIN = 600
"""Seconds after SIGHUP in which the successor of a process has to be ready; until it is, the old one answers."""
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
    listener, dealt = _listen(host, port), DEALT and workers > 1
    if dealt:
        listener = _reserved(listener)
    config = uvicorn.Config(
        partial(_app, model, settings, adapters, workers, pipeline),
        factory=True,
        host=host,
        port=listener.getsockname()[1],
        workers=workers,
        backlog=BACKLOG,
        loop=f"{Loop.__module__}:{Loop.__name__}" if dealt else "asyncio",
        http=HttpProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=int(settings.deadline + settings.body_seconds) + 1,
    )
    start_logging()
    url = url_of(listener)
    about = {"workers": workers} | ({"page": f"{url}/"} if settings.page else {})
    LOG.info(json.dumps({"starting" if dealt else "listening": url, **about}))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ended)
    if workers == 1:
        uvicorn.Server(config).run([listener])
        return
    with tempfile.TemporaryDirectory(prefix="lion-metrics-") as folder:
        os.environ[SHARED_FOLDER] = folder  # the processes inherit it, and keep their counters there
        _Processes(config, [listener]).run()


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
    if "OMP_NUM_THREADS" not in os.environ:
        models = [loaded.model, getattr(loaded.tagger, "model", None)]
        weights = sum(tensor.nbytes for model in models if model is not None for tensor in model.parameters())
        cores = torch.get_num_threads()
        torch.set_num_threads(threads(weights, cores, workers))
        if loaded.model.device.type == "cpu" and (note := idle(weights, cores, workers)):
            LOG.info(json.dumps({"note": note}))
    return create_app(loaded, settings)


def threads(weights: int, cores: int, workers: int) -> int:
    """Of the cores, how many a process computes on: its share, and of a model of few bytes one."""
    return 1 if weights <= SMALL_BYTES else max(cores // workers, 1)


def idle(weights: int, cores: int, workers: int) -> str | None:
    """What to do about cores that would have nothing to compute, if there are any."""
    busy = threads(weights, cores, workers) * workers
    if weights > SMALL_BYTES or busy >= cores:
        return None
    return f"this small model uses {busy} of {cores} cores; many clients want --workers N, N up to {cores}"


def _ended(number: int, frame: FrameType | None) -> None:
    """What uvicorn passes a signal on to once it has drained; the process then ends by itself, with code 0."""


class _Processes(Multiprocess):
    """uvicorn's, for apps that take long to load a model."""

    @property
    def _ending(self) -> bool:
        return not {signal.SIGTERM, signal.SIGINT}.isdisjoint(self.signal_queue)

    def restart_all(self) -> None:
        """Give each process a successor, one after the other; meanwhile signals to end and processes that die count."""
        for place in range(len(self.processes)):
            successor, late = Process(self.config, self.sockets), time.monotonic() + LOADS_WITHIN
            successor.start()
            while not successor.wait_until_ready(1):
                if self._ending or not successor.process.is_alive() or time.monotonic() > late:
                    successor.kill()
                    successor.join()
                    LOG.error("a process has no successor that is ready: the old ones stay")
                    return
                self.keep_subprocess_alive()
            self.processes[place].terminate()
            self.processes[place].join()
            self.processes[place] = successor


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with ExitStack() as unless_it_listens:
            listener = unless_it_listens.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
            unless_it_listens.pop_all()
    except OSError as error:
        raise LionError(f"cannot listen on {host}:{port}: {error.strerror}; name another --host or --port") from error
    listener.set_inheritable(True)
    return listener


def _reserved(listener: socket.socket) -> socket.socket:
    """The address of a listener, which gives way to processes that listen there themselves once they are ready, and to
    nobody who shares with nobody."""
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved = shared(listener.family, listener.getsockname())
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        reserved.set_inheritable(True)
    return reserved


def start_logging() -> None:
    """Lines of JSON on stderr, warnings too, and what uvicorn has to say."""
    warnings.showwarning = lambda message, *_: LOG.warning(json.dumps({"note": str(message)}))
    handler = logging.StreamHandler(sys.stderr)
    for name, level in (("lion.serve", logging.INFO), ("uvicorn.error", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
