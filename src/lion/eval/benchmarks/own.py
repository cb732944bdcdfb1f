"""A file of your own as benchmarks: one for each task that its lines serve, as `lion train` reads them.

Lines that ask the same of the same picture are one sample, and their answers its references: captions of a picture,
answers to a question, expressions for a box. An expression to locate is a sample of its own.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from lion.data.sample import Record
from lion.data.sources import jsonl
from lion.errors import LionError
from lion.eval.benchmarks import scoring
from lion.eval.benchmarks.paper import PAPER, PaperBenchmark, caption, describe, groups, question, refer
from lion.prompts import Task

TABLE = "Own files"
_BOX = {"box": "the first of the answer, in the unit square; an unreadable one has an IoU of 0"}
_ANSWERS = {
    "exact_match": "one of the answers, up to case, articles and outer punctuation",
    "vqa_normalised": "one of the answers, both sides normalised as VQA evaluation of 2016",
    "accuracy": "of VQA evaluation (2016, 2021), where every question has ten answers or more",
}
_questions = partial(
    question,
    score=scoring.answers,
    headline=("exact_match", "vqa_normalised", "accuracy", "accuracy-2021"),
    rules=_ANSWERS,
)


def _question_of(record: Record) -> Hashable:
    """What is asked about which picture."""
    return record.image, record.tags, record.question, record.history, record.box


_ROWS: Mapping[Task, tuple[Callable[..., PaperBenchmark], Callable[[Record], Hashable]]] = {
    Task.CAPTION: (partial(caption, headline=("cider", "bleu1", "bleu4", "rouge_l"), results=None), _question_of),
    Task.VQA: (_questions, _question_of),
    Task.DIALOG: (partial(_questions, prompts=("dialog",)), _question_of),
    Task.REC: (partial(refer, headline=("accuracy@0.5", "mean_iou"), rules=_BOX), lambda record: record.id),
    Task.REG: (partial(describe, headline=("cider", "bleu1", "rouge_l")), _question_of),
}


def _samples(task: Task, question_of: Callable[[Record], Hashable], records: Sequence[Record]) -> list[Record]:
    """The records of a task; those that ask the same are one with all their answers."""
    same: dict[Hashable, list[Record]] = {}
    for record in records:
        if task in (record.task, *record.also):
            same.setdefault(question_of(record), []).append(record)
    return [replace(some[0], answers=tuple(chain.from_iterable(one.answers for one in some))) for some in same.values()]


def row(file: str, task: Task) -> PaperBenchmark:
    """The benchmark of one task of a file, which is called as `file` in its folder."""
    build, question_of = _ROWS[task]
    named = {"name": f"{Path(file).stem}-{task}", "dataset": file, "split": str(task), "table": TABLE}
    return build(**named, task=task, own=True, choose=partial(_samples, task, question_of))


def rows(path: Path) -> list[PaperBenchmark]:
    """The benchmarks of a JSONL or CSV file, in the order of the tasks.

    Raises: LionError if there is no such file, or no usable line; bad ones are reported when a benchmark reads them.
    """
    records = jsonl.read(path, skip_bad=True).records
    there = {task for record in records for task in (record.task, *record.also)}
    return [row(path.name, task) for task in Task if task in there]


def is_file(name: str) -> bool:
    """Whether a name of the command line is a file's: no benchmark's has a suffix or a folder."""
    return name not in PAPER and (bool(Path(name).suffix) or Path(name).name != name)


def row_of(run: Mapping[str, Any]) -> PaperBenchmark:
    """The benchmark of a recorded run. Raises: LionError for an unknown one."""
    name, settings = str(run.get("benchmark")), run.get("settings", {})
    if name in PAPER:
        return PAPER[name]
    if settings.get("split") in list(Task) and "dataset" in settings:
        return row(settings["dataset"], Task(settings["split"]))
    raise LionError(f"there is no benchmark {name!r}; there are world, {', '.join(groups())}")
