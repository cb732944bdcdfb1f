"""``lion serve``: the model over HTTP, as OpenAI's clients speak it."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from lion.cli.options import BatchSize, Debug, Decoding, Device, Tagger, known_model
from lion.cli.output import Meter, quiet_libraries, say
from lion.errors import LionError

Served = Annotated[
    str | None, typer.Argument(metavar="[MODEL]", callback=known_model, help="A checkpoint folder or Hub id.")
]
Cluster = Annotated[
    str | None, typer.Option("--ray", metavar="ADDRESS|local", help="On a Ray cluster, or one of this machine alone.")
]
MostWorkers = Annotated[
    int | None, typer.Option(min=1, help="With --ray: as many as there is work for, up to this number.")
]
Keys = Annotated[
    Path | None, typer.Option(metavar="FILE", help="API keys, one a line; also: the variable LION_API_KEYS.")
]
Hosts = Annotated[
    list[str] | None, typer.Option(metavar="HOST", help="Fetch pictures from this host; may be given again.")
]
Adapters = Annotated[
    list[str] | None,
    typer.Option(
        "--adapters",
        metavar="[NAME=]FILE",
        help="What lion finetune trained, as a model of this name; may be given again.",
    ),
]
Routes = Annotated[
    list[str] | None,
    typer.Option(metavar="MODULE", help="Add a module's router, such as lion.plugins.label_studio's."),
]
LOCAL = ("127.0.0.1", "::1", "localhost")


def serve(
    model: Served = None,
    tagger: Tagger = None,
    adapters: Adapters = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all of this machine's.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes, each with a model of its own.")] = 1,
    ray: Cluster = None,
    max_workers: MostWorkers = None,
    api_keys: Keys = None,
    allow_url: Hosts = None,
    rate: Annotated[int, typer.Option(min=0, help="Requests a minute and key, of each process; 0: no limit.")] = 0,
    max_requests: Annotated[int, typer.Option(min=1, help="Requests in progress; further ones get 429.")] = 128,
    max_pictures: Annotated[int, typer.Option(min=1, help="Pictures in a request.")] = 16,
    max_megapixels: Annotated[int, typer.Option(min=1, max=100, help="Of a picture.")] = 40,
    max_body: Annotated[int, typer.Option(min=1, metavar="MB", help="Of a request, and of a fetched picture.")] = 20,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of an answer, whatever is asked for.")] = 256,
    deadline: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="For an answer.")] = 60,
    no_page: Annotated[bool, typer.Option("--no-page", help="Leave out the page at /.")] = False,
    routes: Routes = None,
    decoding: Decoding = "lion",
    device: Device = None,
    batch_size: BatchSize = 16,
    debug: Debug = False,
) -> None:
    """Answer over HTTP: chat completions as OpenAI's clients speak them, a route for each verb, and a page at /.

    Ends on Ctrl-C or SIGTERM, once the requests in progress are answered. docs/how-to/serving.md shows clients.
    """
    _check(ray, workers, max_workers, port, adapters)
    with Meter("loading libraries"):
        quiet_libraries(debug)
        from lion.serve.settings import Settings, read_keys
    _check_model(model, decoding)
    named = _named(adapters or [], model)
    keys = read_keys(api_keys)
    if host not in LOCAL and not keys:
        say("note", f"anybody who reaches {host} may use this server; give it keys: --api-keys FILE")
    settings = Settings(
        body_mb=max_body,
        megapixels=max_megapixels,
        pictures=max_pictures,
        requests=max_requests,
        requests_per_minute=rate,
        deadline=deadline,
        max_tokens=max_tokens,
        hosts=frozenset(name.lower() for name in allow_url or ()),
        page=not no_page,
        routes=_checked_routes(routes or []),
        keys=keys,
    )
    own = {"tagger": tagger, "device": device, "decoding": decoding, "batch_size": batch_size}
    if ray:
        from lion.serve.on_ray import serve_on_ray

        serve_on_ray(model, settings, host, port, (workers, max_workers or workers), ray, **own)
    else:
        from lion.serve.run import serve as run

        run(model, settings, host, port, workers, named, **own)


def _check(ray: str | None, workers: int, max_workers: int | None, port: int, adapters: list[str] | None) -> None:
    """Raises: LionError where packages are missing, or options do not go together."""
    for package in ("fastapi", "uvicorn", "prometheus_client", "python_multipart", *(["ray"] if ray else [])):
        if find_spec(package) is None:
            extra = "serve,ray" if ray else "serve"
            raise LionError(f"lion serve needs {package}; pip install 'lion-vlm[{extra}]'")
    if max_workers is not None and (ray is None or max_workers < workers):
        raise LionError("--max-workers goes with --ray, and is no less than --workers")
    if ray and port == 0:
        raise LionError("--port 0 is not for --ray; name a port")
    if ray and adapters:
        raise LionError("--adapters is not for --ray; serve them without it")


def _checked_routes(modules: list[str]) -> tuple[str, ...]:
    """The modules. Raises: LionError for one that is not there, or has no router."""
    for name in modules:
        try:
            found = hasattr(import_module(name), "router")
        except ImportError as error:
            raise LionError(f"--routes {name} cannot be imported: {error}") from error
        if not found:
            raise LionError(f"--routes {name} has no router; name a module with a fastapi.APIRouter called so")
    return tuple(modules)


def _named(adapters: list[str], model: str | None) -> list[str]:
    """The adapters with their names. Raises: LionError for a file that is none, or a name that is taken."""
    from lion.checkpoints.adapters import Adapters as Read
    from lion.checkpoints.finding import find_checkpoint

    taken, found = {Path(find_checkpoint(model)[1]).name}, []
    for given in adapters:
        read = Read.read(given)
        if read.name in taken:
            raise LionError(f"--adapters {given}: there is a model called {read.name}; name it otherwise: NAME=FILE")
        taken.add(read.name)
        found.append(f"{read.name}={read.path}")
    return found


def _check_model(model: str | None, decoding: str) -> None:
    """Raises: LionError for a mistake that each process would report."""
    from lion.checkpoints.finding import find_checkpoint
    from lion.pipeline.request import decoding_presets

    decoding_presets(decoding)
    find_checkpoint(model)
