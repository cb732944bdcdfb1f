"""``lion eval``: a benchmark's questions put to a model, its answers scored, and reports of many runs."""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from lion.cli.answering import introduce
from lion.cli.eval_tables import print_paper, print_world
from lion.cli.options import BatchSize, Debug, Device, Json, Model, TagsFrom
from lion.cli.output import Meter, quiet_libraries, say, waiting
from lion.errors import LionError

if TYPE_CHECKING:
    from lion.eval import DatasetBenchmark, Processes
    from lion.eval.benchmark import Benchmark
    from lion.pipeline import LionPipeline
    from lion.tagging import TagFile

ASK = "ask"


class _Names(TyperGroup):
    """What is not a verb of `lion eval` is the name of a benchmark to ask."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = [ASK, *args]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Usage and errors do not name a verb that nobody typed."""
        name, command, rest = super().resolve_command(ctx, args)
        return "" if name == ASK else name, command, rest


evaluation = typer.Typer(
    cls=_Names,
    help="Ask a benchmark's questions and score the answers. The paper's benchmarks go by their names: "
    "lion eval okvqa refcoco … --data DIR; lion eval okvqa --help shows the options.",
    no_args_is_help=True,
)

MovedData = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Where the datasets lie, if they have moved.")
]
Out = Annotated[
    Path | None, typer.Option(metavar="RUN", help="Folder for answers and scores. (default: under outputs/eval)")
]
Limit = Annotated[int | None, typer.Option(min=1, help="Ask the first so many samples of each. (default: all)")]
TagsOff = Annotated[bool, typer.Option("--tags-off", help="Give the model no tags.")]


@evaluation.command(ASK, hidden=True)
def ask(
    names: Annotated[list[str], typer.Argument(metavar="NAME…", help="Benchmarks: okvqa, refcoco, pope, …")],
    data: Annotated[Path, typer.Option(metavar="DIR", help="The folder that the datasets lie in.")],
    model: Model = None,
    out: Out = None,
    limit: Limit = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop if there are fewer samples than officially.")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave bad records out, count and list them.")] = False,
    prompt: Annotated[str | None, typer.Option(metavar="NAME", help="Another of a benchmark's prompts.")] = None,
    decoding: Annotated[str | None, typer.Option(metavar="NAME", help="Another decoding: see lion info.")] = None,
    tags_off: TagsOff = False,
    tags_from: TagsFrom = None,
    json: Json = False,
    device: Device = None,
    batch_size: BatchSize = 16,
    debug: Debug = False,
) -> None:
    """Ask benchmarks of the paper, from their original files, and score as their official evaluators do.

    Each has its own folder below RUN. A run that was stopped goes on where it was when it is started again with the
    same folder; torchrun and accelerate launch share it among processes.
    """
    if strict and limit is not None:
        raise LionError("--strict wants all samples and --limit only some; leave one out")
    if tags_off and tags_from is not None:
        raise LionError("--tags-off and --tags-from exclude each other; use one")
    with waiting("waking up"):
        quiet_libraries(debug)
        from lion.checkpoints.finding import BUNDLED
        from lion.eval import DatasetBenchmark, Processes, named
        from lion.tagging import TagFile

        rows = named(names)
        processes = Processes.launched()
    with waiting("reading the data"):
        tags = None if tags_from is None else TagFile.read(tags_from)
        chosen = [DatasetBenchmark(row, data, limit, prompt, decoding, not tags_off, skip_bad) for row in rows]
        for benchmark in chosen:
            _check(benchmark, strict, processes)
    if processes.main:
        introduce(model or BUNDLED)
    _ask_all(chosen, model, out, json, device, batch_size, processes, tags)


