"""The benchmarks of the paper as a table: dataset, prompt, scoring and the paper's numbers of each.

The numbers are those of the paper's tables 1 to 4, in percent or, for CIDEr and MRR, times 100; LION-4B has FlanT5-XL,
LION-12B FlanT5-XXL. Where the paper leaves a setting open, a comment in the row gives the choice and its reason.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lion.data.dataset import Dataset
from lion.data.sample import Record
from lion.data.sources import jsonl
from lion.data.sources import read as read_dataset
from lion.errors import LionError
from lion.eval.benchmarks import results, scoring
from lion.eval.benchmarks.results import Writer
from lion.eval.benchmarks.scoring import ScoredRecords
from lion.eval.predictions import Prediction
from lion.prompts import BENCHMARK_PROMPTS, INSTRUCTIONS, Task

XXL = "LION-12B"
MODELS = ("LION-4B", XXL, "LION-4B zero-shot", "LION-12B zero-shot")


@dataclass(frozen=True, slots=True)
class PaperBenchmark:
    """A row of the table, or one of a file of the user's own (:mod:`lion.eval.benchmarks.own`)."""

    name: str
    dataset: str
    """The reader, of `lion.data.sources.READERS`, or the name of the own file."""
    split: str
    table: str
    """Heading of its table."""
    task: Task
    """Determines the task level and the decoding."""
    prompts: tuple[str, ...]
    """Names in BENCHMARK_PROMPTS; the first is the default."""
    score: Callable[[Sequence[Record], Mapping[str, Prediction]], ScoredRecords]
    headline: tuple[str, ...]
    """The scores in tables; the first is the one that the paper reports, if it does."""
    paper: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """The paper's numbers, by score and model."""
    group: str = ""
    """A name for several benchmarks; empty for the dataset's."""
    candidates: Callable[[Record], Sequence[str]] | None = None
    """The candidates to rank by likelihood; None to generate."""
    decoding: str = "lion"
    """A preset of `lion.pipeline.request`."""
    results: Writer | None = None
    """Writes the official result file."""
    results_in_order: bool = False
    """Whether that file is matched to the questions by line, so that none may be left out."""
    choose: Callable[[Sequence[Record]], Sequence[Record]] = list
    """Selects among the dataset's records."""
    sample: Callable[[Record], object] = field(default=lambda record: record.id)
    """Key of a record's sample, which is counted and scored as one: the record, or a question with rotated options."""
    size: Callable[[Record], int] = lambda record: 1
    """Number of records of such a sample."""
    official: int | None = None
    """The official number of samples, where that is not the dataset's own."""
    rules: Mapping[str, str] = field(default_factory=dict)
    """Conventions that a score depends on, for the report: normalisation, ties."""
    own: bool = False
    """Whether `dataset` is a file of the user's own."""

    def read(self, folder: Path, *, skip_bad: bool) -> Dataset:
        """The dataset, in `folder`. Raises: LionError for missing files or a bad record."""
        if self.own:
            if not (folder / self.dataset).is_file():
                raise LionError(
                    f"there is no file {folder / self.dataset}; name the folder it is in now with --data DIR"
                )
            return jsonl.read(folder / self.dataset, skip_bad=skip_bad)
        return read_dataset(self.dataset, folder, self.split, skip_bad=skip_bad)

    @property
    def tuned_prompt(self) -> str:
        """The first of the prompts that every LION is tuned on, for a model that knows no others."""
        tuned = INSTRUCTIONS[self.task]
        return next(name for name in self.prompts if BENCHMARK_PROMPTS[name].replace("{rounds}", "") in tuned)


def _one_per_box(records: Sequence[Record]) -> Sequence[Record]:
    """The first record of each ref: REG describes its box once."""
    first: dict[object, Record] = {}
    for record in records:
        first.setdefault(record.meta["ref_id"], record)
    return list(first.values())


_TIES = {"ties": "candidates whose likelihoods agree to 5 decimals keep their given order"}
_SUMS = {"likelihood": "summed over the tokens, </s> included", **_TIES}

