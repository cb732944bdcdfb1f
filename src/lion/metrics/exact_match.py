"""Visual question answering, any reference answer alike: exact match after light normalisation.

For the drawn world, whose answers are one word or few. Public benchmarks have official rules of their own (VQAv2's ten
annotators, for one), and those are not this.
"""

from collections.abc import Sequence

from lion.metrics.statistics import Estimate, mean


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
    """``accuracy`` over all questions and, given each question's kind, ``accuracy/<kind>`` for every kind apart.

    Each question has one right answer or several.
    Raises: LionError without samples; ValueError for unequal lengths.
    """
    hits = [normalise(said) in map(normalise, right) for said, right in zip(predictions, references, strict=True)]
    scores = {"accuracy": mean(hits)}
    if kinds is not None:
        pairs = list(zip(kinds, hits, strict=True))
        for kind in sorted(set(kinds)):
            scores[f"accuracy/{kind}"] = mean([hit for one, hit in pairs if one == kind])
    return scores
