"""``lion explain``: an answer about one picture, and a plot of what led to it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lion.cli.answering import load_pipeline, read_tags, report
from lion.cli.inputs import open_picture
from lion.cli.options import Options, shared_options
from lion.cli.output import Meter, check_new, print_answer, quiet_libraries, say
from lion.errors import LionError


@shared_options("batch_size", "save")
def explain(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="One picture.")],
    text: Annotated[
        str | None, typer.Argument(metavar='["QUESTION"]', help="Without a question the picture is described.")
    ] = None,
    locate: Annotated[bool, typer.Option("--locate", help="The text is a phrase to be located.")] = False,
    save: Annotated[Path | None, typer.Option(metavar="FILE", help="The plot: a .png, .svg or .pdf.")] = None,
    *,
    options: Options,
) -> None:
    """Answer about a picture, and show where the model looked and how its router weighs the adapters.

    The plot has the picture, what the Vision Aggregator and the Q-Former attended to, and the gates of each task level.
    --json prints the numbers besides the answer.
    """
    if save is None and not options.json:
        raise LionError("name a place for the plot: --save why.png; or print its numbers: --json")
    if locate and text is None:
        raise LionError('--locate needs a phrase: lion explain IMAGE "the kite" --locate')
    if save is not None:
        check_new("--save", save := save.expanduser())
    with Meter("loading libraries"):
        quiet_libraries(options.debug)
        from lion.pipeline import Verb, check_explanation_plot, save_explanation
    if save is not None:
        check_explanation_plot(save)
    look = open_picture(image, read_tags(options))
    pipeline = load_pipeline(options)
    with Meter("explaining"):
        verb = Verb.LOCATE if locate else None
        explanation = pipeline.explain(look, text, verb=verb, tags=options.prompt_tags)
        if save is not None:
            save_explanation(explanation, save)
    answer = explanation.answer
    if options.json:
        saved = {"saved": str(save)} if save else {}
        print_answer(answer, True, more={**saved, "explanation": explanation.to_json()})
        raise typer.Exit(0 if answer.ok else 1)
    code = report(answer, options)
    say("note", f"{image}: saved as {save}")
    raise typer.Exit(code)
