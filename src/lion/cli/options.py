"""The options that verbs share, declared once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from lion.checkpoints.device import check_device_name
from lion.checkpoints.finding import find_adapters, find_folder, is_hub_id
from lion.errors import LionError

if TYPE_CHECKING:
    from lion.pipeline.request import Tags as RequestTags

PRESETS = ("lion", "official", "short", "boxes", "greedy")
"""The names of `lion.pipeline.DECODING`, known without loading it."""


# Names are checked when they are read, before anything heavy is loaded. Raises: LionError for one that is none.
def known_model(name: str | None) -> str | None:
    """The name of a model on this machine, or a Hub id, which is looked up once it is loaded."""
    if name is not None and not is_hub_id(name):
        find_folder(name)
    return name


def check_training_packages() -> None:
    """Raise LionError where what training needs is missing: a checkpoint can be used without."""
    for needed in ("accelerate", "tensorboard"):
        if find_spec(needed) is None:
            raise LionError(f"training needs {needed}: pip install {needed}")


def known_adapters(given: str | None) -> str | None:
    """A file of adapters, with or without a name."""
    if given is not None:
        find_adapters(given)
    return given


def known_preset(name: str) -> str:
    """One of PRESETS."""
    if name not in PRESETS:
        raise LionError(f"no decoding '{name}'; there are {', '.join(PRESETS)}")
    return name


def known_device(name: str | None) -> str | None:
    """A name of devices, whether or not this machine has them."""
    if name is not None:
        check_device_name(name)
    return name


Images = Annotated[
    list[str],
    typer.Argument(
        metavar="IMAGE", help="Pictures: files, folders with all below them, or quoted patterns like '*.jpg'."
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="PATH|HUB_ID",
        callback=known_model,
        help="A checkpoint folder or Hub id. (default: lion-mini)",
    ),
]
Tagger = Annotated[
    str | None,
    typer.Option(
        metavar="PATH|HUB_ID",
        callback=known_model,
        help="A tagger, or the model whose tagger is to be used. (default: the model's own)",
    ),
]
Adapters = Annotated[
    str | None,
    typer.Option(
        "--adapters",
        metavar="[NAME=]FILE",
        callback=known_adapters,
        help="What lion finetune trained, put on the model: adapters.safetensors.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
Save = Annotated[
    str | None,
    typer.Option(metavar="PATH", help="Save the picture with the answer drawn: a file, a folder, or 'out/{name}.png'."),
]
Export = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="Write all answers to one file: .jsonl, .csv; boxes: .coco.json, .yolo (a folder)."
    ),
]
Tags = Annotated[str | None, typer.Option(metavar="'A, B'", help="Give the model these tags instead of the tagger's.")]
NoTags = Annotated[bool, typer.Option("--no-tags", help="Give the model no tags, nor the prompt that lists them.")]
EmptyTags = Annotated[
    bool, typer.Option("--empty-tags", help="Give the model the prompt that lists its tags, with an empty list.")
]
TagsFrom = Annotated[
    Path | None,
    typer.Option("--tags-from", metavar="FILE", help="Give the model the tags in a file of lion tag --out."),
]
Decoding = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        callback=known_preset,
        help="How answers are generated: lion; official, as the released code does; short, as lion but questions are "
        "answered in few words; boxes, as lion but locate can generate nothing but a box; greedy, lion with one beam.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(callback=known_device, help="cpu, cuda, cuda:1, mps. (default: cuda if it is there, else cpu)"),
]
BatchSize = Annotated[int, typer.Option(min=1, help="Pictures that go through the model together.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and library warnings.")]


@dataclass(frozen=True, slots=True)
class Options:
    """The shared options of one call.

    Raises: LionError for options that contradict each other, or ``--tags`` without a tag.
    """

    model: Model = None
    tagger: Tagger = None
    adapters: Adapters = None
    json: Json = False
    save: Save = None
    tags: Tags = None
    no_tags: NoTags = False
    empty_tags: EmptyTags = False
    tags_from: TagsFrom = None
    decoding: Decoding = "lion"
    device: Device = None
    batch_size: BatchSize = 8
    debug: Debug = False

    def __post_init__(self) -> None:
        if len(both := ["--tagger"] * (self.tagger is not None) + self.tags_given) > 1:
            raise LionError(f"{both[0]} and {both[1]} exclude each other; use one")
        if self.tags is not None and not self.prompt_tags:
            raise LionError("--tags names no tag; write --tags 'a, b', --no-tags or --empty-tags")

    @property
    def tags_given(self) -> list[str]:
        """The options that say what tags, or none, the prompts have; without any it is the tagger that says."""
        given = {
            "--tags": self.tags is not None,
            "--no-tags": self.no_tags,
            "--empty-tags": self.empty_tags,
            "--tags-from": self.tags_from is not None,
        }
        return [name for name, is_given in given.items() if is_given]

    @property
    def prompt_tags(self) -> RequestTags:
        """Tags of the prompts, as :attr:`lion.pipeline.Request.tags`."""
        if self.tags is None:
            return [] if self.no_tags else "empty" if self.empty_tags else None
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
