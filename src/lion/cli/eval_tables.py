"""Scores as tables on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lion.eval.comparison import Difference
    from lion.eval.document import Block


def print_world(folder: Path, record: Mapping[str, Any]) -> None:
    """The drawn world's scores beside the baselines and the targets."""
    from lion.eval import WorldBenchmark
    from lion.eval.world.report import notes, table

    print_table(f"{record['model']} on {WorldBenchmark.of(record).label}", table(record))
    for note in notes(record):
        print(note)
    print(
        f"{record['seconds'] / 60:.1f} minutes of inference on {record['hardware']}; slices in {folder / 'report.md'}"
    )


def print_paper(records: Sequence[Mapping[str, Any]]) -> None:
    """Scores of the paper's benchmarks, beside the paper's, and of own files."""
    from lion.eval.report import DRAWN
    from lion.eval.rows import row_notes, score_rows

    rows = [row for record in records for row in score_rows(record)]
    known = list(dict.fromkeys(model for row in rows for model in row.paper if "zero-shot" not in model))
    cells = [["benchmark", "score", "ours", "samples", *known]]
    cells += [[row.title, row.score, row.ours, row.count, *map(row.paper_of, known)] for row in rows]
    models = ", ".join(dict.fromkeys(str(record["model"]) for record in records))
    print_table(models, cells)
    for note in [DRAWN] * any(row.drawn for row in rows) + row_notes(rows):
        print(note)
    seconds = sum(record["seconds"] for record in records)
    print(f"{seconds / 60:.1f} minutes of inference on {records[0]['hardware']}")


def print_differences(differences: Sequence[Difference]) -> None:
    """The differences of this run's scores from another run's."""
    cells = [["benchmark", "score", "ours", "other", "difference [95 %]", "samples"]]
    for one in differences:
        numbers = [f"{one.value:.2f}", f"{one.value_against:.2f}", one.shown, str(one.n)]
        cells.append([one.benchmark, one.score, *numbers])
    print_table("difference from the other run, paired by sample", cells)


def print_document(document: Sequence[Block]) -> None:
    """A report on a terminal; what is too wide for it is folded."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as Shown

    from lion.eval.document import Heading, Items, Picture, Table

    for block in document:
        match block:
            case Table(rows):
                shown = Shown(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
                for place, name in enumerate(rows[0]):
                    shown.add_column(name, overflow="fold", no_wrap=place < 2)  # what is scored, and how
                for row in rows[1:]:
                    shown.add_row(*row)
                Console().print(shown, markup=False)
            case Items(lines):
                print(*(f"* {line}" for line in lines), sep="\n")
            case Heading(text):
                print(f"\n{text}")
            case Picture():  # named below the report
                pass
            case str():
                print(block)


def print_table(title: str, rows: Sequence[Sequence[str]]) -> None:
    """Print a table; its first row names the columns."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    shown = Table(title=title, box=SIMPLE_HEAD)
    shown.add_column(rows[0][0], overflow="fold")
    for column in rows[0][1:]:
        shown.add_column(column, justify="right", no_wrap=True)
    for row in rows[1:]:
        shown.add_row(*row)
    console = Console() if sys.stdout.isatty() else Console(width=140)
    console.print(shown)
