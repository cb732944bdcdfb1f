"""IconQA, text choice: is the chosen place the right one? The official script compares the two as texts.

To choose by likelihood, take the first of :func:`lion.metrics.candidate_ranking.best_first`.
"""

from collections.abc import Sequence

from lion.metrics.statistics import Estimate, mean


def iconqa(chosen: Sequence[int | str], answers: Sequence[int | str]) -> dict[str, Estimate]:
    """``accuracy``: the share of chosen places, counted from 0, that equal the answers'.

    Raises: LionError without samples; ValueError for unequal lengths.
    """
    return {"accuracy": mean([str(one) == str(true) for one, true in zip(chosen, answers, strict=True)])}
