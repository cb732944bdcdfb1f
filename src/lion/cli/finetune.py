"""``lion finetune``: one's own pictures, from a file or folder to adapters and scores before and after."""

from __future__ import annotations

import json as json_module
import re
import shutil
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lion.atomic import atomic_write, atomic_write_json
from lion.cli.eval_tables import print_table
from lion.cli.options import Debug, Json, Model, check_training_packages
from lion.cli.output import Meter, quiet_libraries, say
from lion.errors import LionError, LionWarning

if TYPE_CHECKING:
    from lion.eval import DatasetBenchmark
    from lion.locks import FolderLock
    from lion.train.finetune.plan import Place
    from lion.train.finetune.survey import Survey
    from lion.train.recipe.schema import Recipe

SHOWN = 3
"""Held-out examples that are printed."""


def finetune(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Pictures with texts: a JSONL, CSV or JSON file, or a folder.")
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Settings of the recipe, as in lion train.")
    ] = None,
    model: Model = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where all of it goes. (default: outputs/finetune/NAME)")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of 16 samples. (default: each sample 10 times; 100 to 5,000)")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before it starts.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write and show the plan, which another may replace; train nothing.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Throw away an earlier fine-tuning in the folder.")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Fine-tune on your own pictures, and score before and after on a tenth that is held out.

    Leaves DIR/adapters.safetensors for --adapters, and DIR/recipe.yaml, which lion train runs too. A run that was
    stopped goes on with the same command. docs/how-to/finetuning.md says what training can teach.
    """
    if dry_run and restart:
        raise LionError("--restart throws an earlier fine-tuning away, --dry-run changes nothing; give one of them")
    check_training_packages()
    with Meter("loading libraries"):
        quiet_libraries(debug)
        import lion.eval  # noqa: F401
        from lion.train.run import train
        from lion.train.stopping import Stopped
    run = _plan(data, overrides or [], model, out, steps, restart)
    adapters, finished = run.place.folder / run.file, run.place.folder / "report.json"
    if finished.is_file() and adapters.is_file():
        say("note", f"{run.place.folder} is finished; --restart throws it away and starts over")
        return _print(run, json_module.loads(finished.read_text("utf-8")), json)
    if not json or dry_run:
        for note in _show(run):
            say("note", note)
            warnings.filterwarnings("ignore", re.escape(note), LionWarning)  # that training would say again
    if dry_run or not (yes or not sys.stdin.isatty() or typer.confirm("go on?", default=True, err=True)):
        return
    try:
        before = _score(run, "before", None)
        with Meter() as meter:
            train(run.recipe, restart=restart, watch=meter.watch)
        atomic_write(adapters, (run.recipe.folder / run.file).read_bytes())
        after = _score(run, "after", adapters)
    except (KeyboardInterrupt, Stopped):
        raise KeyboardInterrupt(
            f"stopped; what is done is kept, and the same command goes on: {run.place.folder}"
        ) from None
    atomic_write_json(finished, report := _report(before, after, adapters))
    _print(run, report, json)


@dataclass(frozen=True)
class _Run:
    """A fine-tuning that is planned."""

    place: Place
    survey: Survey
    recipe: Recipe
    text: str
    """The recipe's file."""
    read_as: str
    counts: tuple[int, int]
    """Records to train on, and held out."""
    model: str | None
    file: str
    alone: FolderLock
    """On the folder, for as long as the run goes on."""


