"""``lion doctor``: what is here, what is missing for which verb, and how to mend it."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from lion.cli import checks
from lion.cli.checks import Finding
from lion.cli.options import Debug, Json
from lion.cli.output import quiet_libraries


def doctor(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="A model to be used here: a folder or Hub id.")
    ] = None,
    hub: Annotated[bool, typer.Option("--hub", help="Ask the Hugging Face Hub too: uses the network.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Look over this installation: packages, device, memory, disk, a model; nothing is loaded or fetched.

    The network is left alone unless --hub is given. Exit code 2 if there is a problem to mend.
    """
    found = []
    for finding in _examine(model, hub, debug):
        found.append(finding)
        _print(finding, json)
    raise typer.Exit(2 if any(finding.state == "problem" for finding in found) else 0)


def _examine(model: str | None, hub: bool, debug: bool) -> Iterator[Finding]:
    """Every finding in turn; without its packages the rest cannot be looked at."""
    healthy = True
    for finding in checks.packages():
        healthy = healthy and finding.state != "problem"
        yield finding
    if not healthy:
        return
    if broken := checks.broken():
        yield broken
        return
    quiet_libraries(debug)
    yield from checks.device()
    yield from checks.model(model, hub)
    if hub:
        yield checks.hub()


def _print(finding: Finding, as_json: bool) -> None:
    if as_json:
        print(json_module.dumps(asdict(finding)))
        return
    print(f"{finding.state:<8} {finding.what:<13} {finding.found}")
    if finding.fix:
        print(f"{'':<8} {'':<13} -> {finding.fix}")
