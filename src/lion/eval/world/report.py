"""The drawn world's scores as tables, in percent: each beside the baselines and the target."""

from collections.abc import Mapping, Sequence
from typing import Any

from lion.eval import document
from lion.eval.document import Block, Heading, Items, Table
from lion.metrics.statistics import FEWEST
from lion.world import EXPRESSION_KINDS, POPE_TASKS, VQA_KINDS

_POPE_SCORES = ("f1", "accuracy", "precision", "recall", "yes_ratio")
TABLE = (
    "caption/precision", "caption/recall", "caption/no_repeats",
    "vqa/accuracy", *(f"vqa/accuracy/{kind}" for kind in VQA_KINDS),
    "dialog/accuracy", "dialog-without-history/accuracy",
    "dialog/accuracy/needs-history", "dialog-without-history/accuracy/needs-history",
    "rec/accuracy@0.5", *(f"rec/accuracy@0.5/{kind}" for kind in EXPRESSION_KINDS),
    "rec/accuracy@0.75", "rec/mean_iou", "rec/unparsed",
    "reg/both", "reg/category", "reg/colour",
    *(f"{name}/{score}" for name in reversed(POPE_TASKS) for score in _POPE_SCORES),
    "tagger/map",
)  # fmt: skip
"""The scores of the table, in its order."""
SLICED = (
    "caption/precision", "caption/recall", "vqa/accuracy", "dialog/accuracy", "rec/accuracy@0.5", "reg/both",
    "tagger/map",
)  # fmt: skip
"""The scores whose slices report.md has as well."""

_LEGEND = """\
*n*: questions. *±*: standard error, for independent questions. *blind*: a baseline that reads the question, never the
picture. *random*: a draw from the possible answers. *above blind*: difference to the blind baseline in standard errors.
*target*: what was to be reached."""
_GREY = " *grey picture*: this model with a grey picture and without tags."


def table(record: Mapping[str, Any], names: Sequence[str] = TABLE) -> list[list[str]]:
    """Names of the columns, and the rows of those scores that the record has."""
    scores, blind_run = record["scores"], record["blind_run"]
    header = [
        "score",
        "n",
        "ours",
        "±",
        *["grey picture"] * blind_run,
        "blind",
        "random",
        "above blind",
        "target",
        "met",
    ]
    return [header, *(_row(name, scores[name], blind_run) for name in names if name in scores)]


def notes(record: Mapping[str, Any]) -> list[str]:
    """What the notes of the table's scores say, with the names of their scores."""
    scores = record["scores"]
    return document.grouped_notes([(name, scores[name].get("note", "")) for name in TABLE if name in scores])


def _row(name: str, score: Mapping[str, Any], blind_run: bool) -> list[str]:
    error = score["standard_error"] if score["n"] >= FEWEST else None
    columns = [score["value"], error, score["blind"]["value"], score["random"]["value"]]
    if blind_run:
        columns.insert(2, score["blind_run"] and score["blind_run"]["value"])
    above, target = score["above_blind"], score["bar"]
    return [
        name,
        str(score["n"]),
        *("-" if value is None else f"{100 * value:.1f}" for value in columns),
        "" if above is None else f"{above:+.1f}",
        "" if target is None else f"{100 * target:.0f}",
        {True: "yes", False: "NO", None: ""}[score["met"]],
    ]


def markdown(record: Mapping[str, Any], label: str) -> str:
    """The text of report.md: the table, and slices below it; `label` is the benchmark's."""
    settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in record["settings"].items())
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    below = tuple(f"{whole}/" for whole in SLICED)
    slices = [name for name in record["scores"] if name not in TABLE and name.startswith(below)]
    rows = table(record)
    alignment = ["---", *["---:"] * (len(rows[0]) - 2), "---"]
    blocks: list[Block] = [
        Heading(f"{record['model']} on {label}", 1),
        f"{settings}. Model {record['model_fingerprint']}, commit {record['commit'] or 'unknown'}, {record['date']}, "
        f"{record['hardware']}, {versions}, {record['seconds'] / 60:.1f} minutes of inference.",
        Table(rows, alignment),
        _LEGEND + _GREY * record["blind_run"],
    ]
    if noted := notes(record):
        blocks += [Heading("Notes"), Items(noted)]
    if slices:
        blocks += [Heading("Slices"), Table(table(record, slices), alignment)]
    return document.markdown(blocks)
