"""``lion eval``: answers a benchmark's questions with a model, scores the answers, and reports on many runs."""

from __future__ import annotations

import json as json_module
import sys
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from lion.cli.answering import introduce, read_tags
from lion.cli.eval_tables import print_differences, print_document, print_paper, print_world
from lion.cli.options import BatchSize, Debug, Json, Options, shared_options
from lion.cli.output import Meter, quiet_libraries, say
from lion.errors import LionError, LionWarning

if TYPE_CHECKING:
    from lion.distributed import Processes
    from lion.eval import DatasetBenchmark
    from lion.eval.benchmark import Benchmark
    from lion.pipeline import LionPipeline

PAPER_VERB = "ask"
"""The hidden verb that benchmarks of the paper belong to."""


class _Names(TyperGroup):
    """Any word that is no verb of `lion eval` is taken as the name of a benchmark of the paper, or of an own file."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = [PAPER_VERB, *args]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Leave the hidden verb out of usage and errors."""
        name, command, rest = super().resolve_command(ctx, args)
        return "" if name == PAPER_VERB else name, command, rest


evaluation = typer.Typer(
    cls=_Names,
    help="Answer a benchmark's questions and score the answers. The paper's benchmarks go by their names: "
    "lion eval okvqa refcoco … --data DIR, your own files by theirs: lion eval my.jsonl; "
    "lion eval okvqa --help shows the options.",
    no_args_is_help=True,
)

Runs = Annotated[list[Path], typer.Argument(metavar="RUN…", help="Folders that lion eval wrote.")]
MovedData = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Where the datasets lie, if they have moved.")
]
Out = Annotated[
    Path | None, typer.Option(metavar="RUN", help="Folder for answers and scores. (default: under outputs/eval)")
]
Limit = Annotated[int | None, typer.Option(min=1, help="The first so many samples of each. (default: all)")]


@evaluation.command(PAPER_VERB, hidden=True)
@shared_options("save", "tags", "empty_tags", "decoding", "batch_size")
def paper(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME…", help="Benchmarks: okvqa, pope, …; your own JSONL or CSV.")
    ],
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="The folder that the datasets lie in.")] = None,
    out: Out = None,
    limit: Limit = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop if there are fewer samples than officially.")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave bad records out, count and list them.")] = False,
    prompt: Annotated[str | None, typer.Option(metavar="NAME", help="Another of a benchmark's prompts.")] = None,
    decoding: Annotated[str | None, typer.Option(metavar="NAME", help="Another decoding: see lion info.")] = None,
    against: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Show the difference from another model's answers, with its interval."),
    ] = None,
    batch_size: BatchSize = 16,
    *,
    options: Options,
) -> None:
    """Run benchmarks of the paper on their original files, and score as their official evaluators do.

    A file of your own, with lines as for lion train, is a benchmark for each task in it: captions, questions, dialogs,
    boxes both ways. Each benchmark has its own folder below RUN. A stopped run is resumed when it is started again with
    the same folder; torchrun and accelerate launch share it among processes.
    """
    if strict and limit is not None:
        raise LionError("--strict requires all samples and --limit leaves some out; leave one out")
    processes = _processes(options)
    with Meter("reading the data"):
        from lion.eval import DatasetBenchmark, is_file, named

        rows = named([name for name in names if not is_file(name)])
        if rows and data is None:
            raise LionError(f"{rows[0].name} needs the folder that the datasets lie in; name it with --data DIR")
        read_tags(options)  # a mistake is reported before the model is loaded
        settings: dict[str, Any] = {"limit": limit, "prompt": prompt, "preset": decoding}
        settings |= {"tagged": not options.no_tags, "skip_bad": skip_bad}
        chosen = [DatasetBenchmark(row, data, **settings) for row in rows if data]
        for name in filter(is_file, dict.fromkeys(names)):
            chosen += DatasetBenchmark.of_file(name, **settings)
        if twice := [name for name, count in Counter(one.name for one in chosen).items() if count > 1]:
            raise LionError(f"two of the files would be called {twice[0]}; rename one, or score it by itself")
        for benchmark in chosen:
            _check(benchmark, strict, processes)
        earlier = _earlier(chosen, against)
    evaluate(chosen, options, out, batch_size, processes=processes, earlier=earlier, drawn=False)


