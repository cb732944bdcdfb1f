"""POPE: object hallucination measured with yes/no questions about present and absent objects (Li et al., EMNLP 2023).

Parsing and positive class (yes) are those of the official evaluation script. It parses every answer ("" and "Nope" are
a yes), so a strict parser is offered beside it.
"""

from collections.abc import Sequence

from lion.errors import LionError
from lion.metrics.statistics import Estimate, mean, ratio


def is_yes(answer: str) -> bool:
    """The official parser: of the part before the first full stop, commas deleted, split at single blanks, the words
    "No", "no" or "not" make it a no; anything else, the empty answer and "NO" included, is a yes.
    """
    return not {"No", "no", "not"} & set(answer.split(".")[0].replace(",", "").split(" "))


def is_yes_strict(answer: str) -> bool | None:
    """The strict parser: True for the answer yes, False for no, ignoring case and outer blanks; else None."""
    return {"yes": True, "no": False}.get(answer.strip().lower())


def pope(answers: Sequence[str], labels: Sequence[str]) -> dict[str, Estimate]:
    """Score answers against "yes"/"no" labels: ``accuracy``, ``precision``, ``recall``, ``f1`` (0 if no answer is yes)
    and ``yes_ratio``, the share of answers that are yes.

    Raises: LionError without samples or for another label; ValueError for unequal lengths, which the official script
    ignores.
    """
    return _scores([is_yes(answer) for answer in answers], labels)


def pope_strict(answers: Sequence[str], labels: Sequence[str]) -> dict[str, Estimate]:
    """The scores of :func:`pope` by the strict parser, and ``unparsed``, the share of answers that are neither;
    these are wrong, and no yes. Raises: as :func:`pope`."""
    parsed = [is_yes_strict(answer) for answer in answers]
    return {**_scores(parsed, labels), "unparsed": mean([one is None for one in parsed])}


def _scores(parsed: Sequence[bool | None], labels: Sequence[str]) -> dict[str, Estimate]:
    if unknown := set(labels) - {"yes", "no"}:
        raise LionError(f"POPE labels are 'yes' or 'no', not {min(unknown)!r}")
    true, yes = [label == "yes" for label in labels], [one is True for one in parsed]
    pairs = list(zip(yes, true, strict=True))
    both = [one and other for one, other in pairs]
    return {
        "accuracy": mean([one == other for one, other in zip(parsed, true, strict=True)]),
        "precision": ratio(both, yes),
        "recall": ratio(both, true),
        "f1": ratio([2 * hit for hit in both], [one + other for one, other in pairs]),
        "yes_ratio": mean(yes),
    }
