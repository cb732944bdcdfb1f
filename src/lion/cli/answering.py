"""``lion caption``, ``ask``, ``locate`` and ``describe``: many pictures through one pipeline, failed ones named."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from lion.cli.inputs import errors_of_all, expand, open_picture, parse_box, split_last
from lion.cli.options import Export, Images, Options, shared_options
from lion.cli.output import (
    Meter,
    check_new,
    in_a_line,
    leave,
    plan_saves,
    print_answer,
    quiet_libraries,
    save_answers,
    say,
)
from lion.errors import LionError, LionWarning, reason_of

if TYPE_CHECKING:
    from pathlib import Path

    from lion.boxes import Box
    from lion.pipeline import Answer, LionPipeline, Look, Request
    from lion.tagging import TagFile


@shared_options()
def caption(images: Images, export: Export = None, *, options: Options) -> None:
    """Describe each picture in a sentence."""
    raise typer.Exit(answer_pictures(images, "caption", options, export=export))


@shared_options()
def ask(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar='IMAGE... "QUESTION"',
            help="Pictures (files, folders with all below them, patterns), the question last.",
        ),
    ],
    export: Export = None,
    *,
    options: Options,
) -> None:
    """Answer a question about each picture."""
    images, question = split_last(words, "ask", "question")
    raise typer.Exit(answer_pictures(images, "ask", options, [question], export=export))


@shared_options()
def locate(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar='IMAGE... "PHRASE"',
            help="Pictures (files, folders with all below them, patterns), the phrase last.",
        ),
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
    images, phrase = split_last(words, "locate", "phrase")
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


MANY = 10
"""Pictures whose errors are counted at the end, as they may have left the screen."""


class Answering(Protocol):
    """Answers requests: LionPipeline, or for ``lion tag`` the tagger alone."""

    def answer(self, requests: Sequence[Request], /) -> list[Answer]:
        """An answer to each request, in order."""


def load_pipeline(options: Options) -> LionPipeline:
    """The model the options name, with a note on stderr where it is lion-mini, or has no tagger and needs one."""
    from lion.pipeline import LionPipeline

    with Meter("loading the model"), warnings.catch_warnings():
        if options.tags_given:
            warnings.simplefilter("ignore", LionWarning)
        pipeline = LionPipeline.from_pretrained(
            options.model,
            tagger=options.tagger,
            device=options.device,
            batch_size=options.batch_size,
            decoding=options.decoding,
            adapters=options.adapters,
        )
    introduce(pipeline.about)
    return pipeline


def introduce(about: str | None) -> None:
    """A note on stderr of what a model is."""
    if about:
        say("note", f"{about} with --model")


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
    """Answer the verb for every picture that is meant and every text; print, save and export; returns the exit code.

    A picture that cannot be used gets a line on stderr and for each text a row that is not ok; the others are answered.
    The model is loaded once there is a picture for it. ``writes``: the caller writes a file, so work goes on if nobody
    reads stdout.
    """
    pictures, targets = plan(names, options)
    if export:
        check_new("--export", export := os.path.expanduser(export))
    if not (options.json or export) and (errors := errors_of_all(pictures)):
        return max([say_failed(name, reason_of(error)) for name, error in errors])
    open_one = partial(open_picture, tag_file=read_tags(options), box=box)
    with Meter("loading libraries"):
        quiet_libraries(options.debug)
        from lion.pipeline import Look, Request, Verb
        from lion.pipeline.export import check_export
    if export:
        check_export(export, pictures, Verb(verb))
    writes = writes or bool(options.save or export)
    ask = partial(Request, verb=Verb(verb), box=box, tags=options.prompt_tags, if_there=if_there)
    exported: list[Answer] = []
    codes: list[int] = []
    try:
        with Meter("answering", len(pictures)) as meter:
            answered = _answers(pictures, open_one, ask, texts, options, load, meter)
            for (opened, answers), target in zip(answered, targets, strict=True):
                exported += answers if export else []
                codes.append(0)
                with meter.aside():
                    saved = None
                    if target and isinstance(opened, Look) and not all(answer.failed for answer in answers):
                        codes[-1] = save_answers(opened, answers, target)
                        saved = None if codes[-1] else target
                    codes[-1] = max(codes[-1], _report_all(answers, options, len(pictures) > 1, writes, saved))
                meter.advance()
    except BaseException as stop:  # an interrupt, no memory left, a bug: what is answered is not lost
        progress = f" after {len(codes)} of {len(pictures)} pictures" if len(pictures) > 1 or export else ""
        message = f"stopped{progress}{_export_rest(exported, export) if export else ''}"
        if isinstance(stop, KeyboardInterrupt):
            raise KeyboardInterrupt(message) from stop
        if exported:
            say("note", message)
        raise
    if export:
        _export(exported, export)
    if len(codes) > MANY and any(codes):
        say("note", f"pictures with an error, named above: {len(codes) - codes.count(0)} of {len(codes)}")
    return max(codes)


def _export_rest(answers: Sequence[Answer], path: str) -> str:
    """Write the answers of a command that was stopped, and say so."""
    if answers:
        _export(answers, path)
    kept = f"their answers are in {path}" if answers else "nothing was exported"
    return f"; {kept}; lion annotate does the same, and goes on where it was stopped"


def _export(answers: Sequence[Answer], path: str) -> None:
    """Write answers; where their place has become unusable, to another.

    Raises: LionError that names the other place.
    """
    from lion.pipeline import export

    try:
        export(answers, path)
    except LionError as error:
        kept = "the answers are those that were printed"
        with suppress(LionError, OSError):
            rescued = os.path.join(mkdtemp(prefix="lion-"), os.path.basename(path))
            export(answers, rescued)
            kept = f"the answers are in {rescued}"
        raise LionError(f"{str(error).partition(';')[0]}; {kept}") from error.__cause__


def plan(names: Sequence[str], options: Options) -> tuple[list[str], list[Path | None]]:
    """The pictures meant and where each is to be saved, with notes on what was left out, and will come in next time."""
    pictures, notes = expand(names)
    targets = plan_saves(options.save, pictures)
    folders = [os.path.abspath(os.path.expanduser(name)) for name in names if os.path.isdir(os.path.expanduser(name))]
    if any(target and target.absolute().is_relative_to(folder) for target in targets[:1] for folder in folders):
        notes.append(f"--save {options.save} lies in the input: what is saved there is a picture of it from now on")
    for note in notes:
        say("note", note)
    return pictures, targets


def _answers(
    pictures: Sequence[str],
    open_one: Callable[[Any], Look],
    ask: Callable[..., Request],
    texts: Sequence[str | None],
    options: Options,
    load: Callable[[Options], Answering],
    meter: Meter,
) -> Iterator[tuple[Look | Answer, list[Answer]]]:
    """Each picture, opened or failed, with an answer to each text; a batch at a time, all of one question."""
    from lion.checkpoints.finding import BUNDLED
    from lion.pipeline import Look, open_pictures

    pipeline: Answering | None = None
    for start in range(0, len(pictures), options.batch_size):
        batch = pictures[start : start + options.batch_size]
        opened = open_pictures([ask(name, text=texts[0]) for name in batch], open_one, "row", options.model or BUNDLED)
        requests = [ask(look, text=text) for look in opened if isinstance(look, Look) for text in texts]
        if requests and pipeline is None:
            with meter.aside():
                pipeline = load(options)
        # Pictures are open by now, so an error is one of the text: the same for all, and reported once.
        answers = iter(pipeline.answer(requests) if pipeline else [])
        for row in opened:
            yield row, [next(answers) if isinstance(row, Look) else replace(row, question=text) for text in texts]


def read_tags(options: Options) -> TagFile | None:
    """The file of ``--tags-from``, if the options name one."""
    if options.tags_from is None:
        return None
    from lion.tagging import TagFile

    return TagFile.read(options.tags_from)


def _report_all(
    answers: Sequence[Answer], options: Options, several: bool, writes: bool, saved: Path | None = None
) -> int:
    """Report a picture's answers, each named by what tells it from others: its picture, its text."""
    code = 0
    for number, answer in enumerate(answers):
        name = f"{answer.image}: " if several else ""
        name += f"{answer.question}: " if len(answers) > 1 else ""
        code = max(code, report(answer, options, name, writes, saved, again=number > 0))
    if saved and not options.json:
        say("note", in_a_line(f"{answers[0].image}: saved as {saved}"))
    return code


