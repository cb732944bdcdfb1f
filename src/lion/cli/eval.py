"""``lion eval``: a benchmark's questions put to a model, and its answers scored."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lion.cli.options import BatchSize, Debug, Device, Json, Model
from lion.cli.output import Meter, quiet_libraries, say, waiting
from lion.errors import LionError

if TYPE_CHECKING:
    from lion.eval.benchmark import Benchmark

evaluation = typer.Typer(help="Ask a benchmark's questions and score the answers.", no_args_is_help=True)


@evaluation.command()
def world(
    model: Model = None,
    samples: Annotated[int, typer.Option(min=1, help="Questions of each set.")] = 1000,
    split: Annotated[str, typer.Option(help="test, or val for choosing between models.")] = "test",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for answers and scores. (default: under outputs/eval)")
    ] = None,
    blind: Annotated[bool, typer.Option("--blind", help="Ask everything once more before a grey picture.")] = False,
    tags_off: Annotated[bool, typer.Option("--tags-off", help="Give the model no tags.")] = False,
    json: Json = False,
    device: Device = None,
    batch_size: BatchSize = 32,
    debug: Debug = False,
) -> None:
    """Ask the frozen questions of the drawn world: captions, VQA, dialog, boxes both ways, POPE, tags.

    A run that was stopped goes on where it was when it is started again with the same folder.
    """
    with waiting("waking up"):
        quiet_libraries(debug)
        from lion.eval import WorldBenchmark
    evaluate(WorldBenchmark(split, samples, not tags_off), model, out, blind, json, device, batch_size)


@evaluation.command()
def score(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that lion eval wrote.")],
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Score the answers in a folder again, without a model."""
    with waiting("scoring"):
        quiet_libraries(debug)
        from lion.eval import BENCHMARKS, rescore

        record = rescore(folder)
    _print(record, BENCHMARKS[record["benchmark"]].of(record), folder, json)


def evaluate(
    benchmark: Benchmark,
    model: str | None,
    out: Path | None,
    blind: bool = False,
    json: bool = False,
    device: str | None = None,
    batch_size: int = 32,
) -> None:
    """Load the model, ask what is unanswered, score and print.

    Args:
        benchmark: what to ask.
        model, out, blind, json, device, batch_size: as on the command line.

    Raises:
        LionError: no such model, a folder of another run, or one that cannot be written.
    """
    from lion.eval import Evaluation
    from lion.pipeline import LionPipeline

    with waiting("loading the model"):
        pipeline = LionPipeline.from_pretrained(model, device=device, batch_size=batch_size)
    folder = out or Path("outputs", "eval", f"{benchmark.label}-{Path(pipeline.name).name}")
    if pipeline.tagger is None:
        say("note", f"{pipeline.name} has no tagger: its prompts hold no tags, and none are scored")
    try:
        with waiting("writing the questions"):
            run = Evaluation(pipeline, benchmark, folder, blind=blind)
        with Meter("asking", run.pending) as meter:
            run.ask(lambda part, count: meter.advance(count))
        with waiting("scoring"):
            record = run.finish()
    except OSError as error:
        raise LionError(f"cannot write to {folder}: {error.strerror or error}; choose another --out") from error
    _print(record, benchmark, folder, json)


def _print(record: Mapping[str, Any], benchmark: Benchmark, folder: Path, json: bool) -> None:
    if json:
        print(json_module.dumps(record, ensure_ascii=False))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from lion.eval.report import header, table

    columns = header(record["blind_run"])
    shown = Table(title=f"{record['model']} on {benchmark.label}", box=SIMPLE_HEAD)
    shown.add_column(columns[0], overflow="fold")
    for column in columns[1:]:
        shown.add_column(column, justify="right", no_wrap=True)
    for row in table(record, benchmark.table):
        shown.add_row(*row)
    console = Console() if sys.stdout.isatty() else Console(width=140)
    console.print(shown)
    print(f"{record['seconds'] / 60:.1f} minutes of asking on {record['hardware']}; slices in {folder / 'report.md'}")
