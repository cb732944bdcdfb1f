"""``lion chat``: a conversation about one picture, typed or piped."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING, Annotated

import typer

from lion.cli.answering import failed, load_pipeline, read_tags, report
from lion.cli.inputs import expand, open_picture
from lion.cli.options import (
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
from lion.cli.output import Meter, print_answer, quiet_libraries, say, waiting
from lion.cli.saving import plan_saves
from lion.errors import LionError

if TYPE_CHECKING:
    from lion.pipeline import Answer, LionPipeline, Look


def chat(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="One picture.")],
    model: Model = None,
    json: Json = False,
    save: Save = None,
    tags: Tags = None,
    no_tags: NoTags = False,
    tags_from: TagsFrom = None,
    decoding: Decoding = "lion",
    device: Device = None,
    debug: Debug = False,
) -> None:
    """Talk about a picture: a question a line, from the keyboard or from standard input.

    Earlier rounds are remembered; an empty line or the end of input ends a typed conversation.
    """
    options = Options(model, json, save, tag_list(tags, no_tags), device, 1, debug, decoding, tags_from)
    with waiting("waking up"):
        quiet_libraries(debug)
        from lion.pipeline import Verb
        from lion.pipeline.drawing import annotate, save_picture
    pictures = expand([image])
    if len(pictures) != 1:
        raise LionError(f"chat talks about one picture, and {image} means {len(pictures)}; name one")
    target = plan_saves(save, pictures)[0]
    tag_file = read_tags(options)
    try:
        look = open_picture(pictures[0], tag_file)
    except (LionError, OSError) as error:
        raise typer.Exit(report(failed(pictures[0], Verb.CHAT, error, options), options, several=False)) from error
    pipeline = load_pipeline(options)
    history: list[tuple[str, str]] = []
    code = 0
    for question in _questions():
        answer, mistake = _round(pipeline, look, question, history, options)
        code = max(code, mistake)
        if answer:
            history.append((question, answer.text))
    if target:
        save_picture(annotate(look.image, (), "\n".join(f"Q: {asked}\nA: {told}" for asked, told in history)), target)
    raise typer.Exit(code)


def _round(
    pipeline: LionPipeline, look: Look, question: str, history: list[tuple[str, str]], options: Options
) -> tuple[Answer | None, int]:
    """Ask, print, and return the answer with the exit code it asks for; a bad question is a line and a failed row."""
    from lion.pipeline import Answer, Verb

    try:
        with Meter("answering", None):
            answer = pipeline.chat(look, question, history, tags=options.tags)
    except LionError as error:
        say("error", str(error))
        if options.json:
            print_answer(Answer("", Verb.CHAT, ok=False, model=pipeline.name, image=look.name), True, False)
        return None, 2
    print_answer(answer, options.json, False)
    if answer.note:
        say("note", answer.note)
    if not answer.ok:
        say("error", str(answer.reason))
        return answer, 1
    return answer, 0


def _questions() -> Iterator[str]:
    """Lines of standard input; on a terminal with a prompt, until an empty one.

    Raises: LionError if piped ones are not text in the terminal's encoding; a typed one then has marks for its bytes.
    """
    if sys.stdin is None:  # closed
        return
    if not sys.stdin.isatty():
        if isinstance(sys.stdin, TextIOWrapper):
            sys.stdin.reconfigure(errors="strict")
        try:
            yield from (line.strip() for line in sys.stdin if line.strip())
        except UnicodeDecodeError as error:
            raise LionError(f"standard input is not {error.encoding} text; save the questions in that") from error
        return
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")
    with suppress(ImportError):
        import readline  # noqa: F401 - gives the prompt arrow keys and history
    with suppress(EOFError):
        while True:
            print("you> ", end="", file=sys.stderr, flush=True)
            line = input().strip()
            if not line:
                return
            yield line