def report(
    answer: Answer,
    options: Options,
    name: str = "",
    writes: bool = False,
    saved: Path | None = None,
    *,
    again: bool = False,
) -> int:
    """Print an answer, or why there is none; returns its exit code.

    ``name`` as in :func:`print_answer`; ``saved`` is where it is drawn, and ``again`` whether the picture's failure has
    been reported.

    Raises: BrokenPipeError if nobody reads stdout any more, unless the command ``writes`` files too.
    """
    reason = answer.reason or ""
    if options.json or not answer.failed:
        try:
            more = {"saved": saved and str(saved)} if options.save else {}
            print_answer(answer, options.json, name, more=more)
        except BrokenPipeError:
            if not writes:
                raise
            leave(sys.stdout)
    if answer.failed:
        return 2 if again else say_failed(answer.image, reason)
    if answer.remark and not again:
        say("note", in_a_line(f"{answer.image}: {answer.remark}"))
    if not answer.ok:
        wrong = f"{reason}, in the answer {answer.text!r}" if answer.text else f"{answer.question}: {reason}"
        say("error", in_a_line(f"{answer.image}: {wrong}"))
        return 1
    return 0


def say_failed(image: str | None, reason: str) -> int:
    """A line about a picture that could not be used; returns the exit code."""
    named = image is None or reason.startswith((f"{image} ", f"{image}:"))
    say("error", in_a_line(reason if named else f"{image}: {reason}"))
    return 2
