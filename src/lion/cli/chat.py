"""``lion chat``: a conversation about one picture, typed or piped."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from io import TextIOWrapper
from typing import TYPE_CHECKING, Annotated, cast

import typer

from lion.cli.answering import load_pipeline, plan, read_tags, report, say_failed
from lion.cli.inputs import STDIN, errors_of_all, expand, open_picture
from lion.cli.options import Options, shared_options
from lion.cli.output import Meter, print_answer, quiet_libraries, say
from lion.errors import LionError, reason_of

if TYPE_CHECKING:
    from lion.pipeline import Answer, LionPipeline, Request


@shared_options("batch_size")
def chat(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="One picture.")],
    options: Options,
) -> None:
    """Talk about a picture: a question a line, from the keyboard or from standard input.

    Earlier rounds are remembered; an empty line or the end of input ends a typed conversation. With --decoding greedy
    words appear as they are found; beams settle on none before the last.
    """
    if image == STDIN:
        raise LionError("chat reads questions from standard input, not the picture; name its file")
    if (count := len(expand([image])[0])) > 1:
        raise LionError(f"chat talks about one picture, and {image} means {count}; name one")
    pictures, (target,) = plan([image], options)
    if not options.json and (errors := errors_of_all(pictures)):
        raise typer.Exit(say_failed(errors[0][0], reason_of(errors[0][1])))
    with Meter("loading libraries"):
        quiet_libraries(options.debug)
        from lion.checkpoints.finding import BUNDLED
        from lion.pipeline import Answer, Request, Verb, annotate, open_pictures, save_picture
    request = Request(pictures[0], Verb.CHAT, tags=options.prompt_tags)
    open_one = partial(open_picture, tag_file=read_tags(options))
    (look,) = open_pictures([request], open_one, "row", options.model or BUNDLED)
    if isinstance(look, Answer):
        raise typer.Exit(report(look, options))
    pipeline = load_pipeline(options)
    history: list[tuple[str, str]] = []
    code = 0
    try:
        for question in _questions():
            following = replace(request, image=look, text=question, history=history)
            answer = None if options.json else _spoken(pipeline, following)
            if not (written := answer is not None):
                with Meter("answering", None):
                    (answer,) = pipeline.answer([following], on_error="row")
            if options.json or not answer.failed:
                print_answer(answer, options.json, written=written)
            if answer.remark:
                say("note", answer.remark)
            if not answer.ok:
                say("error", answer.reason or "")
                code = max(code, 2 if answer.failed else 1)
            if not answer.failed:
                history.append((question, answer.text))
    finally:  # also when Ctrl-C ends it
        if target:
            rounds = "\n".join(f"Q: {question}\nA: {answer}" for question, answer in history)
            save_picture(annotate(look.image, (), rounds), target)
            say("note", f"{look.name}: saved as {target}")
    raise typer.Exit(code)


def _spoken(pipeline: LionPipeline, request: Request) -> Answer | None:
    """Print the words of an answer as they are found; None, and nothing printed, where beams decide at the end, or for
    a request that cannot be answered."""
    from lion.prompts import Task

    if pipeline.decoding[Task.DIALOG].num_beams > 1:
        return None
    pieces = pipeline.stream(request)
    try:
        while True:
            print(next(pieces), end="", flush=True)
    except StopIteration as end:
        return cast("Answer", end.value)
    except LionError:
        return None


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
