"""``lion annotate``: the same questions about any number of pictures, into a folder of shards that can be resumed."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from lion.annotate.asks import parse
from lion.cli.answering import load_pipeline
from lion.cli.options import Options, shared_options
from lion.cli.output import Meter, quiet_libraries, say

if TYPE_CHECKING:
    from lion.pipeline import LionPipeline


Given = Annotated[
    str,
    typer.Argument(
        metavar="INPUT",
        help="A folder, a quoted pattern, a .txt list of paths, parquet, or tars ('{000..099}.tar'); or a URL.",
    ),
]
Out = Annotated[Path, typer.Argument(metavar="OUT", help="A new folder, or one that is to be completed.")]
Do = Annotated[
    list[str],
    typer.Option(
        metavar="LIST",
        help='What to do with each picture: caption, tags, ask:"...", locate:"...", presence:"...", '
        "describe:x1,y1,x2,y2. A comma list; may be given several times.",
    ),
]
Form = Annotated[str, typer.Option("--format", help="Of the shards: parquet or jsonl.")]
ShardSize = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Pictures in a shard, which is what a stop loses at most; an archive is one by itself. "
        "(default: a twentieth of all, 8 to 1,000)",
    ),
]
Column = Annotated[str | None, typer.Option(help="Of parquet: the column with the pictures.")]
IfThere = Annotated[bool, typer.Option("--if-there", help="locate: no box where the model sees no such thing.")]
Coco = Annotated[Path | None, typer.Option(metavar="FILE", help="Write all boxes to a .coco.json file, too.")]
RetryErrors = Annotated[bool, typer.Option("--retry-errors", help="Make shards that have errors again.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Threads that read and decode. (default: one a core)")]
Ray = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Run on Ray: auto, ray://HOST:10001, or local for this machine.")
]
Actors = Annotated[int, typer.Option(min=1, help="On Ray: processes with a model each.")]
GpusPerActor = Annotated[float, typer.Option(min=0, help="On Ray: GPUs of each; a part of one is shared.")]


@shared_options("adapters", "json", "save", "tags", "tags_from")
def annotate(
    given: Given,
    out: Out,
    do: Do,
    form: Form = "parquet",
    shard_size: ShardSize = None,
    column: Column = None,
    if_there: IfThere = False,
    coco: Coco = None,
    retry_errors: RetryErrors = False,
    workers: Workers = None,
    ray: Ray = None,
    actors: Actors = 1,
    gpus_per_actor: GpusPerActor = 0,
    *,
    options: Options,
) -> None:
    """Ask the same about every picture of a folder, a list, parquet files or tars: millions of them, on one machine or
    many.

    Rows go to OUT/shards, pictures that cannot be used with the reason to OUT/errors. A run that was stopped goes on
    with the same command. docs/how-to/annotate.md shows the columns.
    """
    asks = parse(do)
    with Meter("loading libraries"):
        quiet_libraries(options.debug)
        from lion.annotate.coco import check_coco, write_coco
        from lion.annotate.on_ray import Cluster
        from lion.annotate.on_ray import annotate as run_on_ray
        from lion.annotate.run import Job, Plan
        from lion.annotate.run import annotate as run
    if coco:
        check_coco(coco := coco.expanduser(), asks)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    plan = Plan(given, out, Job(asks, options.prompt_tags, if_there, form, shard_size, column, workers or cores))
    if plan.note:
        say("note", plan.note)
    with Meter() as meter:
        progress = _Progress(meter)
        try:
            if ray:
                model = {
                    name: getattr(options, name) for name in ("model", "tagger", "device", "batch_size", "decoding")
                }
                with redirect_stdout(sys.stderr):  # Ray prints what befalls its processes
                    counts = run_on_ray(plan, model, Cluster(ray, actors, gpus_per_actor), progress, retry_errors)
            else:
                counts = run(plan, partial(_load, options, meter), progress, retry_errors)
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(f"stopped; {plan.kept()}, and the same command goes on there") from stop
    if coco:
        write_coco(plan.output.rows(len(plan.shards)), *plan.output.model(), coco)
    print(f"pictures: {counts['inputs']}, answered in {out / 'shards'}: {counts['rows']}, errors: {counts['errors']}")
    if notes := counts.get("notes"):
        say("note", f"pictures whose answers have a note, as those that are nearly black: {notes}; see the column note")
    if counts["errors"]:
        say("error", f"pictures that cannot be used: {counts['errors']}; the reasons stand in {out / 'errors'}")
        raise typer.Exit(2)


def _load(options: Options, meter: Meter) -> LionPipeline:
    with meter.aside():
        return load_pipeline(options)


class _Progress:
    """Shows how much is done, and how fast since this command began."""

    def __init__(self, meter: Meter) -> None:
        self._meter, self._start = meter, 0
        self._since: float | None = None

    def __call__(self, done: int, total: int) -> None:
        if self._since is None:
            self._since, self._start = monotonic(), done
        seconds = monotonic() - self._since
        speed = {"samples_per_second": (done - self._start) / seconds, "unit": "pictures"} if seconds > 1 else {}
        self._meter.watch("annotating", done, total, speed)
