"""The app: routes, guards around them, and what starts and ends with it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import PurePath
from typing import Any

import fastapi
from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response

from lion.pipeline import LionPipeline
from lion.serve import chat, page, verbs
from lion.serve.errors import HttpError, add_handlers
from lion.serve.guards import Guards
from lion.serve.metrics import Metrics
from lion.serve.pictures import Pictures, squashes_of
from lion.serve.serving import Serving, serving_of
from lion.serve.settings import Settings
from lion.serve.worker import Worker

watch = fastapi.APIRouter()


def create_app(pipeline: LionPipeline, settings: Settings | None = None) -> FastAPI:
    """An ASGI app that answers with a pipeline, which it owns from its start to its end.

    Args:
        pipeline: of any model; nobody else may use it meanwhile.
        settings: limits, keys and hosts.
    """
    settings, metrics, traced = settings or Settings(), Metrics(), _traced()

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        pictures = Pictures(settings, squashes_of(pipeline))
        serving = Serving(PurePath(pipeline.name).name, settings, Worker(pipeline), pictures, metrics)
        app.state.serving = serving
        serving.worker.start()
        try:
            yield
        finally:  # all requests have been answered by now
            serving.worker.close()
            serving.pictures.close()

    app = FastAPI(
        title="LION",
        version=metadata.version("lion-vlm"),
        summary="Answers about pictures, in words and boxes.",
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        lifespan=life,
        telemetry={"tracing": traced, "metrics": traced, "logs": traced},
    )
    for router in (chat.router, verbs.router, watch, *([page.router] if settings.page else [])):
        app.router.routes.extend(router.routes)  # included, a router costs a request 20 microseconds
    for name in settings.routes:
        app.include_router(import_module(name).router)  # which may have a lifespan of its own
    add_handlers(app)
    app.add_middleware(Guards, settings=settings, metrics=metrics)
    return app


def _traced() -> bool:
    """Whether FastAPI's telemetry can have a receiver, for which it would look at every request."""
    return bool(find_spec("opentelemetry") and find_spec("opentelemetry.sdk"))


@watch.get("/v1/models")
async def models(request: fastapi.Request) -> dict[str, Any]:
    """The model that is served, and it with each of its adapters."""
    return {"object": "list", "data": [_model(request, name) for name in serving_of(request).models]}


@watch.get("/v1/models/{name:path}")
async def model(request: fastapi.Request, name: str) -> dict[str, Any]:
    """The model of that name."""
    serving_of(request).adapters_of(name)
    return _model(request, name)


def _model(request: fastapi.Request, name: str) -> dict[str, Any]:
    serving = serving_of(request)
    about, parent = serving.worker.pipeline.about, {"parent": serving.name} if name != serving.name else {}
    return {"id": name, "object": "model", "created": serving.started, "owned_by": "lion", "about": about, **parent}


@watch.get("/healthz")
async def healthz() -> dict[str, str]:
    """Whether the process answers at all."""
    return {"status": "ok"}


@watch.get("/readyz")
async def readyz(request: fastapi.Request) -> JSONResponse:
    """Whether questions are answered: the model is loaded and its worker lives."""
    if not serving_of(request).worker.alive:
        raise HttpError(503, "the worker has ended; start the server again", "ending")
    return JSONResponse({"status": "ready"})


@watch.get("/metrics")
async def counters(request: fastapi.Request) -> Response:
    """Counters for Prometheus."""
    return Response(serving_of(request).metrics.text(), media_type="text/plain; version=0.0.4")
