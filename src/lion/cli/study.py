"""``lion study``: base recipe x arms x seeds, trained, asked, and told on a page."""

from __future__ import annotations

import json as json_module
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from lion.cli.eval_tables import print_document
from lion.cli.options import Debug, Json, check_training_packages
from lion.cli.output import Meter, check_place, quiet_libraries, say
from lion.errors import LionError

if TYPE_CHECKING:
    from lion.studies.results import Results
    from lion.train.run import Done


def studies() -> str:
    """The shipped studies for the help text, each with the first line of its file."""
    paths = sorted((Path(__file__).parents[1] / "studies" / "recipes").glob("*.yaml"))
    titles = [path.read_text("utf-8").splitlines()[0].lstrip("# ") for path in paths]
    return "Shipped studies:\n\n" + "\n\n".join(titles)


class StudyCommand(TyperCommand):
    """The command, whose help reads the shipped studies when it is shown and not at every start."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.epilog = studies()
        super().format_help(ctx, formatter)


def study(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE.yaml", help="A shipped study's name, or a YAML file.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Settings to change in every run, or with RUN:KEY=VALUE in one."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", help="Folder of runs and answers; studies in one folder share their runs.")
    ] = Path("runs/studies"),
    only: Annotated[list[str] | None, typer.Option("--only", metavar="ARM", help="This arm; may be repeated.")] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, help="Seeds of each arm. (default: the study's)")
    ] = None,
    questions: Annotated[
        int | None, typer.Option("--questions", min=2, help="Questions of each set. (default: each test's)")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Runs, and tests, at a time, one thread each.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show arms, runs, what is missing, and hours.")] = False,
    time: Annotated[bool, typer.Option("--time", help="With --dry-run: time a step of what was never run.")] = False,
    page: Annotated[
        Path | None, typer.Option("--page", metavar="FILE", help="The page to write. (default: OUT/NAME.md)")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Study a claim: train every arm with every seed, ask all the same questions, and write the page.

    Finished runs and answers are kept: the same command goes on where it was stopped.
    """
    from lion.studies.runs import make_chains
    from lion.studies.schema import load_study

    if page is not None:
        check_place("--page", page)
    if time and not dry_run:
        raise LionError("--time measures steps for a dry run; add --dry-run")
    check_training_packages()
    found = load_study(name, seeds, questions)
    chains = make_chains(found, out, overrides or [], only or [])
    quiet = partial(quiet_libraries, debug)
    quiet()
    from lion.studies.results import Results

    results = Results(found, chains)
    if dry_run:
        _plan(results, time, json)
        return
    from lion.studies.figures import check_figures

    check_figures()  # before the hours, not after them
    given = [f"--only {arm}" for arm in only or []] + [f"--seeds {seeds}"] * bool(seeds)
    given += [f"--questions {questions}"] * bool(questions)
    command = " ".join(["lion study", name, *map(shlex.quote, overrides or []), *given])
    _run(results, jobs, quiet)
    _tell(Results(found, chains), page or out / f"{found.name}.md", command, json)


def _run(results: Results, jobs: int, quiet: Any) -> None:
    from lion.studies.run import answer_missing, train_missing
    from lion.train.stopping import Stopped

    try:
        with Meter() as meter:

            def trained(done: Done) -> None:
                recipe, record, _ = done
                with meter.aside():
                    say("note", f"{recipe.out}: {record['steps']:,} steps in {record['seconds'] / 60:.1f} min")

            train_missing(results, jobs, quiet, meter.watch, trained)
            answer_missing(results, jobs, quiet, meter.watch)
    except Stopped as stopped:
        if stopped.interrupted:
            raise KeyboardInterrupt(str(stopped)) from None
        say("note", str(stopped))
        raise typer.Exit(0) from None


def _tell(results: Results, page: Path, command: str, as_json_lines: bool) -> None:
    from lion.eval.document import Heading, Table
    from lion.studies.page import as_json, differences_table, table, verdicts, write_page

    written = write_page(results, page, command)
    if as_json_lines:
        print(json_module.dumps(as_json(results)))
    else:
        tables = [table(results), differences_table(results), verdicts(results)]
        print_document([Heading(results.study.title, 1), *(Table(rows) for rows in tables if len(rows) > 1)])
    say("note", f"page, numbers and figures: {', '.join(map(str, written))}")


def _plan(results: Results, time: bool, as_json_lines: bool) -> None:
    from lion.studies.run import hours_of_answers, plan, summary

    planned = plan(results, time=time)
    hours, counts = [run.hours for run in planned], summary(results)
    answers = hours_of_answers(results)
    if as_json_lines:
        rows = [{**asdict(run), "hours": run.hours} for run in planned]
        print(json_module.dumps({"study": results.study.name, **counts, "kinds": rows, "answer_hours": answers}))
        return
    print(f"{results.study.name}: {results.study.title}")
    for name, arm in results.study.arms.items():
        if any(trained.arm == name for trained in results.chains):
            print(f"  arm  {name}: {' > '.join(arm.chain)}, seeds {len(results.study.seeds_of(name))}. {arm.says}")
    for run in planned:
        step = "a step not timed" if run.seconds_per_step is None else f"{run.seconds_per_step:.2g} s a step"
        took = "" if run.hours is None else f", {run.hours:.2f} h"
        size = f", trains {run.trained:,}" if run.trained else ""
        there = f"{run.missing} of {run.count} missing, {run.steps:,} steps"
        print(f"  run  {run.name} ({_shared(run.arms)}): {there}, {step}{took}{size}")
    for what in ("runs", "tests"):
        print(f"  {what} {counts[f'missing {what}']} of {counts[what]} missing")
    known = sum(each for each in hours if each is not None)
    left = sum(each is None for each in hours)
    open_ends = f", and {left} kinds of runs whose steps were not timed (--time)" if left else ""
    answering = "answers not timed yet" if answers is None else f"{answers:.1f} h of answers"
    print(f"  time {known:.1f} h of training{open_ends}; {answering}; as one job, validation aside")


def _shared(arms: Sequence[str]) -> str:
    return arms[0] if len(arms) == 1 else f"{len(arms)} arms"
