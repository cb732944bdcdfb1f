"""``lion ask``: a question about each picture."""

from __future__ import annotations

from typing import Annotated

import typer

from lion.cli.answering import answer_pictures
from lion.cli.inputs import split_last
from lion.cli.options import BatchSize, Debug, Device, Json, Model, NoTags, Options, Save, Tags, tag_list


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
    device: Device = None,
    batch_size: BatchSize = 8,
    debug: Debug = False,
) -> None:
    """Answer a question about each picture."""
    options = Options(model, json, save, tag_list(tags, no_tags), device, batch_size, debug)
    images, question = split_last(words, "question")
    answer_pictures(images, "ask", options, text=question)
