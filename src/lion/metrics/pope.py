"""POPE: polling about objects that are there or not, to measure hallucination (Li et al., EMNLP 2023).

The rule by which an answer is read, and the positive class (yes), are those of the official evaluation script. It reads
something into every answer ("" and "Nope" are a yes), so a strict reading is offered beside it.
"""

from collections.abc import Sequence

from lion.errors import LionError
from lion.metrics.statistics import Estimate, mean, ratio


def says_yes(answer: str) -> bool:
    """The official reading: of the part before the first full stop, commas deleted, split at single blanks, the words
    "No", "no" or "not" make it a no; anything else, the empty answer and "NO" included, is a yes.
    """
    words = answer.split(".")[0].replace(",", "").split(" ")
    return not {"No", "no", "not"} & set(words)


def strictly_says(answer: str) -> bool | None:
    """The strict reading: whether the whole answer is yes, or no, whatever its case and outer blanks; else None."""
    return {"yes": True, "no": False}.get(answer.strip().lower())


def pope(answers: Sequence[str], labels: Sequence[str]) -> dict[str, Estimate]:
    """Score answers against "yes"/"no" labels: ``accuracy``, ``precision``, ``recall``, ``f1`` (0 where nobody says
    yes) and ``yes_ratio``, the share of answers that are yes.

    Raises: LionError without samples or for another label; ValueError for unequal lengths, which the official script
    passes over.
    """
    return _scores([says_yes(answer) for answer in answers], labels)


def pope_strict(answers: Sequence[str], labels: Sequence[str]) -> dict[str, Estimate]:
    """The scores of :func:`pope` by the strict reading, and ``unparsed``, the share of answers that are neither.

    Those are wrong, and no yes. Where the two readings part, it is the official one that made up an answer.
    Raises: as :func:`pope`.
    """
    said = [strictly_says(answer) for answer in answers]
    return {**_scores(said, labels), "unparsed": mean([one is None for one in said])}


def _scores(said: Sequence[bool | None], labels: Sequence[str]) -> dict[str, Estimate]:
    if unknown := set(labels) - {"yes", "no"}:
        raise LionError(f"POPE labels are 'yes' or 'no', not {min(unknown)!r}")
    true = [label == "yes" for label in labels]
    yes = [one is True for one in said]
    both = [one and other for one, other in zip(yes, true, strict=True)]
    return {
        "accuracy": mean([one == other for one, other in zip(said, true, strict=True)]),
        "precision": ratio(both, yes),
        "recall": ratio(both, true),
        "f1": ratio([2 * hit for hit in both], [one + other for one, other in zip(yes, true, strict=True)]),
        "yes_ratio": mean(yes),
    }
