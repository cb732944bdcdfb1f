"""``lion gallery``: answers that ``lion eval`` kept, as a page of pictures."""

from pathlib import Path
from typing import Annotated

import typer

from lion.cli.eval import MovedData
from lion.cli.options import Debug
from lion.cli.output import Meter, quiet_libraries
from lion.errors import LionError


def gallery(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="RUN…", help="Folders that lion eval wrote, one for each model shown side by side."),
    ],
    out: Annotated[
        Path, typer.Option(metavar="PAGE", help="The page, in Markdown; its pictures go to a folder beside it.")
    ] = Path("gallery.md"),
    count: Annotated[int, typer.Option(min=1, help="How many questions, of all sets together.")] = 50,
    data: MovedData = None,
    debug: Debug = False,
) -> None:
    """Show pictures with their questions and answers, right and wrong ones, of one model or of several side by side.

    The true box is dashed, answered ones are solid. Of several models, questions that tell them apart come first.
    """
    if out.suffix != ".md":
        raise LionError(f"--out {out}: the page is written in Markdown; name it {out.with_suffix('.md')}")
    with Meter("drawing"):
        quiet_libraries(debug)
        from lion.atomic import atomic_write
        from lion.eval.panels import write_panels

        try:
            text = write_panels(folders, out.with_suffix(""), count, data)
            atomic_write(out, f"# Gallery\n\n{text}")
        except OSError as error:
            raise LionError(f"cannot write {out}: {error.strerror or error}; choose another --out") from error
    print(f"{out}, with pictures in {out.with_suffix('')}")
