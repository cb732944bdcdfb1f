"""``lion train``: run a recipe, or a chain of them."""

from __future__ import annotations

import json as json_module
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from lion.cli.eval import evaluate
from lion.cli.options import Debug, Json, Options, check_training_packages
from lion.cli.output import Meter, quiet_libraries, say
from lion.cli.train_plan import plan_chain
from lion.errors import LionError

if TYPE_CHECKING:
    from lion.train.dry_run import RunEstimate
    from lion.train.recipe import Chain
    from lion.train.recipe.schema import Recipe


RecipeArgument = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A shipped recipe's name, or a YAML file; with --plot a run's folder.")
]
LogTo = Annotated[
    list[str] | None,
    typer.Option("--log-to", metavar="wandb|trackio", help="Send the curves to this service, too; once for each."),
]
PlotRuns = Annotated[
    bool, typer.Option("--plot", help="Train nothing; draw the curves of the runs whose folders are given.")
]
FigureFile = Annotated[
    Path | None, typer.Option("--out", help="With --plot: the figure, .png, .svg or .pdf (curves.png).")
]


def recipes() -> str:
    """The shipped recipes for the help text, each with the first line of its file."""
    paths = sorted((Path(__file__).parents[1] / "recipes").glob("*.yaml"))
    titles = [f"{path.stem}: {path.read_text().splitlines()[0].lstrip('# ')}" for path in paths]
    return "Shipped recipes:\n\n" + "\n\n".join(titles)


def print_accelerate_config(name: str | None) -> None:
    """Print the path of one of accelerate's files in the package. Raises: LionError for an unknown name."""
    if name is None:
        return
    known = {path.stem: path for path in (Path(__file__).parents[1] / "train" / "accelerate").glob("*.yaml")}
    if name not in known:
        raise LionError(f"--accelerate-config: there is no {name}; there are {', '.join(sorted(known))}")
    print(known[name])
    raise typer.Exit


class TrainCommand(TyperCommand):
    """The command, whose help reads the shipped recipes when it is shown and not at every start."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.epilog = recipes()
        super().format_help(ctx, formatter)


AccelerateConfig = Annotated[
    str | None,
    typer.Option(
        "--accelerate-config",
        metavar="ddp|fsdp2",
        callback=print_accelerate_config,
        is_eager=True,
        help="Print the path of the file for accelerate launch --config_file, and stop.",
    ),
]


def train(
    recipe: Annotated[
        str,
        typer.Argument(metavar="RECIPE", help="A shipped recipe's name, or a YAML file; with --plot a run's folder."),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Settings to change, as steps=100 or optimizer.lr=1e-3."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would train, and in how much memory; train nothing.")
    ] = False,
    time: Annotated[
        bool, typer.Option("--time", help="With --dry-run: load the model and time a step of each run, too.")
    ] = False,
    on: Annotated[
        str | None, typer.Option("--on", metavar="CARD:N", help="With --dry-run: plan the run on N such cards: h200:8.")
    ] = None,
    mfu: Annotated[
        float, typer.Option("--mfu", min=0.01, max=1.0, help="With --on: share of a card's arithmetic that is reached.")
    ] = 0.4,
    restart: Annotated[bool, typer.Option("--restart", help="Throw away an earlier run in the same folder.")] = False,
    at_once: Annotated[
        int, typer.Option("--at-once", min=1, help="Recipes of a chain to train at a time, where none needs another.")
    ] = 1,
    log_to: LogTo = None,
    plot: PlotRuns = False,
    out: FigureFile = None,
    accelerate_config: AccelerateConfig = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Train: run a recipe, or all recipes of a chain; finished runs are skipped, stopped ones resume.

    A chain may end with test questions; answers and scores go to the folder `scores` beside the trained models.
    """
    from lion.train.recipe import load_chain

    if plot or out:
        _plot([recipe, *(overrides or [])], out or Path("curves.png"), plot)
        return
    if time and not dry_run:
        raise LionError("--time measures a step of a dry run; add --dry-run")
    if on and (time or not dry_run):
        raise LionError("--on plans a run elsewhere; give it with --dry-run, and without --time")
    chain = load_chain(recipe, [*(overrides or []), *([f"log_to=[{', '.join(log_to)}]"] if log_to else [])])
    if on:
        quiet_libraries(debug)
        plan_chain(chain.recipes, on, mfu, json)
        return
    quiet = partial(quiet_libraries, debug)
    quiet()
    check_training_packages()
    if dry_run:
        for number, each in enumerate(chain.recipes):
            _dry_run(each, chain.recipes[:number], time, json)
    else:
        _train(chain, at_once, restart, quiet, json)


def _plot(folders: Sequence[str], out: Path, asked: bool) -> None:
    """Draw the curves of runs, over an earlier figure: one looks again and again."""
    from lion.train.curves_plot import plot_curves

    if not asked:
        raise LionError("--out names the figure of --plot; a run's folder is the setting out=FOLDER")
    names = plot_curves([Path(folder).expanduser() for folder in folders], out)
    print(f"{out}: {', '.join(names)}")


