"""IconQA text choice: accuracy of the chosen index, compared as text with the reference, as officially."""

from collections.abc import Sequence

from lion.metrics.statistics import Estimate, mean


def iconqa(chosen: Sequence[int | str], answers: Sequence[int | str]) -> dict[str, Estimate]:
    """``accuracy``: the share of equal indices. Raises: LionError without samples; ValueError for unequal lengths."""
    return {"accuracy": mean([str(one) == str(true) for one, true in zip(chosen, answers, strict=True)])}
