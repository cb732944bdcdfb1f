"""How well a model's confidence tells right from wrong on the drawn world's frozen questions.

Writes the tables of docs/explanation/confidence_measured.md.

    python -m tools.measure_confidence                        # lion-mini, 500 test questions a set
    python -m tools.measure_confidence MODEL --split val --questions 100 --plot confidence.png

AUROC is the probability that something right got a higher number than something wrong; .5 is chance.
"""

import argparse
import datetime
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lion.bench.plot import check_plot
from lion.figures import line_style
from lion.metrics.statistics import bootstrap, mean
from lion.pipeline import LionPipeline, Request, Verb
from lion.pipeline.answering import PRESENCE_THRESHOLD
from lion.pipeline.read import share
from lion.prompts import Task
from lion.provenance import commit, hardware
from lion.world import POPE_TASKS, TestQuestion, render, test_questions
from lion.world.scoring import score_answers

FEWEST = 5
"""Answers that make a point of the picture."""
HIT = 0.5
"""IoU of a box that counts as found."""
_EXISTS = re.compile(r"(?:is there|are there|do you see|can you see) (?:an?|any) (.+?)(?: in the image)?\?")
_IN_WORDS = {str(Task.VQA): "accuracy", str(Task.DIALOG): "accuracy", str(Task.REG): "both"}
"""Sets with answers in words, and the score that says whether one is right."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A number that a model gave for each question of a set, and whether what it speaks for is so."""

    name: str
    what: str
    """The number."""
    numbers: npt.NDArray[np.float64]
    truth: npt.NDArray[np.bool_]


def auroc(numbers: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_]) -> float:
    """Area under the curve of true over false positives: the share of pairs in the right order, ties by half."""
    right, wrong = numbers[truth][:, None], numbers[~truth][None]
    return float(((right > wrong) + 0.5 * (right == wrong)).mean()) if right.size and wrong.size else float("nan")


def measure(pipeline: LionPipeline, split: str, count: int) -> Iterator[Judged]:
    """One set and number after the other, `count` questions of each."""
    decimals = pipeline.processor.box_decimals
    questions = test_questions(str(Task.REC), count, split=split)
    answers = pipeline.answer([_request(one, decimals) for one in questions])
    pairs = [(answer, one.box) for answer, one in zip(answers, questions, strict=True) if answer.boxes and one.box]
    hits = np.array([answer.boxes[0].unit.iou(box) >= HIT for answer, box in pairs])
    yield Judged("rec", "box score", _array(answer.boxes[0].score for answer, _ in pairs), hits)
    yield Judged("rec", "confidence", _array(answer.confidence for answer, _ in pairs), hits)
    for name in reversed(POPE_TASKS):
        yield from _presence(pipeline, test_questions(name, count, split=split), name)
    asked = test_questions(str(Task.VQA), 4 * count, split=split)
    yield from _presence(pipeline, [one for one in asked if one.kind == "exists"], "vqa, exists")
    yield from _presence(pipeline, questions, "rec")
    for name, score in _IN_WORDS.items():
        questions = test_questions(name, count, split=split)
        answers = pipeline.answer([_request(one, decimals) for one in questions])
        right = [
            score_answers(one.set, [answer.text], [one.answer], [{"box": one.box}], [one.scene])[score].value == 1
            for one, answer in zip(questions, answers, strict=True)
        ]
        yield Judged(name, "confidence", _array(answer.confidence for answer in answers), np.array(right))


def _presence(pipeline: LionPipeline, questions: Sequence[TestQuestion], name: str) -> Iterator[Judged]:
    """What ``if_there`` asks, for the phrase in a question of yes or no, or for an expression: of all of them, and of
    those about no object in a colour that train never shows it in."""
    requests = []
    for one in questions:
        asked = _EXISTS.fullmatch(one.question or "")
        phrase = asked[1] if asked else one.expression
        requests.append(Request(render(one.scene), Verb.LOCATE, phrase, if_there=True).presence())
    nlls = [{one.text: one.nll for one in answer.candidates} for answer in pipeline.answer(requests)]
    presence = _array(share(row["yes"], list(row.values())) for row in nlls)
    there = np.array([one.answer != "no" for one in questions])
    seen = np.array([not one.held_out_pair for one in questions])
    yield Judged(name, "presence", presence, there)
    if not seen.all():
        yield Judged(f"{name}, seen pairs", "presence", presence[seen], there[seen])