@evaluation.command()
def world(
    model: Model = None,
    limit: Annotated[int, typer.Option(min=1, help="Questions of each set.")] = 1000,
    split: Annotated[str, typer.Option(help="test, or val for choosing between models.")] = "test",
    out: Out = None,
    blind: Annotated[bool, typer.Option("--blind", help="Ask everything once more before a grey picture.")] = False,
    tags_off: TagsOff = False,
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
        from lion.eval import Processes, WorldBenchmark

        processes = Processes.launched()
    benchmark = WorldBenchmark(split, limit, not tags_off)
    evaluate(benchmark, model, out, blind, json, device, batch_size, processes)


@evaluation.command("all-mini")
def all_mini(
    model: Model = None,
    limit: Annotated[int, typer.Option(min=1, help="Samples of each benchmark.")] = 200,
    out: Out = None,
    json: Json = False,
    device: Device = None,
    batch_size: BatchSize = 16,
    debug: Debug = False,
) -> None:
    """Draw the world in every dataset's files, and ask every benchmark on it.

    Shows that files, prompts, ways of answering and scores work, on pictures that lion-mini knows. The numbers are not
    those of the real datasets.
    """
    with waiting("waking up"):
        quiet_libraries(debug)
        from lion.eval import Processes
        from lion.eval.world.all_mini import benchmarks, draw

        processes = Processes.launched()
    out = out or Path("outputs", "eval", "all-mini")
    data = out / f"world-{limit}"
    if processes.main:
        with Meter("drawing", None) as meter:
            draw(data, limit, meter.advance)
    processes.wait()
    _ask_all(benchmarks(data, limit), model, out, json, device, batch_size, processes)


@evaluation.command()
def score(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Folders that lion eval wrote.")],
    data: MovedData = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Score the answers in a folder again, without a model."""
    with waiting("scoring"):
        quiet_libraries(debug)
        from lion.eval import rescore
        from lion.eval.report import run_folders

        records = [(folder, rescore(folder, data)) for folder in run_folders(folders)]
    _print(records, json)


@evaluation.command()
def report(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Folders that lion eval wrote.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the report goes. (default: report/ in the first RUN)")
    ] = None,
    data: MovedData = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Put runs into the paper's tables, with a gallery of the worst errors: report.md, report.json and report.html."""
    with waiting("writing the report"):
        quiet_libraries(debug)
        from lion.eval.report import write_report

        place = out or folders[0] / "report"
        written = write_report(folders, place, data)
    print(json_module.dumps(written.data) if json else written.markdown.rstrip())
    say("note", f"with pictures in {place / 'report.html'}")


def evaluate(
    benchmark: Benchmark,
    model: str | None,
    out: Path | None,
    blind: bool = False,
    json: bool = False,
    device: str | None = None,
    batch_size: int = 32,
    processes: Processes | None = None,
) -> None:
    """Load the model, ask what is unanswered, score and print.

    Args:
        benchmark: what to ask.
        model, out, blind, json, device, batch_size: as on the command line.
        processes: those that share the work.

    Raises:
        LionError: no such model, a folder of another run, or one that cannot be written.
    """
    from lion.eval import Processes

    processes = processes or Processes()
    pipeline = _load(model, device, batch_size, processes)
    folder = out or Path("outputs", "eval", f"{benchmark.label}-{Path(pipeline.name).name}")
    if record := _evaluate(pipeline, benchmark, folder, processes, "asking", blind):
        _print([(folder, record)], json)


def _check(benchmark: DatasetBenchmark, strict: bool, processes: Processes) -> None:
    """Read the data before the model is loaded, and say what is missing of it."""
    if strict:
        benchmark.check_complete()
    samples, official = len(benchmark.samples), benchmark.official
    if not processes.main:
        return
    if official and samples < official and benchmark.limit is None:
        say("note", f"{benchmark.name}: {samples} of the official {official} samples are there")
    if skipped := benchmark.skipped:
        say("note", f"{benchmark.name}: {len(skipped)} bad ones left out, the first is {': '.join(skipped[0])}")


def _ask_all(
    benchmarks: Sequence[DatasetBenchmark],
    model: str | None,
    out: Path | None,
    json: bool,
    device: str | None,
    batch_size: int,
    processes: Processes,
    tags: TagFile | None = None,
) -> None:
    """Load the model, ask every benchmark into a folder of its own below `out`, and print the scores."""
    pipeline = _load(model, device, batch_size, processes, tags)
    out = out or Path("outputs", "eval", Path(pipeline.name).name)
    records = []
    for number, benchmark in enumerate(benchmarks, start=1):
        what = f"{benchmark.name} ({number} of {len(benchmarks)})"
        record = _evaluate(pipeline, benchmark, out / benchmark.label, processes, what)
        if record:
            records.append((out / benchmark.label, record))
    if records:
        _print(records, json)


def _load(
    model: str | None, device: str | None, batch_size: int, processes: Processes, tags: TagFile | None = None
) -> LionPipeline:
    from lion.pipeline import LionPipeline

    with waiting("loading the model"):
        pipeline = LionPipeline.from_pretrained(model, device=processes.device(device), batch_size=batch_size)
    if tags is not None:
        pipeline.tagger = tags
    if pipeline.tagger is None and processes.main:
        say("note", f"{pipeline.name} has no tagger: its prompts hold no tags, and none are scored")
    return pipeline


def _evaluate(
    pipeline: LionPipeline,
    benchmark: Benchmark,
    folder: Path,
    processes: Processes,
    what: str,
    blind: bool = False,
) -> dict[str, Any] | None:
    """Ask what is unanswered and score; None in all processes but the main one.

    Raises:
        LionError: a folder of another run, or one that cannot be written.
    """
    from lion.eval import Evaluation

    try:
        with waiting("writing the questions"):
            run = Evaluation(pipeline, benchmark, folder, blind=blind, processes=processes)
        with Meter(what, run.pending, shown=processes.main) as meter:
            run.ask(lambda part, count: meter.advance(count))
        with waiting("scoring"):
            return run.finish()
    except OSError as error:
        raise LionError(f"cannot write to {folder}: {error.strerror or error}; choose another --out") from error


def _print(records: Sequence[tuple[Path, dict[str, Any]]], json: bool) -> None:
    if json:
        for _, record in records:
            print(json_module.dumps(record))
        return
    for folder, record in records:
        if record["benchmark"] == "world":
            print_world(folder, record)
    if papers := [record for _, record in records if record["benchmark"] != "world"]:
        print_paper(papers)
