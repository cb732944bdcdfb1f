"""VQA accuracy for VQAv2 and OK-VQA: agreement with ten annotators, by either of its two official versions.

Mean over the annotators of min(1, matches among the others / 3): k of ten agreeing give 0, .3, .6, .9, 1 for k = 0, 1,
2, 3, >= 4. The versions differ in the normalisation before answers are compared as texts:

* ``legacy_2016``, which LAVIS and most others copied: the prediction always; references, unless all are the same, lose
  their punctuation only. So a unanimous "two" or "the cat" cannot be matched by anything, and "none" never.
* ``official_2021``, today's evaluator: both sides, unless all references are the same; then nothing is but line breaks
  and outer blanks, so that "Yes" against ten "yes" scores 0 (confirmed as intended by its author).

"The others" are the records that differ from the annotator's own, so equal records without ``answer_id`` are left
out together, and a single reference scores 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lion.errors import LionError
from lion.metrics.statistics import Estimate, mean, mean_by_group
from lion.metrics.vqa_normalisation import clean, normalise, process_digit_article, process_punctuation

Version = Literal["legacy_2016", "official_2021"]


@dataclass(frozen=True, slots=True)
class VqaQuestion:
    """The references of one question."""

    id: str
    answers: Sequence[Mapping[str, Any]]
    """The annotators' records as distributed: ``answer``, ``answer_id`` and whatever else; OK-VQA's ``raw_answer`` is
    ignored."""
    question_type: str | None = None
    answer_type: str | None = None


def vqa(predictions: Sequence[str], questions: Sequence[VqaQuestion], version: Version) -> dict[str, Estimate]:
    """``accuracy`` over all questions, and ``answer_type/<type>`` and ``question_type/<type>`` where types are known.

    ``predictions`` are in the order of ``questions``. The evaluators print the same numbers as percent with 2 decimals.
    Raises: LionError without questions and as :func:`vqa_values`; ValueError for unequal lengths.
    """
    values = vqa_values(predictions, questions, version)
    scores = {"accuracy": mean(values)}
    for kind in ("answer_type", "question_type"):
        scores |= mean_by_group(values, [getattr(question, kind) for question in questions], kind)
    return scores


def vqa_values(predictions: Sequence[str], questions: Sequence[VqaQuestion], version: Version) -> list[float]:
    """The accuracy of each answer, in [0, 1]. Raises: LionError that names a question without reference answers."""
    return [_accuracy(text, question, version) for text, question in zip(predictions, questions, strict=True)]


def _accuracy(prediction: str, question: VqaQuestion, version: Version) -> float:
    if not question.answers:
        raise LionError(f"question {question.id!r} has no reference answers: this split cannot be scored here")
    legacy = version == "legacy_2016"
    prediction = clean(prediction)
    given = [one["answer"] if legacy else clean(one["answer"]) for one in question.answers]
    unanimous = len(set(given)) == 1
    if not unanimous:
        given = [process_punctuation(one) for one in given]
        if not legacy:
            given = [process_digit_article(one) for one in given]
    if legacy or not unanimous:
        prediction = normalise(prediction)
    records = [{**record, "answer": answer} for record, answer in zip(question.answers, given, strict=True)]
    matches = [sum(other["answer"] == prediction for other in records if other != own) for own in records]
    return sum(min(1.0, count / 3) for count in matches) / len(matches)
