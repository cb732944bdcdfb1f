"""What a study has found so far: scores by question and seed, differences, verdicts, curves, and what is still missing.

S seeds, Q questions, N layers of the language model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lion.checkpoints.record import read_record
from lion.eval.predictions import Prediction
from lion.model.mixture_of_adapters import level_of
from lion.prompts import Task as LionTask
from lion.random import shuffled, stream
from lion.studies.asking import Task, answers, is_answered, questions_of
from lion.studies.differences import Difference, difference
from lion.studies.runs import Chains, Trained, distinct, is_finished
from lion.studies.schema import Cell, Claim, Study
from lion.train.recipe.schema import Recipe
from lion.train.run import logged_scores
from lion.world import TestQuestion
from lion.world.scoring import score_answers

HALLUCINATED = "hallucinated"
"""Score of captions beside the metrics': the share that mentions an object which is not there (CHAIR's share of
sentences; `1 - precision` is its share of objects)."""
SMALL = "small"
"""Slice of the questions about one small object."""
Values = npt.NDArray[np.float64]


class Score(NamedTuple):
    """A cell's score: mean over seeds and their standard deviation, None for a single seed."""

    mean: float
    spread: float | None
    seeds: int
    questions: int


@dataclass
class Results:
    """The results of the arms in `chains`, as far as they are there."""

    study: Study
    chains: Chains
    _cache: dict[tuple[Cell, str, int], Values] = field(default_factory=dict)

    def task(self, trained: Trained, test: str) -> Task:
        """The model of an arm and seed with a test."""
        return Task(self.chains[trained][-1].folder, test, self.study.tests[test])

    def tasks(self, missing: bool = False) -> list[Task]:
        """Every model with every way in which it is asked, each once; `missing` alone those that are not answered."""
        found: dict[Path, Task] = {}
        for cell in self.study.cells:
            for trained in self.chains:
                if trained.arm == cell.arm and not self.study.tests[cell.test].misrouted:
                    task = self.task(trained, cell.test)
                    found[task.folder] = found.get(task.folder, task).and_also(task.how)
        return [task for task in found.values() if not (missing and is_answered(task))]

    @property
    def missing_runs(self) -> list[Recipe]:
        """Runs that have not finished."""
        return [recipe for recipe in distinct(self.chains) if not is_finished(recipe)]

    @cached_property
    def _answers(self) -> dict[tuple[Trained, str], Mapping[str, list[Prediction]]]:
        """The answers of each model to each test that is complete."""
        found: dict[tuple[Trained, str], Mapping[str, list[Prediction]]] = {}
        for name, test in self.study.tests.items():
            for trained in self.chains:
                if Cell(trained.arm, name) in self.study.cells and not test.misrouted:
                    task = self.task(trained, name)
                    if is_finished(self.chains[trained][-1]) and is_answered(task):
                        found[trained, name] = answers(task)
        for name, test in self.study.tests.items():
            for trained in self.chains if test.misrouted else ():
                if {(trained, "learnt"), (trained, "swapped")} <= set(found):
                    both = found[trained, "learnt"], found[trained, "swapped"]
                    found[trained, name] = misrouted(*both, test.misrouted or 1, test.sets, trained.seed)
        return found

    def seeds(self, *cells: Cell) -> list[int]:
        """The seeds for which all cells are there."""
        sets = [{t.seed for t, test in self._answers if Cell(t.arm, test) == cell} for cell in cells]
        return sorted(set.intersection(*sets)) if sets else []

    def values(self, cell: Cell, score: str, seeds: Sequence[int]) -> Values:
        """A cell's score by seed and question, (S, Q); the mean over questions is the score."""
        return np.stack([self._values(cell, score, seed) for seed in seeds])

    def _values(self, cell: Cell, score: str, seed: int) -> Values:
        key = (cell, score, seed)
        if key not in self._cache:
            name = score.split("/")[0]
            texts = [prediction["text"] for prediction in self._answers[Trained(cell.arm, seed), cell.test][name]]
            self._cache[key] = by_question(score, questions_of(self.study.tests[cell.test]).questions(name), texts)
        return self._cache[key]

    def score(self, cell: Cell, score: str) -> Score | None:
        """A cell's score; None where no seed is there, or the test has no question of it."""
        seeds = self.seeds(cell)
        if not seeds or score.split("/")[0] not in self.study.tests[cell.test].sets:
            return None
        values_SQ = self.values(cell, score, seeds)
        if not values_SQ.shape[1]:
            return None
        of_seeds = values_SQ.mean(1)
        spread = float(of_seeds.std(ddof=1)) if len(seeds) > 1 else None
        return Score(float(of_seeds.mean()), spread, *values_SQ.shape)

    def contrast(self, plus: Sequence[Cell], minus: Sequence[Cell], score: str) -> Difference | None:
        """The sum of the score over `plus` less that over `minus`, paired; None while nothing has it."""
        seeds = self.seeds(*plus, *minus)
        if not seeds:
            return None
        added, taken = (sum(self.values(cell, score, seeds) for cell in cells) for cells in (plus, minus))
        apart_SQ = np.asarray(added - taken)
        return difference(apart_SQ) if apart_SQ.shape[1] else None

    def to_base(self, cell: Cell, score: str) -> Difference | None:
        """An arm's difference to the base arm, asked in the same way; None where there is none."""
        base = Cell(self.study.base, cell.test)
        known = base in self.study.cells and score.split("/")[0] in self.study.tests[cell.test].sets
        return self.contrast([cell], [base], score) if known and cell != base else None

    def claim(self, claim: Claim) -> Difference | None:
        """The difference that a claim is about; None while it is not there."""
        cell = self.study.cell
        return self.contrast([cell(text) for text in claim.plus], [cell(text) for text in claim.minus], claim.score)

    def verdict(self, claim: Claim) -> str:
        """The verdict by the claim's rule."""
        found = self.claim(claim)
        return "not run" if found is None else found.verdict(claim.expect)

    def changed(self, test: str) -> dict[str, float]:
        """By set: the share of answers, of all arms and seeds, that differ from the same model's to the first test."""
        first, apart = next(iter(self.study.tests)), dict[str, list[bool]]()
        for trained in self.chains:
            if {(trained, first), (trained, test)} <= set(self._answers):
                before, now = self._answers[trained, first], self._answers[trained, test]
                for name in (one for one in now if one in before):
                    pairs = zip(before[name], now[name], strict=False)  # one test may ask more questions
                    apart.setdefault(name, []).extend(old["text"] != new["text"] for old, new in pairs)
        return {name: float(np.mean(each)) for name, each in apart.items()}

    def curves(self, arm: str) -> dict[str, list[tuple[int, Values]]]:
        """Validation scores of an arm by name: samples seen since the arm's beginning, and the values of its seeds."""
        rows: dict[str, dict[int, list[float]]] = {}
        for trained, chain in self.chains.items():
            seen = 0
            for recipe in chain if trained.arm == arm else ():
                batch = recipe.batch_size * recipe.gradient_accumulation
                for step, scores in logged_scores(recipe).items():
                    for name, value in scores.items():
                        rows.setdefault(name, {}).setdefault(seen + step * batch, []).append(value)
                seen += recipe.steps * batch
        return {
            name: [(at, np.array(values)) for at, values in sorted(points.items())] for name, points in rows.items()
        }

    def records(self) -> list[dict[str, Any]]:
        """The records of the finished runs."""
        return [record for recipe in distinct(self.chains) if (record := read_record(recipe.folder))]

    def seconds_of_answers(self) -> list[float]:
        """Seconds in which each answer of the complete tests was generated."""
        own = (found for (_, test), found in self._answers.items() if not self.study.tests[test].misrouted)
        return [float(prediction["seconds"]) for found in own for some in found.values() for prediction in some]