def _plan(
    data: str, overrides: Sequence[str], model: str | None, out: Path | None, steps: int | None, restart: bool
) -> _Run:
    """Read, split and write everything that the run needs."""
    from lion.checkpoints.finding import ADAPTERS, BUNDLED, find_checkpoint
    from lion.checkpoints.loading import load_processor
    from lion.data.sources.detect import read_any
    from lion.model import LionConfig
    from lion.train.finetune.plan import Place, settings, text_of
    from lion.train.finetune.survey import survey, tasks_of
    from lion.train.recipe.reading import check_given_once, override, parse

    folder, name = find_checkpoint(model)
    found = read_any(data)
    processor = load_processor(folder, name)
    with Meter("looking at the pictures", len(found.dataset.records)) as meter:
        known = survey(found.dataset, processor.box_decimals, meter.advance)
    place = Place((out or Path("outputs", "finetune", found.name)).expanduser())
    train, held_out = known.split()
    tagged = (folder / "tagger").is_dir()
    chosen = str(folder.resolve()) if name != BUNDLED else BUNDLED
    config = LionConfig.from_pretrained(folder, local_files_only=True)
    fields = settings(place, found.name, chosen, config, processor, tasks_of(train), tagged)
    given = [*overrides, *([f"steps={steps}"] if steps else [])]
    check_given_once(text.partition("=")[0] for text in given)
    for text in given:
        override(fields, text)
    named = {text.partition("=")[0] for text in given}
    if "steps" in named and named.isdisjoint({"optimizer", "optimizer.warmup"}):
        fields["optimizer"]["warmup"] = 0
        fields["optimizer"]["warmup"] = parse(fields, found.name).steps // 10
    recipe = parse(fields, found.name)
    if recipe.export != "adapters" or recipe.folder != place.folder.resolve() / "run":
        raise LionError("lion finetune leaves adapters in its own folder; for export, root and out use lion train")
    alone = place.claim(restart)
    if place.write(place.recipe, written := text_of(recipe)):
        say("note", f"{place.recipe} was of other settings, and is written anew")
    for path, records in ((place.train, train), (place.held_out, held_out)):
        place.write(path, place.lines(records))
    if tagged:
        _tag(place, known, model)
    return _Run(place, known, recipe, written, found.words, (len(train), len(held_out)), model, ADAPTERS, alone)


def _tag(place: Place, survey: Survey, model: str | None) -> None:
    """Write the tagger's tags of every picture, as prompts will have them."""
    from lion.checkpoints.loading import load_tagger
    from lion.images import image_hash, open_image
    from lion.tagging import TagCache, TagRow, write_tags

    if place.tags.is_file():
        return
    pictures = dict(zip(survey.pictures, (record.image for record in survey.records), strict=True))
    tagger, name = load_tagger(model)
    scores = place.tags.with_name("tags.lion-scores")
    tagger.cache = TagCache(scores)
    rows, each = {}, list(pictures.items())
    with Meter("tagging the pictures", len(each)) as meter:
        for start in range(0, len(each), 16):
            keys, images = zip(*each[start : start + 16], strict=True)
            opened = [open_image(image) for image in images]
            for key, picture, tags in zip(keys, opened, tagger(opened), strict=True):
                rows[image_hash(picture)] = TagRow(key, image_hash(picture), tuple(tags), name)
            meter.advance(len(keys))
    write_tags(place.tags, rows.values())
    shutil.rmtree(scores, ignore_errors=True)


def _show(run: _Run) -> tuple[str, ...]:
    """Print what was found and what will be done, with the time it takes here; returns what else is to be known."""
    from lion.train.dry_run import dry_run, time_step

    survey, recipe = run.survey, run.recipe
    ends = dict.fromkeys((min(survey.sizes, key=max), max(survey.sizes, key=max)))
    sizes = " to ".join(f"{width} x {height}" for width, height in ends)
    print(f"read as {run.read_as}; {len(survey.sizes):,} pictures of {sizes} pixels")
    print(f"  tasks     {', '.join(f'{task} {count:,}' for task, count in survey.tasks.items())}")
    if survey.bad:
        print(f"  left out  {len(survey.bad):,} bad records: " + "; ".join(": ".join(one) for one in survey.bad[:3]))
    print(f"  held out  {run.counts[1]:,} records of {len(survey.held_out):,} pictures, for the scores")
    with Meter("timing a step"):
        estimate, objective = dry_run(recipe)
        seconds = time_step(recipe, objective)
    print(f"recipe: {run.place.recipe}")
    print("".join(f"  {line}\n" for line in run.text.splitlines()[1:]), end="")
    trained, length = sum(estimate.trained.values()), seconds * recipe.steps
    print(f"trains {trained:,} of {trained + estimate.frozen:,} parameters: {', '.join(estimate.trained)}")
    took = f"{length:.0f} s" if length < 90 else f"{length / 60:.0f} min" if length < 5400 else f"{length / 3600:.1f} h"
    print(
        f"about {took}: {recipe.steps:,} steps at about {seconds:.2g} s here; the scores before and after come on top"
    )
    return estimate.notes