@evaluation.command()
@shared_options("save", "tags", "empty_tags", "tags_from", "decoding", "batch_size")
def world(
    limit: Annotated[int, typer.Option(min=1, help="Questions of each set.")] = 1000,
    split: Annotated[str, typer.Option(help="test, or val for choosing between models.")] = "test",
    out: Out = None,
    blind: Annotated[bool, typer.Option("--blind", help="Answer everything once more for a grey picture.")] = False,
    batch_size: BatchSize = 32,
    *,
    options: Options,
) -> None:
    """Answer the frozen questions of the drawn world: captions, VQA, dialog, boxes both ways, POPE, tags.

    A stopped run is resumed when it is started again with the same folder.
    """
    processes = _processes(options)
    from lion.eval import WorldBenchmark

    evaluate(
        [WorldBenchmark(split, limit, not options.no_tags)], options, out, batch_size, blind=blind, processes=processes
    )


@evaluation.command("all-mini")
@shared_options("save", "tags", "no_tags", "empty_tags", "tags_from", "decoding", "batch_size")
def all_mini(
    limit: Annotated[int, typer.Option(min=1, help="Samples of each benchmark.")] = 200,
    out: Out = None,
    batch_size: BatchSize = 16,
    *,
    options: Options,
) -> None:
    """Draw the world in every dataset's file format, and run every benchmark on it.

    Tests files, prompts, ranking and scores, on pictures that lion-mini knows. The numbers are not those of the real
    datasets.
    """
    processes = _processes(options)
    from lion.eval.world.all_mini import benchmarks, draw

    out = out or Path("outputs", "eval", "all-mini")
    data = out / f"world-{limit}"
    if processes.main:
        with Meter("drawing", None) as meter:
            draw(data, limit, meter.advance)
    processes.wait()
    evaluate(benchmarks(data, limit), options, out, batch_size, processes=processes)


@evaluation.command()
def score(folders: Runs, data: MovedData = None, json: Json = False, debug: Debug = False) -> None:
    """Score the answers in a folder again, without a model."""
    with Meter("scoring"):
        quiet_libraries(debug)
        from lion.eval import rescore
        from lion.eval.predictions import run_folders

        records = [(folder, rescore(folder, data)) for folder in run_folders(folders)]
    _print(records, json)


@evaluation.command()
def report(
    folders: Runs,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the report goes. (default: report/ in the first RUN)")
    ] = None,
    data: MovedData = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Put runs into the paper's tables, with a gallery of the worst errors: report.md, report.json and report.html."""
    out = out or folders[0] / "report"
    with Meter("writing the report"):
        quiet_libraries(debug)
        from lion.eval.document import markdown
        from lion.eval.report import write_report

        document, record = write_report(folders, out, data)
    if json or not sys.stdout.isatty():
        print(json_module.dumps(record) if json else markdown(document).rstrip())
    else:
        print_document(document)
    say("note", f"with pictures in {out / 'report.html'}")


