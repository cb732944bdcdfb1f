"""What the answering verbs have in common: many pictures through one pipeline, the bad ones named and passed over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from lion.cli.inputs import expand, open_picture
from lion.cli.options import Options
from lion.cli.output import Meter, print_answer, quiet_libraries, say, waiting
from lion.cli.saving import plan_saves
from lion.errors import LionError

if TYPE_CHECKING:
    from pathlib import Path

    from lion.boxes import Box
    from lion.pipeline import Answer, LionPipeline, Look, Request, Verb
    from lion.tagging import TagFile


class Answering(Protocol):
    """What pictures are put to: LionPipeline, or for ``lion tag`` the tagger alone."""

    def answer(self, requests: Sequence[Request], /) -> list[Answer]:
        """An answer to each request, in order."""


def load_pipeline(options: Options) -> LionPipeline:
    """The model the options name, with a note on stderr where it is lion-mini."""
    from lion.pipeline import LionPipeline

    with waiting("loading the model"):
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

    A picture that cannot be opened, that does not hold the box or is not in the file of tags gets a line on stderr and
    a row that is not ok; the others are answered. The model is loaded once there is a picture for it.
    """
    with waiting("waking up"):
        quiet_libraries(options.debug)
        from lion.pipeline import Request, Verb
        from lion.pipeline.instructions import unit_box
    if box is not None and box.space == "unit":
        unit_box(box, (1, 1))  # wrong for one picture is wrong for all: say it once
    pictures = expand(names)
    targets = plan_saves(options.save, pictures)
    tag_file = read_tags(options)
    pipeline: Answering | None = None
    code = 0
    with Meter("answering", len(pictures)) as meter:
        for start in range(0, len(pictures), options.batch_size):
            batch = pictures[start : start + options.batch_size]
            rows: list[Look | Answer] = []
            requests: list[Request] = []
            for name in batch:
                try:
                    look = open_picture(name, tag_file)
                    where = None if box is None else unit_box(box, look.size)
                    requests.append(Request(look, Verb(verb), text, where, tags=options.tags))
                    rows.append(look)
                except (LionError, OSError) as error:
                    rows.append(failed(name, Verb(verb), error, options))
            if requests and pipeline is None:
                with meter.aside():
                    pipeline = load(options)
            answers = iter(pipeline.answer(requests) if pipeline else [])
            with meter.aside():
                for row, target in zip(rows, targets[start : start + len(rows)], strict=True):
                    code = max(code, _finish(row, answers, target, options, len(pictures) > 1))
            meter.advance(len(batch))
    return code


def read_tags(options: Options) -> TagFile | None:
    """The file of ``--tags-from``, if the options name one."""
    if options.tags_from is None:
        return None
    from lion.tagging import TagFile

    return TagFile.read(options.tags_from)


def failed(name: str, verb: Verb, error: Exception, options: Options) -> Answer:
    """The row of a picture that cannot be used."""
    from lion.checkpoints.finding import BUNDLED
    from lion.pipeline import Answer

    reason = f"{error.strerror}; check the path" if isinstance(error, OSError) and error.strerror else str(error)
    return Answer("", verb, ok=False, reason=reason, model=options.model or BUNDLED, image=name)


def report(row: Answer, options: Options, several: bool) -> int:
    """Print such a row; returns the exit code it asks for."""
    reason = row.reason or ""
    say("error", reason if reason.startswith((f"{row.image} ", f"{row.image}:")) else f"{row.image}: {reason}")
    if options.json:
        print_answer(row, True, several)
    return 2


def _finish(row: Look | Answer, answers: Iterator[Answer], target: Path | None, options: Options, several: bool) -> int:
    """Print and save one row; returns the exit code it asks for. A picture that cannot be saved costs no answer."""
    from lion.pipeline import Answer
    from lion.pipeline.drawing import annotate, save_picture

    if isinstance(row, Answer):
        return report(row, options, several)
    answer = next(answers)
    print_answer(answer, options.json, several)
    if answer.note:
        say("note", answer.note)
    code = 0
    if target:
        try:
            save_picture(annotate(row.image, answer.boxes, "" if answer.boxes else answer.text), target)
        except LionError as error:
            say("error", str(error))
            code = 2
    if not answer.ok:
        say("error", f"{answer.image}: {answer.reason}, in the answer {answer.text!r}")
        code = max(code, 1)
    return code