def by_question(score: str, questions: Sequence[TestQuestion], texts: Sequence[str]) -> Values:
    """Each question's share in a score, (Q,): `set/score`, or `set/score/slice` for a kind of question or `small`."""
    name, metric, part = [*score.split("/"), ""][:3]
    chosen = [i for i, one in enumerate(questions) if not part or part in (one.kind, _size(one))]
    if not chosen:
        return np.zeros(0)
    some = [questions[i] for i in chosen]
    said = [texts[i] for i in chosen]
    scenes = [one.scene for one in some]
    if metric == HALLUCINATED:
        each = [score_answers(name, [t], [q.answer], [{}], [s]) for t, q, s in zip(said, some, scenes, strict=True)]
        return np.array([float(one["precision"].value < 1 and not one["precision"].caveat) for one in each])
    found = score_answers(some[0].set, said, [one.answer for one in some], [{"box": one.box} for one in some], scenes)
    shares = found[metric].by_sample
    assert shares is not None, f"{score} is no mean over questions"
    return shares


def _size(question: TestQuestion) -> str | None:
    """The size of the object that REC and REG are about."""
    if question.box is None or question.task not in (LionTask.REC, LionTask.REG):
        return None
    return next((one.size for one in question.scene.objects if one.box == question.box), None)


def misrouted(
    learnt: Mapping[str, list[Prediction]],
    swapped: Mapping[str, list[Prediction]],
    rows: int,
    sets: Sequence[str],
    seed: int,
) -> dict[str, list[Prediction]]:
    """The answers that a model gives which reads every row of a mixed batch at the level of the batch's first row.

    Rows do not influence each other, so these are the answers with its own level's gates, or with the other's.
    """
    places = [(name, index) for name in sets for index in range(len(learnt[name]))]
    order = shuffled(stream("study misrouted", seed), places)
    found = {name: list(learnt[name]) for name in sets}
    for start in range(0, len(order), rows):
        batch = order[start : start + rows]
        level = _level(batch[0][0])
        for name, index in batch:
            if _level(name) != level:
                found[name][index] = swapped[name][index]
    return found


def _level(name: str) -> int:
    return level_of(LionTask.VQA if name.startswith("pope") else LionTask(name))
