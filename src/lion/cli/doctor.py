"""``lion doctor``: checks of the installation, each with its fix."""

import json as json_module
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from lion.cli import checks
from lion.cli.checks import Check
from lion.cli.options import Debug, Json
from lion.cli.output import quiet_libraries


def doctor(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="A model to be used here: a folder or Hub id.")
    ] = None,
    hub: Annotated[
        bool, typer.Option("--hub", help="Also check that the Hugging Face Hub is reachable: uses the network.")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Check this installation: packages, device, memory, disk, a model; no weight is loaded, nothing downloaded.

    The network is not used unless --hub is given. Exit code 2 if there is a problem.
    """
    code = 0
    for check in _run(model, hub, debug):
        _print(check, json)
        if check.state == "problem":
            code = 2
    raise typer.Exit(code)


def _run(model: str | None, hub: bool, debug: bool) -> Iterator[Check]:
    """All checks in turn; those after the packages need the packages."""
    installed = [*checks.packages()]
    yield from installed
    if any(check.state == "problem" for check in installed):
        return
    if broken := checks.broken():
        yield broken
        return
    quiet_libraries(debug)
    yield from checks.devices()
    yield from checks.model(model, hub)
    if hub:
        yield checks.hub()


def _print(check: Check, as_json: bool) -> None:
    if as_json:
        print(json_module.dumps(asdict(check)))
        return
    print(f"{check.state:<8} {check.what:<13} {check.found}")
    if check.fix:
        print(f"{'':<8} {'':<13} -> {check.fix}")