def _train(chain: Chain, at_once: int, restart: bool, quiet: Callable[[], None], json: bool) -> None:
    """Train what has not finished, print each record, and score the last model where the chain has questions."""
    from lion.distributed import Processes
    from lion.train.run import train_in_turn
    from lion.train.side_by_side import train_side_by_side
    from lion.train.stopping import Stopped
    from lion.train.trackers import check_trackers

    check_trackers(sorted({name for each in chain.recipes for name in each.log_to}))
    main, trained = Processes.launched(join=False).main, set[str]()
    try:
        with Meter() as meter:
            if at_once == 1:
                runs = train_in_turn(chain.recipes, restart=restart, watch=meter.watch)
            else:
                runs = train_side_by_side(chain.recipes, at_once, restart=restart, prepare=quiet, watch=meter.watch)
            for each, record, before in runs:
                if not before:
                    trained.add(each.name)
                if main:
                    with meter.aside():
                        _print_record(each, record, before, json)
    except Stopped as stopped:
        if stopped.interrupted:
            raise KeyboardInterrupt(str(stopped)) from None
        say("note", str(stopped))
        raise typer.Exit(0) from None
    if chain.questions and main:
        _score(chain.recipes[-1], chain.questions, anew=chain.recipes[-1].name in trained, json=json)


def _score(recipe: Recipe, questions: int, *, anew: bool, json: bool) -> None:
    """Score a finished run's model on test questions of the drawn world; `anew`: discard earlier answers."""
    from lion.eval import WorldBenchmark

    scores = recipe.root / "scores"
    if anew and (scores / "run.json").is_file():
        shutil.rmtree(scores)
    evaluate([WorldBenchmark("test", questions)], Options(model=str(recipe.folder), json=json), scores)


def _dry_run(recipe: Recipe, before: Sequence[Recipe], time: bool, as_json: bool) -> None:
    """Print what a run would train; what needs a pass of the model comes last, and only if asked for."""
    from lion.train.dry_run import dry_run, time_step

    with Meter(f"{recipe.name}: reading the data"):
        run, objective = dry_run(recipe, before)
    for note in run.notes:
        say("note", note)
    if not as_json:
        _print_estimate(run)
    if time:
        with Meter(f"{recipe.name}: loading the model, timing a step"):
            run = replace(run, seconds_per_step=time_step(recipe, objective))
    if as_json:
        print(json_module.dumps({**asdict(run), "missing": list(map(str, run.missing)), "hours": run.hours}))
    elif run.hours is not None:
        unit, length = next((u, s) for u, s in (("h", 3600), ("min", 60), ("s", 1)) if run.hours * 3600 >= s or s == 1)
        took = f"{run.hours * 3600 / length:.2g} {unit}"
        aside = "samples, optimizer and validation aside"
        print(f"  time   about {took} at {run.seconds_per_step:.2g} s a step here, {aside}")


def _print_estimate(run: RunEstimate) -> None:
    print(f"{run.name}: {run.stage}, {run.steps:,} steps, {run.samples:,} samples")
    for component, count in run.trained.items():
        print(f"  trains {component:<18} {count:>13,} parameters")
    print(f"  frozen {'':<18} {run.frozen:>13,} parameters")
    print(f"  memory {run.memory_bytes / 1e6:,.0f} MB for weights, gradients and optimizer; activations on top")
    for folder in run.missing:
        print(f"  first  {folder} has to be trained; random weights stand in for it")


def _print_record(recipe: Recipe, record: Mapping[str, Any], before: bool, as_json: bool) -> None:
    if before:
        say("note", f"{recipe.name} is finished in {recipe.folder}; --restart would train it anew")
    if as_json:
        print(json_module.dumps(record))
        return
    minutes = record["seconds"] / 60
    print(
        f"{record['name']}: {record['steps']:,} steps in {minutes:.1f} min on {record['hardware']}, in {recipe.folder}"
    )
    if record["bad_samples"]:
        print(f"  {record['bad_samples']} bad samples were skipped; bad_samples.jsonl names them")
    if left_out := record.get("steps_left_out"):
        print(f"  steps left out, since loss or gradient norm was not finite: {', '.join(map(str, left_out))}")
    start = record.get("scores_at_start", {})
    was = {name: f" (was {_shown(name, value)})" for name, value in start.items()}
    scores = [f"{name} {_shown(name, value)}{was.get(name, '')}" for name, value in record["scores"].items()]
    for line in _columns(scores, *((52, 2) if start else (36, 3))):
        print(f"  {line}")


def _shown(name: str, value: float) -> str:
    """A score times 100, as lion eval prints it; a count or a distance as it is."""
    return f"{value:.3g}" if name.endswith(("bad_samples", "_distance")) else f"{100 * value:.2f}"


def _columns(cells: Sequence[str], width: int, across: int) -> list[str]:
    """Cells side by side."""
    rows = [cells[start : start + across] for start in range(0, len(cells), across)]
    return ["".join(cell.ljust(width) for cell in row).rstrip() for row in rows]
