"""The options that all answering verbs share, once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from lion.errors import LionError

Images = Annotated[
    list[str], typer.Argument(metavar="IMAGE", help="Pictures: files, folders, or quoted patterns like '*.jpg'.")
]
Model = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="PATH|HUB_ID", help="A checkpoint folder or Hub id. (default: lion-mini)"),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
Save = Annotated[
    str | None,
    typer.Option(metavar="PATH", help="Save the picture with the answer drawn: a file, a folder, or 'out/{name}.png'."),
]
Tags = Annotated[str | None, typer.Option(metavar="'A, B'", help="Give the model these tags instead of the tagger's.")]
NoTags = Annotated[bool, typer.Option("--no-tags", help="Give the model no tags.")]
TagsFrom = Annotated[
    Path | None,
    typer.Option("--tags-from", metavar="FILE", help="Give the model the tags in a file of lion tag --out."),
]
Decoding = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="How answers are written: lion; official, as the released code does; short, as lion but questions are "
        "answered in few words; boxes, as lion but locate can write nothing but a box.",
    ),
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps. (default: cuda if it is there, else cpu)")]
BatchSize = Annotated[int, typer.Option(min=1, help="Pictures that go through the model together.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and library warnings.")]


@dataclass(frozen=True, slots=True)
class Options:
    """The shared options of one call, checked."""

    model: str | None = None
    json: bool = False
    save: str | None = None
    tags: list[str] | None = None
    """None: the tagger's; empty: none."""
    device: str | None = None
    batch_size: int = 8
    debug: bool = False
    decoding: str = "lion"
    tags_from: Path | None = None

    def __post_init__(self) -> None:
        if self.tags_from is not None and self.tags is not None:
            raise LionError("--tags-from does not go with --tags or --no-tags; use one")


def tag_list(tags: str | None, no_tags: bool) -> list[str] | None:
    """``--tags`` and ``--no-tags`` as the pipeline takes them.

    Raises: LionError if both are given, or ``--tags`` names none.
    """
    if no_tags and tags is not None:
        raise LionError("--tags and --no-tags exclude each other; use one")
    if no_tags:
        return []
    if tags is None:
        return None
    names = [tag.strip() for tag in tags.split(",") if tag.strip()]
    if not names:
        raise LionError("--tags names no tag; write --tags 'a, b', or --no-tags")
    return names
