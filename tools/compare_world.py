"""Two models on the drawn world's frozen questions, side by side: ``python -m tools.compare_world RUN AGAINST``.

RUN and AGAINST are folders that `lion eval world` wrote, of the same split and limit. Prints a Markdown table: every
score of AGAINST and of RUN with standard errors, and their difference with its 95 % interval, paired by question where
the score is a mean over questions.
"""

import argparse
import json
from collections.abc import Iterator
from math import hypot
from pathlib import Path

from lion.eval.predictions import Predictions
from lion.eval.world.benchmark import SETS, WorldBenchmark
from lion.eval.world.scores import Sources, score_questions
from lion.metrics import Estimate
from lion.metrics.statistics import mean

_95 = 1.96


def of_questions(run: Path, against: Path) -> Iterator[tuple[str, Sources]]:
    """The scores of `run` as source `model` and of `against` as source `blind_run`, set by set."""
    one, other = Predictions(run), Predictions(against)
    settings, others = one.run()["settings"], other.run()["settings"]
    if settings != others:
        raise SystemExit(f"{run} and {against} have answered other questions: {settings}, {others}")
    benchmark = WorldBenchmark.of(one.run())
    for name in SETS:
        questions = benchmark.questions(name)
        texts = {
            source: [read[question.id]["text"] for question in questions]
            for source, read in (("model", one.read(name)), ("blind_run", other.read(name)))
        }
        yield from score_questions(name, questions, [each.scene for each in questions], texts).items()


def row(name: str, new: Estimate, old: Estimate) -> str:
    """A line of the table."""
    difference, error = new.value - old.value, hypot(new.standard_error, old.standard_error)
    if new.by_sample is not None and old.by_sample is not None:
        error = mean((new.by_sample - old.by_sample).tolist()).standard_error
    shown = [f"{each.value:.3f} ± {each.standard_error:.3f}" for each in (old, new)]
    margin = _95 * error
    interval = f"{difference:+.3f} [{difference - margin:+.3f}, {difference + margin:+.3f}]"
    return f"| {name} | {new.n} | {shown[0]} | {shown[1]} | {interval} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("against", type=Path)
    options = parser.parse_args()
    print("| score | n | against | run | difference [95 %] |\n| --- | ---: | ---: | ---: | ---: |")
    for name, found in of_questions(options.run, options.against):
        print(row(name, found["model"], found["blind_run"]))
    both = [json.loads((folder / "scores.json").read_text())["scores"] for folder in (options.run, options.against)]
    for name in (name for name in both[0] if name.startswith("tagger/")):
        new, old = (Estimate(each[name]["value"], each[name]["standard_error"], each[name]["n"]) for each in both)
        print(row(name, new, old))


if __name__ == "__main__":
    main()
