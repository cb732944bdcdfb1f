"""``lion convert ram``: the released RAM tagger, ready for ``lion tag`` and for LION."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lion.cli.options import Debug, Json
from lion.cli.output import Meter, quiet_libraries, say

if TYPE_CHECKING:
    from lion.convert.ram import RamReport


def ram(
    source: Annotated[Path, typer.Argument(metavar="CKPT", help="The checkpoint, ram_swin_large_14m.pth.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder; MODEL/tagger gives a LION its tagger.")],
    tags: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Other tags, one a line. (default: the 4,585 released ones)")
    ] = None,
    thresholds: Annotated[Path | None, typer.Option(metavar="FILE", help="A threshold a line, one per tag.")] = None,
    image_size: Annotated[
        int | None,
        typer.Option(metavar="PIXELS", help="Side of the pictures it sees. (default: the checkpoint's, 384)"),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Convert a released RAM checkpoint: Swin, tag head, tags and thresholds.

    Nothing in the file is run, and OUT appears whole or not at all.
    """
    with Meter("converting"):
        quiet_libraries(debug)
        from lion.convert.ram import convert_ram

        report = convert_ram(source, out, tags=tags, thresholds=thresholds, image_size=image_size)
    if json:
        print(json_module.dumps(asdict(report)))
    else:
        _print(report)
    if report.unknown:
        names = ", ".join(report.unknown[:3]) + (", ..." if len(report.unknown) > 3 else "")
        say("note", f"left behind {len(report.unknown)} tensors that RAM is not known to have: {names}")


def _print(report: RamReport) -> None:
    print(f"{report.out}: a tagger of {report.parameters:,} numbers, {report.tags:,} tags, {report.image_size} px")
    print(f"  ours      {report.filled} tensors, each filled once")
    print(
        f"  released  {report.used} used, {report.captioning} of the captioning half and {report.rebuilt} buffers left"
    )
    if report.interpolated:
        print(f"  resized   {report.interpolated} bias tables, for pictures of another size than the checkpoint's")