def _score(run: _Run, when: str, adapters: Path | None) -> list[tuple[DatasetBenchmark, Path]]:
    """Answer the held-out records, and score; what has been answered stays."""
    from lion.eval import DatasetBenchmark, Evaluation
    from lion.pipeline import LionPipeline

    with Meter("loading the model"):
        pipeline = LionPipeline.from_pretrained(run.model, adapters=adapters)
    done = []
    for benchmark in DatasetBenchmark.of_file(run.place.held_out):
        folder = run.place.folder / "scores" / when / benchmark.label
        evaluation = Evaluation(pipeline, benchmark, folder)
        with Meter(f"scores {when}: {benchmark.row.task}", evaluation.pending) as meter:
            evaluation.predict(meter.advance)
        evaluation.finish()
        done.append((benchmark, folder))
    return done


def _report(
    before: Sequence[tuple[DatasetBenchmark, Path]], after: Sequence[tuple[DatasetBenchmark, Path]], adapters: Path
) -> dict[str, Any]:
    """Scores, three examples, and the file."""
    from lion.eval.comparison import compare
    from lion.eval.predictions import Predictions
    from lion.provenance import commit

    rows: list[dict[str, Any]] = []
    for (benchmark, first), (_, then) in zip(before, after, strict=True):
        old, new = (Predictions(folder).record()["scores"] for folder in (first, then))
        for one in compare(then, first):
            pair = {"before": old[one.score], "after": new[one.score]}
            rows.append({"task": str(benchmark.row.task), "score": one.score, **pair, "difference": one.shown})
    size, examples = adapters.stat().st_size, list(_examples(before, after))
    return {"adapters": str(adapters), "bytes": size, "scores": rows, "examples": examples, "commit": commit()}


def _print(run: _Run, report: dict[str, Any], json: bool) -> None:
    """A report, as a table or as it is."""
    if json:
        print(json_module.dumps(report))
        return
    cells = [["task", "score", "before", "after", "difference [95 %]", "samples"]]
    for row in report["scores"]:
        shown = [_shown(row[when]) for when in ("before", "after")]
        cells.append([row["task"], row["score"], *shown, row["difference"], str(row["after"]["n"])])
    print_table(f"{run.recipe.name}: {run.counts[1]} held-out records", cells)
    for example in report["examples"]:
        print(f"{example['picture']}: {example['asked']}")
        print(f"  before  {example['before']}\n  after   {example['after']}\n  true    {example['true']}")
    adapters, size = report["adapters"], report["bytes"] / 1e6
    print(f"{adapters}: {size:.1f} MB; lion ask PICTURE QUESTION{_with_model(run)} --adapters {adapters}")


def _with_model(run: _Run) -> str:
    return f" --model {run.model}" if run.model else ""


def _shown(score: dict[str, Any]) -> str:
    """Value and standard error, times 100."""
    value, error = 100 * score["value"], 100 * score["standard_error"]
    return f"{value:.1f}" if score.get("note") else f"{value:.1f} ± {error:.1f}"


def _examples(
    before: Sequence[tuple[DatasetBenchmark, Path]], after: Sequence[tuple[DatasetBenchmark, Path]]
) -> Iterator[dict[str, str]]:
    """The first held-out record of each of the first tasks, with both answers."""
    from lion.eval.predictions import Predictions

    for (benchmark, first), (_, then) in list(zip(before, after, strict=True))[:SHOWN]:
        old, new = (benchmark.sample_scores(Predictions(folder).read)[0] for folder in (first, then))
        (record,) = [one for one in benchmark.selection.records if one.id == new.id]
        question = record.question or record.expression or str(record.task)
        yield {
            "picture": str(record.image),
            "asked": question,
            "before": old.generated,
            "after": new.generated,
            "true": new.reference,
        }
