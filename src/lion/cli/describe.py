"""``lion describe``: what is in a box of each picture."""

from __future__ import annotations

from typing import Annotated

import typer

from lion.cli.answering import answer_pictures
from lion.cli.inputs import parse_box
from lion.cli.options import (
    BatchSize,
    Debug,
    Decoding,
    Device,
    Images,
    Json,
    Model,
    NoTags,
    Options,
    Save,
    Tags,
    TagsFrom,
    tag_list,
)


def describe(
    images: Images,
    box: Annotated[str, typer.Option(metavar="X1,Y1,X2,Y2", help="The region: upper left and lower right corner.")],
    pixels: Annotated[bool, typer.Option("--pixels", help="The box is in pixels, not in the unit square.")] = False,
    model: Model = None,
    json: Json = False,
    save: Save = None,
    tags: Tags = None,
    no_tags: NoTags = False,
    tags_from: TagsFrom = None,
    decoding: Decoding = "lion",
    device: Device = None,
    batch_size: BatchSize = 8,
    debug: Debug = False,
) -> None:
    """Say what is in a box of each picture."""
    options = Options(model, json, save, tag_list(tags, no_tags), device, batch_size, debug, decoding, tags_from)
    raise typer.Exit(answer_pictures(images, "describe", options, box=parse_box(box, pixels)))
