"""``lion caption``, ``ask``, ``locate`` and ``describe``: many pictures through one pipeline, failed ones named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from lion.cli.inputs import expand, open_picture, parse_box, split_last
from lion.cli.options import Images, Options, shared_options
from lion.cli.output import Meter, plan_saves, print_answer, quiet_libraries, save_answer, say

if TYPE_CHECKING:
    from lion.boxes import Box
    from lion.pipeline import Answer, LionPipeline, Request
    from lion.tagging import TagFile


@shared_options()
def caption(images: Images, options: Options) -> None:
    """Describe each picture in a sentence."""
    raise typer.Exit(answer_pictures(images, "caption", options))


@shared_options()
def ask(
    words: Annotated[
        list[str],
        typer.Argument(metavar='IMAGE... "QUESTION"', help="Pictures (files, folders, patterns), the question last."),
    ],
    options: Options,
) -> None:
    """Answer a question about each picture."""
    images, question = split_last(words, "question")
    raise typer.Exit(answer_pictures(images, "ask", options, text=question))


@shared_options()
def locate(
    words: Annotated[
        list[str],
        typer.Argument(metavar='IMAGE... "PHRASE"', help="Pictures (files, folders, patterns), the phrase last."),
    ],
    options: Options,
) -> None:
    """Find what a phrase names, as a box in each picture.

    LION answers every phrase with a box, also that of an object that is not there; ask whether it is there first.
    """
    images, phrase = split_last(words, "phrase")
    raise typer.Exit(answer_pictures(images, "locate", options, text=phrase))


@shared_options()
def describe(
    images: Images,
    box: Annotated[str, typer.Option(metavar="X1,Y1,X2,Y2", help="The region: upper left and lower right corner.")],
    pixels: Annotated[bool, typer.Option("--pixels", help="The box is in pixels, not in the unit square.")] = False,
    *,
    options: Options,
) -> None:
    """Say what is in a box of each picture."""
    raise typer.Exit(answer_pictures(images, "describe", options, box=parse_box(box, pixels)))


class Answering(Protocol):
    """Answers requests: LionPipeline, or for ``lion tag`` the tagger alone."""

    def answer(self, requests: Sequence[Request], /) -> list[Answer]:
        """An answer to each request, in order."""


def load_pipeline(options: Options) -> LionPipeline:
    """The model the options name, with a note on stderr where it is lion-mini."""
    from lion.pipeline import LionPipeline

    with Meter("loading the model"):
        pipeline = LionPipeline.from_pretrained(
            options.model, device=options.device, batch_size=options.batch_size, decoding=options.decoding
        )
    introduce(pipeline.name)
    return pipeline


def introduce(model: str) -> None:
    """A note on stderr where the model is lion-mini."""
    from lion.checkpoints.finding import BUNDLED

    if model == BUNDLED:
        say("note", f"{BUNDLED} knows drawn scenes only (lion world); for photographs name a model with --model")


def answer_pictures(
    names: Sequence[str],
    verb: str,
    options: Options,
    text: str | None = None,
    box: Box | None = None,
    load: Callable[[Options], Answering] = load_pipeline,
) -> int:
    """Answer the verb for every picture meant by ``names``, print and save the answers, and return the exit code.

    A picture that cannot be used gets a line on stderr and a row that is not ok; the others are answered. The model is
    loaded once there is a picture for it.
    """
    with Meter("loading libraries"):
        quiet_libraries(options.debug)
        from lion.checkpoints.finding import BUNDLED
        from lion.pipeline import Look, Request, Verb, open_pictures
        from lion.pipeline.prepare import unit_box
    if box is not None and box.space == "unit":
        unit_box(box, (1, 1))  # wrong for one picture is wrong for all: one error
    pictures, notes = expand(names)
    for note in notes:
        say("note", note)
    targets = plan_saves(options.save, pictures)
    open_one = partial(open_picture, tag_file=read_tags(options), box=box)
    pipeline: Answering | None = None
    code = 0
    with Meter("answering", len(pictures)) as meter:
        for start in range(0, len(pictures), options.batch_size):
            batch = pictures[start : start + options.batch_size]
            requests = [Request(name, Verb(verb), text, box, tags=options.prompt_tags) for name in batch]
            opened = open_pictures(requests, open_one, "row", options.model or BUNDLED)
            looks = [row if isinstance(row, Look) else None for row in opened]
            ready = [replace(request, image=look) for request, look in zip(requests, looks, strict=True) if look]
            if ready and pipeline is None:
                with meter.aside():
                    pipeline = load(options)
            # Pictures are open by now, so an error is one of the text: the same for all, and reported once.
            answers = iter(pipeline.answer(ready) if pipeline else [])
            with meter.aside():
                for row, target in zip(opened, targets[start : start + len(batch)], strict=True):
                    answer = next(answers) if isinstance(row, Look) else row
                    code = max(code, report(answer, options, several=len(pictures) > 1))
                    if target and isinstance(row, Look) and not answer.failed:
                        code = max(code, save_answer(row, answer, target))
            meter.advance(len(batch))
    return code


def read_tags(options: Options) -> TagFile | None:
    """The file of ``--tags-from``, if the options name one."""
    if options.tags_from is None:
        return None
    from lion.tagging import TagFile

    return TagFile.read(options.tags_from)


def report(answer: Answer, options: Options, several: bool) -> int:
    """Print an answer or why there is none; returns its exit code."""
    reason = answer.reason or ""
    if answer.failed:
        named = reason.startswith((f"{answer.image} ", f"{answer.image}:"))
        say("error", reason if named else f"{answer.image}: {reason}")
        if options.json:
            print_answer(answer, True, several)
        return 2
    print_answer(answer, options.json, several)
    if answer.note:
        say("note", answer.note)
    if not answer.ok:
        say("error", f"{answer.image}: {reason}, in the answer {answer.text!r}")
        return 1
    return 0
