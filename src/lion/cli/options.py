"""The options that verbs share, declared once."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

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
        help="How answers are generated: lion; official, as the released code does; short, as lion but questions are "
        "answered in few words; boxes, as lion but locate can generate nothing but a box.",
    ),
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps. (default: cuda if it is there, else cpu)")]
BatchSize = Annotated[int, typer.Option(min=1, help="Pictures that go through the model together.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and library warnings.")]


@dataclass(frozen=True, slots=True)
class Options:
    """The shared options of one call.

    Raises: LionError for options that contradict each other, or ``--tags`` without a tag.
    """

    model: Model = None
    json: Json = False
    save: Save = None
    tags: Tags = None
    no_tags: NoTags = False
    tags_from: TagsFrom = None
    decoding: Decoding = "lion"
    device: Device = None
    batch_size: BatchSize = 8
    debug: Debug = False

    def __post_init__(self) -> None:
        if self.no_tags and self.tags is not None:
            raise LionError("--tags and --no-tags exclude each other; use one")
        if self.prompt_tags == [] and not self.no_tags:
            raise LionError("--tags names no tag; write --tags 'a, b', or --no-tags")
        if self.tags_from is not None and self.prompt_tags is not None:
            raise LionError("--tags-from does not go with --tags or --no-tags; use one")

    @property
    def prompt_tags(self) -> list[str] | None:
        """Tags of the prompts, as :attr:`lion.pipeline.Request.tags`: None for the tagger's, empty for none."""
        if self.tags is None:
            return [] if self.no_tags else None
        return [tag.strip() for tag in self.tags.split(",") if tag.strip()]


def shared_options(*left_out: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator for verbs whose last parameter is ``options: Options``: on the command line they take each of its
    fields but those left out, after parameters of their own."""

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(Options, include_extras=True) | get_type_hints(verb, include_extras=True)
        *own, _ = inspect.signature(verb).parameters.values()
        shared = [field for field in fields(Options) if field.name not in left_out]
        both: list[Any] = [*own, *shared]
        parameters = [
            inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=hints[one.name])
            for one in both
        ]

        @wraps(verb)
        def command(**values: Any) -> None:
            options = Options(**{field.name: values.pop(field.name) for field in shared})
            verb(**values, options=options)

        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {one.name: one.annotation for one in parameters}
        return command

    return decorate
