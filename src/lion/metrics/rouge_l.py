"""ROUGE-L of one caption (Lin, 2004), as pycocoevalcap computes it."""

from collections.abc import Sequence

BETA = 1.2
"""How much more recall counts than precision."""


def rouge_l(candidate: str, references: Sequence[str]) -> float:
    """The F-score of the longest common subsequence, 0 to 1: best precision and best recall over the references, which
    may come from different ones.

    Texts are tokens separated by single blanks, as from ``tokenize``; as officially, the empty text is one empty token.
    """
    words, others = candidate.split(" "), [reference.split(" ") for reference in references]
    common = [_longest_common_subsequence(words, other) for other in others]
    precision = max(common) / len(words)
    recall = max(length / len(other) for length, other in zip(common, others, strict=True))
    if not precision or not recall:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def _longest_common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """Its length. A row of the usual table as the bits of one number, 0 where the row rises (Hyyrö, 2004)."""
    places: dict[str, int] = {}
    for place, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << place
    every = (1 << len(one)) - 1
    row = every
    for word in other:
        rising = row & places.get(word, 0)
        row = (row + rising | row - rising) & every
    return len(one) - row.bit_count()
