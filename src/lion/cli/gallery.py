"""``lion gallery``: answers that ``lion eval`` kept, as a page of pictures, or as one figure."""

from pathlib import Path
from typing import Annotated

import typer

from lion.cli.eval import MovedData
from lion.cli.options import Debug
from lion.cli.output import Meter, check_place, quiet_libraries
from lion.errors import LionError
from lion.figures import FORMATS, check_format, check_matplotlib


def gallery(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="RUN…", help="Folders that lion eval wrote, one for each model shown side by side."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="A page (.md), its pictures in a folder beside it; or one figure: .png, .svg, .pdf."
        ),
    ] = Path("gallery.md"),
    count: Annotated[int, typer.Option(min=1, help="How many questions, of all sets together.")] = 50,
    data: MovedData = None,
    debug: Debug = False,
) -> None:
    """Show pictures with their questions and answers, right and wrong ones, of one model or of several side by side.

    The true box is dashed, answered ones are solid. Of several models, questions that tell them apart come first.
    """
    suffix = out.suffix.lower()
    page = suffix == ".md"
    if not page:
        check_format(out, f"--out {out}", (".md", *FORMATS))
        check_matplotlib("a figure needs")
    check_place("--out", out)
    with Meter("drawing"):
        quiet_libraries(debug)
        from lion.atomic import atomic_write
        from lion.eval.gallery import Gallery
        from lion.eval.gallery_figure import draw

        found = Gallery.read(folders, count, data)
        try:
            atomic_write(out, f"# Gallery\n\n{found.page(out.with_suffix(''))}" if page else draw(found, suffix[1:]))
        except OSError as error:
            raise LionError(f"cannot write {out}: {error.strerror or error}; choose another --out") from error
    print(f"{out}, with pictures in {out.with_suffix('')}" if page else out)
