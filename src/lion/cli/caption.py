"""``lion caption``: a sentence about each picture."""

from __future__ import annotations

import typer

from lion.cli.answering import answer_pictures
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


def caption(
    images: Images,
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
    """Describe each picture in a sentence."""
    options = Options(model, json, save, tag_list(tags, no_tags), device, batch_size, debug, decoding, tags_from)
    raise typer.Exit(answer_pictures(images, "caption", options))
