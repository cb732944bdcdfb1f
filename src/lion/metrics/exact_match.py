"""Exact match after light normalisation, for the drawn world's short answers.

Public benchmarks have their own official rules: :mod:`lion.metrics.vqa` and others.
"""

from collections.abc import Sequence

from lion.metrics.statistics import Estimate, mean, mean_by_group


def normalise(answer: str) -> str:
    """Lower case, single blanks, no punctuation at either end, no leading article."""
    words = answer.lower().split()
    text = " ".join(words).strip(" .,;:!?\"'")
    for article in ("a ", "an ", "the "):
        text = text.removeprefix(article)
    return text


def exact_match(
    predictions: Sequence[str], references: Sequence[Sequence[str]], kinds: Sequence[str] | None = None
) -> dict[str, Estimate]:
    """``accuracy`` over all questions and, given each question's kind, ``accuracy/<kind>`` of each kind.

    A prediction is correct if it matches any of its question's references.
    Raises: LionError without samples; ValueError for unequal lengths.
    """
    hits = exact_hits(predictions, references)
    return {"accuracy": mean(hits), **mean_by_group(hits, [None] * len(hits) if kinds is None else kinds, "accuracy")}


def exact_hits(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> list[bool]:
    """Whether each prediction matches any of its references. Raises: ValueError for unequal lengths."""
    return [
        normalise(prediction) in map(normalise, accepted)
        for prediction, accepted in zip(predictions, references, strict=True)
    ]
