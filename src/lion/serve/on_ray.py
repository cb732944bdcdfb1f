"""The same app as a Ray Serve deployment: replicas over one machine or many, more of them while there is much to do.

Ray's proxy listens, and gives each request to a replica; what a replica is, stands in :mod:`lion.serve.app`.
"""

import json
import os
import signal
import socket
from pathlib import Path
from threading import Event
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read while ray is imported: nothing is sent anywhere

import ray
from fastapi import FastAPI
from ray import serve
from ray.serve.config import HTTPOptions

from lion.errors import LionError
from lion.serve.errors import LOG
from lion.serve.run import start_logging
from lion.serve.settings import Settings

LOCAL = "local"
NAME = "lion"
CHECK_SECONDS = 5


class Replica:
    """A model of its own, and the app that answers with it; Ray asks for both."""

    def __init__(self, model: str | Path | None, settings: Settings, pipeline: dict[str, Any]) -> None:
        from lion.pipeline import LionPipeline

        start_logging()
        self.pipeline, self.settings = LionPipeline.from_pretrained(model, **pipeline), settings
        self._built: FastAPI | None = None

    def __serve_build_asgi_app__(self) -> FastAPI:
        from lion.serve.app import create_app

        self._built = create_app(self.pipeline, self.settings)
        return self._built

    def check_health(self) -> None:
        """Ray replaces a replica whose check fails. Raises: RuntimeError if the worker has ended."""
        serving = getattr(self._built and self._built.state, "serving", None)
        if serving is not None and not serving.worker.alive:
            raise RuntimeError("the worker has ended")


def serve_on_ray(
    model: str | Path | None,
    settings: Settings,
    host: str,
    port: int,
    replicas: tuple[int, int],
    address: str,
    **pipeline: Any,
) -> None:
    """Serve a model on a Ray cluster until a signal ends it.

    Args:
        model: as ``LionPipeline.from_pretrained``; each machine of the cluster needs its files at that path.
        settings: limits, keys and hosts of each replica.
        host: address that Ray's proxy listens on.
        port: not 0; a cluster that serves already keeps its own.
        replicas: the fewest and the most.
        address: of a running cluster, or ``local`` for one of this machine alone that ends with the call.
        pipeline: further arguments of ``LionPipeline.from_pretrained``.

    Raises: LionError if there is no cluster at the address, or the port is taken.
    """
    ended = Event()
    start_logging()
    _join(address, host, port)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())  # Ray has set its own
    try:
        serve.start(http_options=HTTPOptions(host=host, port=port))
        serve.run(_deployment(settings, replicas, pipeline).bind(model, settings, pipeline), name=NAME)
        where = {"listening": f"http://{host}:{port}", "replicas": replicas}
        LOG.info("%s", json.dumps(where))
        ended.wait()
        serve.delete(NAME)  # requests in progress are answered first
    finally:
        if address == LOCAL:
            serve.shutdown()
        ray.shutdown()


def _join(address: str, host: str, port: int) -> None:
    if address == LOCAL:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                hint = "name another --host or --port"
                raise LionError(f"cannot listen on {host}:{port}: {error.strerror}; {hint}") from error
    try:
        if ":" in address:  # Ray itself asks again for minutes
            name, _, number = address.removeprefix("ray://").rpartition(":")
            socket.create_connection((name, int(number)), timeout=5).close()
        ray.init(
            address=address, namespace=NAME, include_dashboard=False if address == LOCAL else None, log_to_driver=False
        )
    except (OSError, ValueError, RuntimeError) as error:
        hint = "start one (ray start --head), or give --ray local"
        raise LionError(f"no Ray cluster at '{address}'; {hint}") from error


def _deployment(settings: Settings, replicas: tuple[int, int], pipeline: dict[str, Any]) -> serve.Deployment:
    """How many replicas, what each takes of a machine, and how long it may need."""
    least, most = replicas
    gpus = pipeline.get("device") != "cpu" and ray.cluster_resources().get("GPU", 0) > 0
    scaling: dict[str, Any] = {"num_replicas": least}
    if most > least:
        batch = pipeline.get("batch_size", 8)
        scaling = {
            "autoscaling_config": {"min_replicas": least, "max_replicas": most, "target_ongoing_requests": batch}
        }
    return serve.deployment(
        **scaling,
        ray_actor_options={"num_cpus": 1, "num_gpus": int(gpus)},
        max_ongoing_requests=settings.requests,
        max_queued_requests=settings.requests,
        graceful_shutdown_timeout_s=settings.deadline + settings.body_seconds,
        health_check_period_s=CHECK_SECONDS,
    )(serve.ingress()(Replica))
