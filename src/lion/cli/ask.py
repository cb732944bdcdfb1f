"""``lion ask``: a question about each picture."""

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


def ask(
    words: Annotated[
        list[str],
        typer.Argument(metavar='IMAGE... "QUESTION"', help="Pictures (files, folders, patterns), the question last."),
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
    """Answer a question about each picture."""
    options = Options(model, json, save, tag_list(tags, no_tags), device, batch_size, debug, decoding, tags_from)
    images, question = split_last(words, "question")
    raise typer.Exit(answer_pictures(images, "ask", options, text=question))
