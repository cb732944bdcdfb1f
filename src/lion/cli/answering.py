"""``lion caption``, ``ask``, ``locate`` and ``describe``: many pictures through one pipeline, failed ones named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from lion.cli.inputs import expand, open_picture, parse_box, split_last
from lion.cli.options import Export, Images, Options, shared_options
from lion.cli.output import (
    Meter,
    leave_stdout,
    plan_export,
    plan_saves,
    print_answer,
    quiet_libraries,
    save_answers,
    say,
)
from lion.errors import LionError

if TYPE_CHECKING:
    from lion.boxes import Box
    from lion.pipeline import Answer, LionPipeline, Request
    from lion.tagging import TagFile


@shared_options()
def caption(images: Images, export: Export = None, *, options: Options) -> None:
    """Describe each picture in a sentence."""
    raise typer.Exit(answer_pictures(images, "caption", options, export=export))


@shared_options()
def ask(
    words: Annotated[
        list[str],
        typer.Argument(metavar='IMAGE... "QUESTION"', help="Pictures (files, folders, patterns), the question last."),
    ],
    export: Export = None,
    *,
    options: Options,
) -> None:
    """Answer a question about each picture."""
    images, question = split_last(words, "question")
    raise typer.Exit(answer_pictures(images, "ask", options, [question], export=export))


@shared_options()
def locate(
    words: Annotated[
        list[str],
        typer.Argument(metavar='IMAGE... "PHRASE"', help="Pictures (files, folders, patterns), the phrase last."),
    ],
    more: Annotated[
        list[str] | None, typer.Option("--and", metavar='"PHRASE"', help="One more phrase; may be given several times.")
    ] = None,
    if_there: Annotated[
        bool, typer.Option("--if-there", help="Ask first whether it is there; no box and exit code 1 where it is not.")
    ] = False,
    export: Export = None,
    *,
    options: Options,
) -> None:
    """Find what a phrase, or each of several, names, as a box in each picture.

    LION answers every phrase with a box, also that of an object that is not there, unless --if-there is given.
    """
    images, phrase = split_last(words, "phrase")
    if not all(one.strip() for one in more or []):
        raise LionError("a phrase of --and is empty; put it behind, in quotes")
    phrases = [phrase, *(more or [])]
    raise typer.Exit(answer_pictures(images, "locate", options, phrases, export=export, if_there=if_there))


@shared_options()
def describe(
    images: Images,
    box: Annotated[str, typer.Option(metavar="X1,Y1,X2,Y2", help="The region: upper left and lower right corner.")],
    pixels: Annotated[bool, typer.Option("--pixels", help="The box is in pixels, not in the unit square.")] = False,
    export: Export = None,
    *,
    options: Options,
) -> None:
    """Say what is in a box of each picture."""
    raise typer.Exit(answer_pictures(images, "describe", options, box=parse_box(box, pixels), export=export))


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
    from lion.checkpoints.finding import about

    if known := about(model):
        say("note", f"{known} with --model")


def answer_pictures(
    names: Sequence[str],
    verb: str,
    options: Options,
    texts: Sequence[str | None] = (None,),
    box: Box | None = None,
    load: Callable[[Options], Answering] = load_pipeline,
    export: str | None = None,
    *,
    writes: bool = False,
    if_there: bool = False,
) -> int:
    """Answer the verb for every picture meant by ``names`` and every text, print, save and export the answers, and
    return the exit code.

    A picture that cannot be used gets a line on stderr and a row that is not ok; the others are answered. The model is
    loaded once there is a picture for it. ``writes``: the caller writes a file, so work goes on if nobody reads stdout.
    """
    with Meter("loading libraries"):
        quiet_libraries(options.debug)
        from lion.checkpoints.finding import BUNDLED
        from lion.pipeline import Look, Request, Verb, open_pictures
        from lion.pipeline import export as export_answers
        from lion.pipeline.prepare import unit_box
    if box is not None and box.space == "unit":
        unit_box(box, (1, 1))  # wrong for one picture is wrong for all: one error
    pictures, notes = expand(names)
    for note in notes:
        say("note", note)
    targets = plan_saves(options.save, pictures)
    export = export and plan_export(export, pictures, Verb(verb))
    writes = writes or bool(options.save or export)
    open_one = partial(open_picture, tag_file=read_tags(options), box=box)
    pipeline: Answering | None = None
    exported: list[Answer] = []
    code = 0
    with Meter("answering", len(pictures)) as meter:
        for start in range(0, len(pictures), options.batch_size):
            batch = pictures[start : start + options.batch_size]
            to_open = [Request(name, Verb(verb), texts[0] if len(texts) == 1 else None) for name in batch]
            opened = open_pictures(to_open, open_one, "row", options.model or BUNDLED)
            looks = [row for row in opened if isinstance(row, Look)]
            ask = partial(Request, verb=Verb(verb), box=box, tags=options.prompt_tags, if_there=if_there)
            requests = [ask(look, text=text) for look in looks for text in texts]
            if requests and pipeline is None:
                with meter.aside():
                    pipeline = load(options)
            # Pictures are open by now, so an error is one of the text: the same for all, and reported once.
            answers = iter(pipeline.answer(requests) if pipeline else [])
            with meter.aside():
                for row, target in zip(opened, targets[start : start + len(batch)], strict=True):
                    found = [next(answers) for _ in texts] if isinstance(row, Look) else [row]
                    code = max(code, _report_all(found, options, len(pictures) > 1, writes))
                    if target and isinstance(row, Look) and not all(answer.failed for answer in found):
                        code = max(code, save_answers(row, found, target))
                    exported += found if export else []
            meter.advance(len(batch))
    if export:
        export_answers(exported, export)
    return code


def read_tags(options: Options) -> TagFile | None:
    """The file of ``--tags-from``, if the options name one."""
    if options.tags_from is None:
        return None
    from lion.tagging import TagFile

    return TagFile.read(options.tags_from)


def _report_all(answers: Sequence[Answer], options: Options, several: bool, writes: bool) -> int:
    """Report a picture's answers, each named by what tells it from others: its picture, its text."""
    code = 0
    for answer in answers:
        name = f"{answer.image}: " if several else ""
        name += f"{answer.question}: " if len(answers) > 1 else ""
        code = max(code, report(answer, options, name, writes))
    return code


def report(answer: Answer, options: Options, name: str = "", writes: bool = False) -> int:
    """Print an answer, or why there is none; returns its exit code. ``name`` as in :func:`print_answer`.

    Raises: BrokenPipeError if nobody reads stdout any more, unless the command ``writes`` files too.
    """
    reason = answer.reason or ""
    if options.json or not answer.failed:
        try:
            print_answer(answer, options.json, name)
        except BrokenPipeError:
            if not writes:
                raise
            leave_stdout()
    if answer.failed:
        named = answer.image is None or reason.startswith((f"{answer.image} ", f"{answer.image}:"))
        say("error", reason if named else f"{answer.image}: {reason}")
        return 2
    if answer.remark:
        say("note", answer.remark)
    if not answer.ok:
        wrong = f"{reason}, in the answer {answer.text!r}" if answer.text else f"{answer.question}: {reason}"
        say("error", f"{answer.image}: {wrong}")
        return 1
    return 0
