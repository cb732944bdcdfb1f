"""A-OKVQA by its official evaluator, multiple choice and direct answer, and LAVIS's variant of the latter.

Multiple choice: the prediction is the text of the correct choice. Direct answer: min(1, matches / 3) over the direct
answers. Neither leaves an annotator out nor normalises anything, so case matters. Officially, questions marked
``difficult_direct_answer`` are dropped from the direct answers; LAVIS keeps them. A prediction that is None, or no
choice, is an error, as in the official check; without ``strict`` it is wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lion.errors import LionError
from lion.metrics.statistics import Estimate, mean


@dataclass(frozen=True, slots=True)
class AokvqaQuestion:
    """The references of one question; ``correct`` is the index of the correct choice."""

    id: str
    choices: Sequence[str]
    correct: int
    direct_answers: Sequence[str]
    difficult_direct_answer: bool


def aokvqa_multiple_choice(
    predictions: Sequence[str | None], questions: Sequence[AokvqaQuestion], *, strict: bool = True
) -> dict[str, Estimate]:
    """``multiple_choice``, the share of predictions that are the correct choice.

    Raises: LionError without questions, or, if strict, that names the question; ValueError for unequal lengths.
    """
    return {"multiple_choice": mean(aokvqa_choice_hits(predictions, questions, strict=strict))}


def aokvqa_choice_hits(
    predictions: Sequence[str | None], questions: Sequence[AokvqaQuestion], *, strict: bool = True
) -> list[bool]:
    """Whether each prediction is the correct choice. Raises: as :func:`aokvqa_multiple_choice`."""
    for prediction, question in zip(predictions, questions, strict=True):
        if strict and _present(prediction, question) not in question.choices:
            choices = ", ".join(question.choices)
            raise LionError(f"question {question.id!r}: {prediction!r} is none of: {choices}. strict=False forgives it")
    return [one == question.choices[question.correct] for one, question in zip(predictions, questions, strict=True)]


def aokvqa_direct_answer(
    predictions: Sequence[str | None],
    questions: Sequence[AokvqaQuestion],
    *,
    strict: bool = True,
    keep_difficult: bool = False,
) -> dict[str, Estimate]:
    """``direct_answer`` over the questions that are not difficult (official), or over all (``keep_difficult``, LAVIS).

    Raises: LionError that names the question, for a missing prediction (if strict) and for one without direct answers,
    and if no question is left; ValueError for unequal lengths.
    """
    pairs = list(zip(predictions, questions, strict=True))
    counted = [pair for pair in pairs if keep_difficult or not pair[1].difficult_direct_answer]
    values = aokvqa_direct_values([one for one, _ in counted], [question for _, question in counted], strict=strict)
    return {"direct_answer": mean(values)}


def aokvqa_direct_values(
    predictions: Sequence[str | None], questions: Sequence[AokvqaQuestion], *, strict: bool = True
) -> list[float]:
    """The score of each answer, in [0, 1], difficult questions included. Raises: as :func:`aokvqa_direct_answer`."""
    for prediction, question in zip(predictions, questions, strict=True):
        if not question.direct_answers:
            raise LionError(f"question {question.id!r} has no direct answers: this split cannot be scored here")
        if strict:
            _present(prediction, question)
    pairs = zip(predictions, questions, strict=True)
    return [min(1.0, sum(one == answer for answer in question.direct_answers) / 3) for one, question in pairs]


def _present(prediction: str | None, question: AokvqaQuestion) -> str:
    if prediction is None:
        raise LionError(f"question {question.id!r} has no prediction; strict=False counts it as wrong")
    return prediction
