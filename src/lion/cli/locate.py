"""``lion locate``: the box of what a phrase names, in each picture."""

from __future__ import annotations

from typing import Annotated

import typer

from lion.cli.answering import answer_pictures
from lion.cli.inputs import split_last
from lion.cli.options import (
    BatchSize,
    Debug,
    Decoding,
    Device,
    Json,
    Model,
    NoTags,
    Options,
    Save,
    Tags,
    TagsFrom,
    tag_list,
)


def locate(
    words: Annotated[
        list[str],
        typer.Argument(metavar='IMAGE... "PHRASE"', help="Pictures (files, folders, patterns), the phrase last."),
    ],
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
    """Find what a phrase names, as a box in each picture.

    LION answers every phrase with a box, also that of a thing that is not there; ask whether it is there first.
    """
    options = Options(model, json, save, tag_list(tags, no_tags), device, batch_size, debug, decoding, tags_from)
    images, phrase = split_last(words, "phrase")
    raise typer.Exit(answer_pictures(images, "locate", options, text=phrase))
