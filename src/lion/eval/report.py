"""The report of many runs in the paper's tables: the paper's number and ours, samples, setting and commit.

Written as Markdown, as JSON, and as one HTML file with a gallery of the worst errors below the tables; with a radar.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lion.atomic import atomic_write, atomic_write_json
from lion.eval.benchmark import SampleScore
from lion.eval.benchmarks.dataset import titled
from lion.eval.benchmarks.own import row_of
from lion.eval.benchmarks.paper import MODELS, PAPER
from lion.eval.comparison import compare_all
from lion.eval.comparison import table as comparison_table
from lion.eval.document import Block, Heading, Items, Table, markdown
from lion.eval.predictions import Predictions, run_folders
from lion.eval.radar import FILE, radar
from lion.eval.rows import ScoreRow, row_notes, score_rows
from lion.eval.runner import benchmark_of
from lion.eval.world import report as world_report
from lion.eval.world.benchmark import WorldBenchmark
from lion.eval.worst_errors import error_record, html_page, worst_errors
from lion.pipeline import DecodingPreset

DRAWN = "Drawn pictures: nothing marked (drawn) is comparable with a published number, and none stands beside it."
_AVERAGED = "accuracy@0.5"
_GO_ON = "answers without scores, of a run that was stopped or is going on; start the same lion eval again"
_PAIRED = (
    "A difference is paired, sample by sample, on those that both runs have answered; its interval (95 %) is 1.96 "
    "standard errors to each side, too narrow for fewer than some 30 samples. One that holds 0 may be chance. BLEU, "
    "F1, precision and recall are no means over samples and have none."
)


def write_report(folders: Sequence[Path], out: Path, data: Path | None = None) -> tuple[list[Block], dict[str, Any]]:
    """Write report.md, report.json and report.html for these runs, and return the contents of the first two.

    Where benchmarks of the paper were run, radar.svg and radar.png show ours beside the paper's numbers.

    Args:
        folders: of single runs, or folders of such.
        out: where the files go.
        data: where the datasets lie now, if they have moved.

    A run without scores, since it was stopped or goes on, is named as such.

    Raises: LionError if a folder holds no run, none is scored, or the data of one is gone.
    """
    found = run_folders(folders)
    scored = [folder for folder in found if (folder / "scores.json").exists()] or found
    runs = [(folder, Predictions(folder).record()) for folder in scored]
    grown = [folder for folder, record in runs if Predictions(folder).run()["limit"] != record["limit"]]
    unscored = [*(folder for folder in found if folder not in scored), *grown]
    worlds = [record for _, record in runs if record["benchmark"] == WorldBenchmark.name]
    papers = [record for _, record in runs if record["benchmark"] != WorldBenchmark.name]
    rows = [row for record in papers for row in score_rows(record)]
    if not papers or any(record["benchmark"] in PAPER and not record["drawn"] for record in papers):
        rows = _with_missing(rows)
    errors: list[tuple[str, SampleScore]] = []
    for folder, record in runs:
        samples = benchmark_of(record, data).sample_scores(Predictions(folder).read)
        errors += [(str(record["model"]), sample) for sample in worst_errors(samples)]
    differences = compare_all(runs, data)
    document = _document(rows, worlds, papers)
    shown, figure = radar(rows) or ([], {})
    document[1:1] = shown
    if differences:
        document += [Heading("Differences"), Table(comparison_table(differences)), _PAIRED]
    if unscored:
        document += [Heading("Not scored"), Items([f"{folder}: {_GO_ON}" for folder in unscored])]
    report = {
        "rows": [asdict(row) for row in rows],
        "differences": [asdict(one) for one in differences],
        "unscored": [str(folder) for folder in unscored],
        "runs": [{"folder": str(folder), **record} for folder, record in runs],
        "errors": [error_record(*error) for error in errors],
    }
    for suffix, contents in figure.items():
        atomic_write(out / f"{FILE}.{suffix}", contents)
    atomic_write(out / "report.md", markdown(document))
    atomic_write_json(out / "report.json", report)
    atomic_write(out / "report.html", html_page(document, errors))
    return document, report


def _with_missing(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    """All lines of the paper's tables in their order, with those not run and REC's average; then all others."""
    out: list[ScoreRow] = []
    for one in PAPER.values():
        run = [row for row in rows if row.benchmark == one.name and row.table == one.table]
        if not run and one.paper:
            run = [ScoreRow(one.table, one.name, name, one.paper[name]) for name in one.headline if name in one.paper]
        out += run
        if one.name == "refcocog-test":
            out += _average([row for row in out if row.score == _AVERAGED])
    others = [row for row in rows if row.benchmark not in PAPER or row.drawn]
    order = [*PAPER, *(row.benchmark for row in others)]
    return out + sorted(others, key=lambda row: order.index(row.benchmark))


def _average(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    """The mean of REC's eight splits, of each model that has them all in one setting."""
    splits = {one.name: one.paper[_AVERAGED] for one in PAPER.values() if one.headline[0] == _AVERAGED}
    count = len(splits)
    paper = {model: sum(published[model] for published in splits.values()) / count for model in MODELS}
    title = (rows[0].table, "average of the eight", _AVERAGED, paper)
    means = []
    for model, setting in dict.fromkeys((row.model, row.setting) for row in rows if row.value is not None):
        own = {row.benchmark: row for row in rows if (row.model, row.setting) == (model, setting)}
        if own.keys() >= splits.keys():
            value = sum(own[one].value or 0.0 for one in splits) / count
            error = sum((own[one].standard_error or 0.0) ** 2 for one in splits) ** 0.5 / count
            samples = sum(own[one].samples or 0 for one in splits)
            official = sum(own[one].official or 0 for one in splits)
            skipped = sum(own[one].skipped for one in splits)
            commit = own[list(splits)[-1]].commit
            means.append(ScoreRow(*title, value, error, samples, official, skipped, model, setting, commit))
    return means or [ScoreRow(*title)]