caption = partial(
    PaperBenchmark,
    table="Captions",
    task=Task.CAPTION,
    prompts=("caption", "caption-instructblip"),
    score=scoring.captions,
    headline=("cider",),
    results=results.coco,
    rules={"normalisation": "PTB tokens as pycocoevalcap", "document frequency": "of the images scored"},
)
question = partial(PaperBenchmark, table="Questions", task=Task.VQA, prompts=("question", "short-answer"))
_vqa = partial(
    question,
    score=scoring.vqa,
    headline=("accuracy", "accuracy-2021"),
    decoding="short",
    results=results.vqa,
    rules={"normalisation": "VQA evaluation of 2016 (accuracy) and 2021 (accuracy-2021), answers not lemmatised"},
)
_choice = partial(
    question,
    prompts=("options", "question"),
    headline=("accuracy",),
    candidates=lambda record: record.choices,
    rules=_SUMS,
)
refer = partial(
    PaperBenchmark,
    table="Referring expressions",
    task=Task.REC,
    prompts=("locate",),
    score=scoring.rec,
    headline=("accuracy@0.5",),
    rules={"box": "the first of the answer, in the unit square; a hit at IoU >= 0.5; an unreadable one is a miss"},
)
describe = partial(
    PaperBenchmark,
    table="Descriptions",
    task=Task.REG,
    prompts=("describe",),
    score=scoring.captions,
    headline=("cider",),
    group="reg",
    choose=_one_per_box,
    rules={"references": "all expressions for the box", "normalisation": "PTB tokens as pycocoevalcap"},
)
_pope = partial(
    PaperBenchmark,
    table="POPE",
    task=Task.VQA,
    prompts=("question", "short-answer"),
    score=scoring.pope,
    headline=("f1", "accuracy", "precision", "recall", "yes_ratio"),
    results=results.pope,
    results_in_order=True,
    rules={"reading": "the official one: no where No, no or not is a word before the first full stop, else yes"},
)


def _lion(score: str, *values: float) -> dict[str, dict[str, float]]:
    return {score: dict(zip(MODELS, values, strict=False))}


_at_half = partial(_lion, "accuracy@0.5")


def _hallucinations(f1: float, accuracy: float, precision: float, recall: float) -> dict[str, dict[str, float]]:
    """The paper's table of POPE names one LION, without its size."""
    values = {"f1": f1, "accuracy": accuracy, "precision": precision, "recall": recall}
    return {score: {"LION": value} for score, value in values.items()}


_RANDOM = _hallucinations(88.33, 88.97, 97.12, 81.00)
_MMBENCH = {"accuracy": 73.4, "LR": 51.7, "AR": 84.1, "RR": 78.4, "FP-S": 74.0, "FP-C": 60.8, "CP": 78.9}

