"""VQA accuracy for VQAv2 and OK-VQA: agreement with ten annotators, by either of its two official versions.

Mean over the annotators of min(1, matches among the others / 3): k of ten agreeing give 0, .3, .6, .9, 1 for k = 0, 1,
2, 3, >= 4. The versions differ in the normalisation before answers are compared as texts:

* ``legacy_2016``, which LAVIS and most others copied: the prediction always; references, unless all are the same, lose
  their punctuation only. So a unanimous "two" or "the cat" cannot be matched by anything, and "none" never.
* ``official_2021``, today's evaluator: both sides, unless all references are the same; then nothing is but line breaks
  and outer blanks, so that "Yes" against ten "yes" scores 0 (confirmed as intended by its author).

"The others" are the records that differ from the annotator's own, so equal records without ``answer_id`` are left
out together, and a single reference scores 0.

The normalisation is the evaluators' (VQA API, ``vqaEval.py``; LAVIS copied it), their mistakes included. Its steps keep
their names. The effect is reproduced, not the intention:

* whether a mark vanishes or becomes a blank is decided by the whole text: it vanishes if it touches a blank anywhere,
  and every mark vanishes if there is a comma between two digits anywhere ("1,000-ton" -> "1000ton");
* a full stop goes unless a digit follows, at most 32 of them, since a flag was passed in the place of a count;
* "none" is the number 0.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from lion.errors import LionError
from lion.metrics.statistics import Estimate, mean, mean_by_group

Version = Literal["legacy_2016", "official_2021"]

_FOR_A_FULL_SCORE = 4
"""Equal answers of annotators that a right answer needs."""


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
    if few := sum(len(one.answers) < _FOR_A_FULL_SCORE for one in questions):
        caveat = f"fewer than {_FOR_A_FULL_SCORE} reference answers to {few} questions, so none scores 1 there"
        scores["accuracy"] = replace(scores["accuracy"], caveat=caveat)
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


_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_COMMA_BETWEEN_DIGITS = re.compile(r"\d,\d")
_PERIOD = re.compile(r"\.(?!\d)")
_MOST_PERIODS = 32
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {"none": "0"} | {word: str(number) for number, word in enumerate(_WORDS)}
_ARTICLES = {"a", "an", "the"}

# Corrected contractions, each from its spellings that lack one apostrophe. The evaluators' list lacks the same ones
# ("its", "lets", "thatll"); "Im" and the like are capitals there, which a lower-cased word never equals.
_CONTRACTIONS = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've
    he's how'd how'll how's isn't it'd it'd've it'll ma'am might've mightn't mightn't've must've mustn't needn't not've
    o'clock oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's
    someone'd someone'd've someone'll someone's something'd something'd've something'll that's there'd there'd've
    there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's
    what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't would've
    wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've
"""
_CORRECTED = {
    word[: mark.start()] + word[mark.end() :]: word for word in _CONTRACTIONS.split() for mark in re.finditer("'", word)
}
_CORRECTED["somebody'd"] = "somebodyd"  # the wrong way round in their list, too


def clean(text: str) -> str:
    """Line breaks and tabs become blanks; none at either end."""
    return text.replace("\n", " ").replace("\t", " ").strip()


def process_punctuation(text: str) -> str:
    """Marks deleted or turned into blanks, full stops deleted, by the rules above."""
    all_vanish = _COMMA_BETWEEN_DIGITS.search(text) is not None
    out = text
    for mark in _MARKS:
        vanishes = all_vanish or mark + " " in text or " " + mark in text
        out = out.replace(mark, "" if vanishes else " ")
    return _PERIOD.sub("", out, count=_MOST_PERIODS)


def process_digit_article(text: str) -> str:
    """Lower case, number words to digits, articles dropped, contractions corrected, single blanks."""
    words = [_NUMBERS.get(word, word) for word in text.lower().split()]
    return " ".join(_CORRECTED.get(word, word) for word in words if word not in _ARTICLES)


def normalise(text: str) -> str:
    """All three steps, as the evaluators apply them to a prediction."""
    return process_digit_article(process_punctuation(clean(text)))
