"""A-OKVQA by its official evaluator, multiple choice and direct answer, and LAVIS's variant of the latter.

Multiple choice: the prediction is the text of the right choice. Direct answer: min(1, matches / 3) over the direct
answers. Neither leaves an annotator out nor normalises anything, so case counts. Officially, questions marked
``difficult_direct_answer`` are dropped from the direct answers; LAVIS keeps them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lion.errors import LionError
from lion.metrics.statistics import Estimate, mean


@dataclass(frozen=True, slots=True)
class AokvqaQuestion:
    """The truth about one question."""

    id: str
    choices: Sequence[str]
    correct: int
    """Place of the right choice, counted from 0."""
    direct_answers: Sequence[str]
    difficult_direct_answer: bool


def aokvqa_multiple_choice(
    predictions: Sequence[str | None], questions: Sequence[AokvqaQuestion], *, strict: bool = True
) -> dict[str, Estimate]:
    """``multiple_choice``, the share of predictions that are the right choice.

    ``predictions`` are texts in the order of ``questions``, None where there is none. With ``strict`` each question
    needs one, and one of its choices, as the official check has it; without, all else is wrong.
    Raises: LionError without questions, or, strict, that names the question; ValueError for unequal lengths.
    """
    return {"multiple_choice": mean(aokvqa_choice_hits(predictions, questions, strict=strict))}


def aokvqa_choice_hits(
    predictions: Sequence[str | None], questions: Sequence[AokvqaQuestion], *, strict: bool = True
) -> list[bool]:
    """Whether each prediction is the right choice. Raises: as :func:`aokvqa_multiple_choice`."""
    hits = []
    for said, question in zip(predictions, questions, strict=True):
        if strict and _present(said, question) not in question.choices:
            choices = ", ".join(question.choices)
            raise LionError(f"question {question.id!r}: {said!r} is none of: {choices}. strict=False forgives it")
        hits.append(said == question.choices[question.correct])
    return hits


def aokvqa_direct_answer(
    predictions: Sequence[str | None],
    questions: Sequence[AokvqaQuestion],
    *,
    strict: bool = True,
    keep_difficult: bool = False,
) -> dict[str, Estimate]:
    """``direct_answer`` over the questions that are not difficult (the official score), or, with ``keep_difficult``,
    over all (LAVIS's).

    Without ``strict`` a prediction that is None is worth 0; with it, it is an error in a question that counts.
    Raises: LionError that names the question, for that and for one without direct answers, and if no question is left;
    ValueError for unequal lengths.
    """
    pairs = list(zip(predictions, questions, strict=True))
    counted = [pair for pair in pairs if keep_difficult or not pair[1].difficult_direct_answer]
    values = aokvqa_direct_values([said for said, _ in counted], [true for _, true in counted], strict=strict)
    return {"direct_answer": mean(values)}


def aokvqa_direct_values(
    predictions: Sequence[str | None], questions: Sequence[AokvqaQuestion], *, strict: bool = True
) -> list[float]:
    """What each answer is worth, in [0, 1], difficult questions included. Raises: as :func:`aokvqa_direct_answer`."""
    values = []
    for said, question in zip(predictions, questions, strict=True):
        if not question.direct_answers:
            raise LionError(f"question {question.id!r} has no direct answers: this split cannot be scored here")
        if strict:
            _present(said, question)
        values.append(min(1.0, sum(said == one for one in question.direct_answers) / 3))
    return values


def _present(said: str | None, question: AokvqaQuestion) -> str:
    if said is None:
        raise LionError(f"question {question.id!r} has no prediction; strict=False counts it as wrong")
    return said