ROWS = (
    caption("flickr30k", "flickr30k", "test", paper=_lion("cider", 85.57, 87.12)),
    caption("coco-caption", "coco-caption", "test", paper=_lion("cider", 138.20, 139.25)),
    caption("textcaps", "textcaps", "val", paper=_lion("cider", 104.87, 108.76)),
    _vqa("okvqa", "okvqa", "val", paper=_lion("accuracy", 51.08, 57.33)),
    question(
        "aokvqa",
        dataset="aokvqa",
        split="val",
        score=scoring.aokvqa_direct,
        # The paper's values are no averages of thirds over 1,145 questions; of VQA accuracies they can be.
        headline=("vqa-accuracy", "direct_answer"),
        paper=_lion("vqa-accuracy", 59.98, 60.87),
        decoding="short",
        results=results.aokvqa_direct,
        rules={"normalisation": "direct_answer as A-OKVQA's evaluator: none; vqa-accuracy as VQA evaluation of 2016"},
    ),
    _choice("aokvqa-mc", "aokvqa", "val", score=scoring.aokvqa_choice, results=results.aokvqa_choice),
    _vqa("vqav2", "vqav2", "val"),
    question(
        "gqa",
        dataset="gqa",
        split="testdev",
        score=scoring.gqa,
        # The official comparison is exact; LION's code base compares as VQA does.
        headline=("vqa_normalised", "exact"),
        paper=_lion("vqa_normalised", 49.50, 51.56),
        decoding="short",
        results=results.gqa,
        rules={
            "normalisation": "exact: none, as GQA's evaluator; vqa_normalised: both sides as VQA evaluation of 2016"
        },
    ),
    _choice(
        "iconqa", "iconqa", "test", score=scoring.iconqa, paper=_lion("accuracy", 54.91, 54.89), results=results.iconqa
    ),
    _choice(
        "vsr",
        dataset="vsr",
        split="test",
        prompts=("statement", "question"),
        candidates=lambda record: scoring.VERDICTS,
        score=scoring.vsr,
        paper=_lion("accuracy", 72.96, 73.77),
        rules={"verdicts": "true and yes are true, false and no are false; the likeliest of the four counts", **_SUMS},
    ),
    _choice(
        "visdial",
        dataset="visdial",
        split="val",
        task=Task.DIALOG,
        prompts=("dialog-caption", "dialog"),
        score=scoring.visdial,
        headline=("mrr",),
        paper=_lion("mrr", 50.02, 50.42),
        results=results.visdial,
    ),
    refer("refcoco-val", "refcoco", "val", paper=_at_half(89.73, 89.80, 57.89, 58.54)),
    refer("refcoco-testA", "refcoco", "testA", paper=_at_half(92.29, 93.02, 56.07, 56.41)),
    refer("refcoco-testB", "refcoco", "testB", paper=_at_half(84.82, 85.57, 58.40, 59.36)),
    refer("refcoco+-val", "refcoco+", "val", paper=_at_half(83.60, 83.95, 46.38, 45.93)),
    refer("refcoco+-testA", "refcoco+", "testA", paper=_at_half(88.72, 89.22, 45.29, 45.73)),
    refer("refcoco+-testB", "refcoco+", "testB", paper=_at_half(77.34, 78.06, 47.50, 47.89)),
    refer("refcocog-val", "refcocog", "val", paper=_at_half(85.69, 85.52, 64.74, 66.12)),
    refer("refcocog-test", "refcocog", "test", paper=_at_half(85.63, 85.74, 63.56, 64.69)),
    describe("reg-val", "refcocog", "val", official=2_573),
    describe("reg-test", "refcocog", "test", official=5_023),
    _pope("pope-random", "pope", "random", paper=_RANDOM),
    # By recall and precision, the paper's random numbers are of this older file.
    _pope("pope-random-2910", "pope", "random-2910", group="pope-random-2910", paper=_RANDOM),
    _pope("pope-popular", "pope", "popular", paper=_hallucinations(85.94, 86.77, 91.69, 80.87)),
    _pope("pope-adversarial", "pope", "adversarial", paper=_hallucinations(84.71, 85.37, 88.69, 81.07)),
    _choice(
        "mmbench",
        dataset="mmbench",
        split="dev",
        table="MMBench",
        score=scoring.mmbench,
        headline=tuple(_MMBENCH),
        # The paper's numbers are of the test split, whose answers are hidden; dev replaces it.
        paper={score: {XXL: value} for score, value in _MMBENCH.items()},
        results=results.mmbench,
        # Each question is there once for each rotation of its options.
        sample=lambda record: record.meta["question_index"],
        size=lambda record: len(record.choices),
    ),
)
"""All benchmarks, in the order of the paper's tables."""

PAPER: Mapping[str, PaperBenchmark] = {row.name: row for row in ROWS}
"""The same by name."""


def named(names: Sequence[str]) -> list[PaperBenchmark]:
    """The benchmarks of these names or groups (`refcoco`: three splits), each once. Raises: LionError for another."""
    found: dict[str, PaperBenchmark] = {}
    for name in names:
        rows = [PAPER[name]] if name in PAPER else [row for row in ROWS if (row.group or row.dataset) == name]
        if not rows:
            raise LionError(f"there is no benchmark {name!r}; there are {', '.join(groups())}")
        found |= {row.name: row for row in rows}
    return list(found.values())


def groups() -> list[str]:
    """The names that together stand for all benchmarks."""
    return list(dict.fromkeys(row.name if row.dataset in PAPER else row.group or row.dataset for row in ROWS))
