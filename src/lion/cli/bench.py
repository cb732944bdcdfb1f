"""``lion bench``: how fast a model runs here, beside the machine's limits or a peer."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lion.cli.options import Debug, Device, Json, known_model
from lion.cli.output import Meter, check_place, quiet_libraries

if TYPE_CHECKING:
    from lion.bench.report import Row
    from lion.pipeline import LionPipeline

SECONDS = 60.0
LIMIT_SECONDS = 1.0
"""For a limit at one number of threads."""


def bench(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL", callback=known_model, help="A checkpoint folder or Hub id. (default: lion-mini)"
        ),
    ] = None,
    against: Annotated[
        Literal["generate", "instructblip", "ctranslate2"] | None,
        typer.Option(
            metavar="PEER",
            help="Compare with a peer instead, taking turns: generate, transformers' own decoding; instructblip, "
            "transformers' InstructBLIP, and ctranslate2, a plain T5, of equal shape and random weights.",
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of the CPU to compute with. (default: as many as torch takes)")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="Time to spend, about; slow models take longer.")] = SECONDS,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save bars as a picture: a .png, .svg or .pdf file.")
    ] = None,
    device: Device = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure how fast a model runs here, and how near that is to what the machine can do.

    Pictures are drawn scenes, every line is the median of several repeats. Numbers are worth something only where
    nothing else runs on the machine.
    """
    if plot is not None:
        check_place("--plot", plot)
    with Meter("loading the model"):
        quiet_libraries(debug)
        from lion.bench import report
        from lion.bench.plot import check_plot
        from lion.bench.plot import plot as save_plot
        from lion.bench.timing import threads as with_threads
        from lion.pipeline import LionPipeline

        if plot is not None:
            check_plot(plot)
        lion = LionPipeline.from_pretrained(model, device=device)
    import torch

    with with_threads(threads or torch.get_num_threads()):
        setting = report.Setting.of(lion)
        print(json_module.dumps(report.to_json(setting)) if json else setting, flush=True)
        rows: list[Row] = []
        for row in _rows(lion, against, seconds):
            if not json and not any(isinstance(other, type(row)) for other in rows):
                print("\n" + report.HEADS[type(row)])
            print(json_module.dumps(report.to_json(row)) if json else report.line(row), flush=True)
            rows.append(row)
    if not json and against is None:
        print("\n" + report.LEGEND)
    if plot is not None:
        save_plot(setting, rows, plot)


def _rows(lion: LionPipeline, against: str | None, seconds: float) -> Iterator[Row]:
    """What is measured, one after another."""
    import torch

    from lion.bench.limits import measure_limits
    from lion.bench.peers import PEERS, Shape
    from lion.bench.stages import measure_stages

    count = torch.get_num_threads()
    counts = sorted({1, count}) if lion.model.device.type == "cpu" else [count]
    limits = measure_limits(counts, lion.model.device, lion.model.dtype, LIMIT_SECONDS)
    yield from limits
    if against is None:
        yield from measure_stages(lion, limits[-1], seconds)
    else:
        yield from PEERS[against](lion, seconds, Shape())