def evaluate(
    benchmarks: Sequence[Benchmark],
    options: Options,
    out: Path | None,
    batch_size: int = 32,
    *,
    blind: bool = False,
    processes: Processes | None = None,
    earlier: Mapping[str, Path] = MappingProxyType({}),
    drawn: bool = True,
) -> None:
    """Load the model, generate the missing predictions of each benchmark, score and print.

    Args:
        benchmarks: all of the paper, or the drawn world alone.
        options: model, device, tags from a file and output format are used.
        out: the folder of the drawn world, or the one that holds a folder for each benchmark of the paper.
        batch_size: questions answered together.
        blind: also answer everything with a grey image.
        processes: those that share the work.
        earlier: by name of a benchmark, the folder of another run, to show the difference.
        drawn: whether the pictures are drawn scenes, which every model may be asked about.

    Raises: LionError for an unknown model, a folder of another run, or one that cannot be written.
    """
    from lion.distributed import Processes
    from lion.eval import Evaluation

    processes = processes or Processes()
    pipeline = _load(options, batch_size, processes)
    if processes.main and not drawn:
        introduce(pipeline.about)
    model, root = Path(pipeline.name).name, Path("outputs", "eval")
    records = []
    for number, benchmark in enumerate(benchmarks, start=1):
        if benchmark.name == "world":
            folder = out or root / f"{benchmark.label}-{model}"
        else:
            folder = (out or root / model) / benchmark.label
        try:
            with Meter("writing the questions"):
                run = Evaluation(pipeline, benchmark, folder, blind=blind, processes=processes)
            label = f"{benchmark.name} ({number} of {len(benchmarks)})"
            with Meter(label, run.pending) as meter:
                run.predict(meter.advance)
            with Meter("scoring"):
                record = run.finish()
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(
                f"stopped; what is answered is in {folder}; the same command goes on there"
            ) from stop
        except OSError as error:
            raise LionError(f"cannot write to {folder}: {error.strerror or error}; choose another --out") from error
        if record:
            records.append((folder, record))
    _print(records, options.json, [(folder, earlier[run["benchmark"]]) for folder, run in records if earlier])


def _load(options: Options, batch_size: int, processes: Processes) -> LionPipeline:
    """The model with its tagger or the tags of a file; the first process says where it has neither."""
    from lion.checkpoints.finding import no_tagger
    from lion.pipeline import LionPipeline

    with Meter("loading the model"), warnings.catch_warnings():
        warnings.simplefilter("ignore", LionWarning)  # each process would repeat it
        device = processes.device(options.device)
        pipeline = LionPipeline.from_pretrained(
            options.model,
            tagger=options.tagger,
            adapters=options.adapters,
            device=device,
            batch_size=batch_size,
        )
    if (tags := read_tags(options)) is not None:
        pipeline.tagger = tags
    if pipeline.tagger is None and not options.no_tags and processes.main:
        say("note", no_tagger(pipeline.name))
    return pipeline


def _processes(options: Options) -> Processes:
    """The launcher's processes, joined, once libraries are loaded and quiet."""
    with Meter("loading libraries"):
        quiet_libraries(options.debug)
        import lion.eval  # noqa: F401
        from lion.distributed import Processes

        return Processes.launched()


def _check(benchmark: DatasetBenchmark, strict: bool, processes: Processes) -> None:
    """Read the data before the model is loaded, and report missing and bad samples."""
    if strict:
        benchmark.check_complete()
    samples, official = len(benchmark.selection.samples), benchmark.official
    if not processes.main:
        return
    if official and samples < official and benchmark.limit is None:
        say("note", f"{benchmark.name}: {samples} of the official {official} samples are there")
    if skipped := benchmark.selection.skipped:
        say("note", f"{benchmark.name}: {len(skipped)} bad ones left out, the first is {': '.join(skipped[0])}")


def _earlier(chosen: Sequence[DatasetBenchmark], against: Path | None) -> dict[str, Path]:
    """By name of a benchmark, the run in `against` with answers to the same questions."""
    if against is None:
        return {}
    from lion.eval.comparison import runs_of

    return {benchmark.name: runs_of(benchmark, against.expanduser()) for benchmark in chosen}


def _print(records: Sequence[tuple[Path, dict[str, Any]]], json: bool, pairs: Sequence[tuple[Path, Path]] = ()) -> None:
    """Scores, and the differences of the `pairs` of runs."""
    from lion.eval.comparison import compare

    differences = [compare(*pair) for pair in pairs]
    if json:
        found = [{"differences": [asdict(one) for one in of]} for of in differences] or [{}] * len(records)
        for (_, record), more in zip(records, found, strict=True):
            print(json_module.dumps(record | more))
        return
    for folder, record in records:
        if record["benchmark"] == "world":
            print_world(folder, record)
    if papers := [record for _, record in records if record["benchmark"] != "world"]:
        print_paper(papers)
    if differences:
        print_differences([one for of in differences for one in of])
