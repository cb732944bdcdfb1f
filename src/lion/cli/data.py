"""``lion data``: a dataset's index, its pictures as tars, and whether all of it can be used."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lion.cli.options import Debug
from lion.cli.output import Meter, say
from lion.errors import LionError

if TYPE_CHECKING:
    from lion.data.dataset import Dataset
    from lion.data.index import OnRecords

data = typer.Typer(help="Index, pack and check datasets to train on.", no_args_is_help=True)

Place = Annotated[
    str,
    typer.Argument(
        metavar="DIR",
        help="A JSONL or CSV file, or its folder; a folder of .tar or .parquet files; or a dataset's own "
        "folder, with --as.",
    ),
]
As = Annotated[str | None, typer.Option("--as", metavar="DATASET", help="One in its original files: refcoco ...")]
Split = Annotated[str, typer.Option(help="Of such a dataset.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="List bad records and go on, instead of stopping.")]
MEGABYTE = 10**6


@data.command()
def index(
    place: Place, name: As = None, split: Split = "train", skip_bad: SkipBad = False, debug: Debug = False
) -> None:
    """Build the index that training in epochs reads records from, where there is none that is up to date.

    It lies in $LION_CACHE or ~/.cache/lion. Training builds it by itself; with this it can be done before.
    """
    started = time.monotonic()
    with Meter("indexing records") as meter:
        dataset = _open(place, name, split, skip_bad, meter.advance)
    from lion.data.index import IndexedRecords

    records = dataset.records
    assert isinstance(records, IndexedRecords)
    _say_bad(dataset.skipped)
    tasks = ", ".join(f"{task} {len(rows):,}" for task, rows in records.rows.items())
    size = sum(path.stat().st_size for path in records.folder.iterdir())
    print(f"{len(records):,} records ({tasks or 'none with answers'}), {len(dataset.skipped):,} left out")
    print(f"{size / MEGABYTE:,.1f} MB in {records.folder}, after {time.monotonic() - started:.1f} s")


@data.command()
def pack(
    place: Annotated[str, typer.Argument(metavar="DIR", help="A JSONL or CSV file, or the folder that holds one.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    shard_size: Annotated[int, typer.Option(min=1, metavar="MB", help="About how large a tar is.")] = 256,
    skip_bad: SkipBad = False,
    debug: Debug = False,
) -> None:
    """Write pictures and their texts as tars, which the source `shards` of a recipe and WebDataset read."""
    from lion.data import pack as packing

    with Meter("indexing records") as meter:
        dataset = _open(_own_file(place), None, "", skip_bad, meter.advance)
    with Meter("packing records", len(dataset.records)) as meter:
        packed = packing.pack(dataset.records, out, shard_size * MEGABYTE, meter.advance)
    _say_bad([*dataset.skipped, *packed.skipped])
    written = f"{packed.total('samples'):,} pictures with {packed.total('records'):,} records"
    print(f"{written}, {packed.total('bytes') / MEGABYTE:,.1f} MB in {len(packed.shards):,} tars in {out}")


@data.command()
def check(place: Place, name: As = None, split: Split = "train", debug: Debug = False) -> int:
    """Open every picture, look at every box, and compare archives with the hashes that `pack` wrote.

    A line for whatever is wrong; then the exit code is 2.
    """
    from lion.data.pack import check as problems

    with Meter("indexing records") as meter:
        dataset = _open(place, name, split, True, meter.advance)
    count = 0
    with Meter("checking records", len(dataset.records)) as meter:
        for ident, reason in problems(dataset, Path(place).expanduser(), meter.advance):
            count += 1
            with meter.aside():
                say("error", f"{ident}: {reason}")
    found = f"{count:,} problems" if count != 1 else "1 problem"
    print(
        f"{len(dataset.records) + len(dataset.skipped):,} records of {dataset.name}: {found if count else 'all fine'}"
    )
    return 2 if count else 0


def _open(place: str, name: str | None, split: str, skip_bad: bool, report: OnRecords) -> Dataset:
    """The dataset with its index. Raises: LionError, also for a place that holds none."""
    from lion.data.dataset import BadRecord
    from lion.data.files import is_url
    from lion.data.sources import open_index

    if name is None:
        path = Path(place).expanduser()
        own = path.suffix.lower() in _OWN or (path.is_dir() and not is_url(place) and _own_files(path))
        name, place = ("jsonl", _own_file(place)) if own else ("shards", place)
    try:
        return open_index(name, place, split, skip_bad=skip_bad, report=report)
    except BadRecord as error:
        raise BadRecord(error.problem, "--skip-bad") from error


_OWN = (".jsonl", ".csv")


def _own_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _OWN)


def _own_file(place: str) -> str:
    """The JSONL or CSV file that a place names. Raises: LionError if a folder holds none, or several."""
    path = Path(place).expanduser()
    if not path.is_dir():
        return place
    found = _own_files(path)
    if len(found) == 1:
        return str(found[0])
    names = ", ".join(path.name for path in found[:3])
    raise LionError(f"{place} holds {f'several ({names})' if found else 'no JSONL or CSV file'}; name the file")


def _say_bad(bad: Sequence[tuple[str, str]]) -> None:
    for ident, reason in bad:
        say("note", f"left out {ident}: {reason}")