def _request(one: TestQuestion, decimals: int) -> Request:
    """The question as ``lion eval world`` asks it."""
    return Request(
        render(one.scene),
        Verb.of(one.task),
        text=one.expression if one.task == Task.REC else one.question,
        box=one.box if one.task == Task.REG else None,
        history=one.history,
        instruction=None if one.held_out_instruction is None else one.instruction(decimals),
    )


def _array(values: Iterable[float | None]) -> npt.NDArray[np.float64]:
    return np.array(list(values), np.float64)


def tables(found: Sequence[Judged]) -> str:
    """AUROC of every set that has both outcomes, and what the threshold of ``if_there`` refuses, in Markdown."""
    lines = ["| set | number | right | n | AUROC | ± |", "| --- | --- | ---: | ---: | ---: | ---: |"]
    for one in found:
        if not one.truth.all():
            area = bootstrap(lambda rows, one=one: auroc(one.numbers[rows], one.truth[rows]), len(one.numbers))
            lines.append(
                f"| {one.name} | {one.what} | {one.truth.mean():.3f} | {area.n} | {area.value:.3f} "
                f"| {area.standard_error:.3f} |"
            )
    lines += ["", "| set | absent refused | n | present lost | n |", "| --- | ---: | ---: | ---: | ---: |"]
    for one in found:
        if one.what == "presence":
            shares = [
                mean(one.numbers[rows] < PRESENCE_THRESHOLD) if rows.any() else None for rows in (~one.truth, one.truth)
            ]
            cells = [f"{each} | {each.n}" if each else "- | 0" for each in shares]
            lines.append(f"| {one.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(found: Sequence[Judged], path: Path) -> None:
    """Reliability: in each tenth of a number's range, how often it was right; a perfect number is on the diagonal."""
    from matplotlib.figure import Figure

    shown = [one for one in found if "seen" not in one.name and (one.name != "rec" or one.what == "box score")]
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    for axes, what in zip(figure.subplots(1, 3), ("box score", "presence", "confidence"), strict=True):
        axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", linewidth=1)
        for place, one in enumerate(one for one in shown if one.what == what):
            tenth = np.minimum((one.numbers * 10).astype(int), 9)
            bins = [tenth == number for number in range(10) if (tenth == number).sum() >= FEWEST]
            means = [(one.numbers[rows].mean(), mean(one.truth[rows])) for rows in bins]
            axes.errorbar(
                [number for number, _ in means],
                [share.value for _, share in means],
                yerr=[share.standard_error for _, share in means],
                label=f"{one.name} ({len(one.numbers)})", **line_style(place), markersize=4, linewidth=1, capsize=2,
            )  # fmt: skip
        axes.set(xlabel=what, xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
        axes.legend(fontsize="x-small", loc="lower right")
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("share that was right")
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", help="a checkpoint folder or Hub id (default: lion-mini)")
    parser.add_argument("--split", choices=("test", "val"), default="test")
    parser.add_argument("--questions", type=int, default=500, help="of each set")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="save the reliability picture")
    options = parser.parse_args()
    if options.plot:
        check_plot(options.plot)
    pipeline = LionPipeline.from_pretrained(options.model, batch_size=16)
    found = list(measure(pipeline, options.split, options.questions))
    where = f"commit {commit()}, {hardware(pipeline.model.device)}, {datetime.date.today()}"
    print(f"{pipeline.name}, world {options.split}, {where}\n")
    print(tables(found))
    if options.plot:
        plot(found, options.plot)


if __name__ == "__main__":
    main()