def _document(
    rows: Sequence[ScoreRow], worlds: Sequence[Mapping[str, Any]], papers: Sequence[Mapping[str, Any]]
) -> list[Block]:
    blocks: list[Block] = [Heading("Evaluation", 1)]
    for title in dict.fromkeys(row.table for row in rows):
        blocks += [Heading(title), _table([row for row in rows if row.table == title])]
    if any(row.drawn for row in rows):
        blocks.append(DRAWN)
    if notes := row_notes(rows):
        blocks += [Heading("Notes"), Items(notes)]
    for record in worlds:
        blocks += [Heading(f"The drawn world: {record['model']}"), Table(world_report.table(record))]
        if noted := world_report.notes(record):
            blocks.append(Items(noted))
    if papers:
        blocks += [Heading("Settings"), Items([_settings(record) for record in papers])]
    return blocks


def _settings(record: Mapping[str, Any]) -> str:
    """All settings that a run's numbers depend on, in a line."""
    settings = record["settings"]
    decoded = record["decoding"].get(str(row_of(record).task))
    decoding = DecodingPreset(**decoded) if decoded else "candidates ranked"
    rules = "; ".join(f"{name}: {rule}" for name, rule in record["rules"].items())
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    made = f"{record['hardware']}, {record['date'][:10]}, {versions}"
    name = titled(record["benchmark"], record["drawn"])
    if world := record.get("world"):
        made = f"{', '.join(f'{key} {value}' for key, value in world.items())}; {made}"
    return f"{name}: {record['model']}, {settings['wording']!r}, {decoding}; {rules}; {made}"


def _table(rows: Sequence[ScoreRow]) -> Table:
    models = list(dict.fromkeys(name for row in rows for name in row.paper))
    cells = [["benchmark", "score", *models, "ours", "samples", "model", "setting", "commit"]]
    for row in rows:
        numbers = [*map(row.paper_of, models), row.ours, row.count]
        cells.append([row.title, row.score, *numbers, row.model, row.setting, row.commit])
    return Table(cells)
