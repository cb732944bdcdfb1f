"""``lion world``: scenes of the mini world as files, also as the original files of other datasets."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from lion.cli.options import Debug
from lion.cli.output import Meter
from lion.errors import LionError

BYTES_A_SIDE = 90
"""Of a picture, for each pixel of its side: 4 kB at 64 pixels, 24 kB at 256, 121 kB at 1024, as measured."""


def world(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder, or one that holds other splits.")],
    size: Annotated[int, typer.Option(min=1, help="How many scenes.")] = 100,
    seed: Annotated[int, typer.Option(help="Another seed is another world of scenes.")] = 0,
    split: Annotated[
        str, typer.Option(help="train, val or test; test holds out colours of objects and wordings.")
    ] = "train",
    pixels: Annotated[int, typer.Option(min=32, max=2048, help="Side of the square pictures.")] = 256,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="DATASET",
            help="Write OUT/DATASET in its original format, or add a split to it: refcoco, okvqa, visdial, pope ...",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Draw scenes with captions, questions, expressions, boxes and tags.

    Pictures and one JSON line for each, readable by datasets.load_dataset("imagefolder", data_dir=OUT), and boxes in
    COCO's format. A run that was stopped goes on when it is started again. With --as, the files of another dataset.
    """
    _check_room(out if dataset else out / split, size, pixels)
    try:
        with Meter("drawing", size) as meter:
            if dataset is None:
                from lion.world.writer import write

                folder = write(out, size, seed, split=split, pixels=pixels, progress=meter.advance)
                form = ""
            else:
                from lion.data.writers import FORMATS, write_as

                folder = write_as(dataset, out, size, seed, split=split, pixels=pixels, progress=meter.advance)
                form = f", as {dataset} ({FORMATS[dataset][1][split]}),"
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt("stopped" + "; the same command goes on there" * (dataset is None)) from stop
    except OSError as error:
        raise LionError(f"cannot write to {out}: {error.strerror or error}; name another folder") from error
    print(f"{size} scenes of the {split} split{form} in {folder}")


def _check_room(folder: Path, size: int, pixels: int) -> None:
    """Raise LionError if so many pictures surely do not fit; a folder that is there may hold some already."""
    folder = folder.expanduser().absolute()
    place = next(path for path in (folder, *folder.parents) if path.exists())
    need, left = size * pixels * BYTES_A_SIDE / 1e9, shutil.disk_usage(place).free / 1e9
    if need > left and place != folder:
        raise LionError(f"{size:,} scenes take some {need:,.0f} GB, and {place} has {left:,.0f} GB left; lower --size")
