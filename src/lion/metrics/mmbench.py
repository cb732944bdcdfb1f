"""MMBench by CircularEval: a question is correct only if all rotations of its options are answered correctly.

A question with N options is answered N times, its options rotated; rotation k of question q has the index
q + k * 1,000,000. Abilities and categories (L2 and L3) are scored per question, and so is the whole: it is no mean of
abilities. Predictions are option letters, from a ranking of the options.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from lion.errors import LionError
from lion.metrics.statistics import Estimate, mean, mean_by_group

_ROTATION = 1_000_000


@dataclass(frozen=True, slots=True)
class MmbenchRow:
    """The reference of one rotation of a question: a row of the distributed table."""

    index: int
    options: int
    """Number of options, and so of rotations."""
    correct: str
    """Letter of the correct option in this rotation."""
    ability: str
    """L2, one of CP, FP-S, FP-C, AR, LR, RR."""
    category: str
    """L3."""


def mmbench(chosen: Sequence[str | None], rows: Sequence[MmbenchRow]) -> dict[str, Estimate]:
    """``circular`` over questions, ``ability/<L2>`` and ``category/<L3>`` likewise; ``vanilla``, the accuracy of the
    unrotated rows, ``vanilla_all_passes``, of all rows; ``unparsed``, the share of rows without a choice.

    ``chosen`` are letters in the order of ``rows``; None, no option, is wrong.
    Raises: LionError without rows and as :func:`mmbench_hits`; ValueError for unequal lengths.
    """
    hits = mmbench_hits(chosen, rows)
    base = {row.index: row for row in rows if row.index < _ROTATION}
    scores = {"circular": mean(list(hits.values()))}
    for kind in ("ability", "category"):
        scores |= mean_by_group(list(hits.values()), [getattr(base[question], kind) for question in hits], kind)
    plain = [(row.index < _ROTATION, letter == row.correct) for letter, row in zip(chosen, rows, strict=True)]
    return {
        **scores,
        "vanilla": mean([hit for first, hit in plain if first]),
        "vanilla_all_passes": mean([hit for _, hit in plain]),
        "unparsed": mean([letter is None for letter in chosen]),
    }


def mmbench_hits(chosen: Sequence[str | None], rows: Sequence[MmbenchRow]) -> dict[int, bool]:
    """Whether each question is correct in all its rotations, by question index, in the order of first appearance.

    Raises: LionError that names a duplicate index, a question without all of its rotations, or a reference letter that
    is no option's.
    """
    passes: dict[int, dict[int, bool]] = {}
    options: dict[int, int] = {}
    for letter, row in zip(chosen, rows, strict=True):
        question, rotation = row.index % _ROTATION, row.index // _ROTATION
        if rotation in passes.setdefault(question, {}):
            raise LionError(f"MMBench row {row.index} is there twice: keep one")
        if row.correct not in list(ascii_uppercase[: row.options]):
            raise LionError(f"MMBench row {row.index}: {row.correct!r} is not the letter of an option ({row.options})")
        passes[question][rotation] = letter == row.correct
        options[question] = row.options
    for question, hits in passes.items():
        if set(hits) != set(range(options[question])):
            raise LionError(
                f"MMBench question {question} has {options[question]} options, but its rotations are "
                f"{sorted(hits)}: give all of 0 to {options[question] - 1}, or leave the question out"
            )
    return {question: all(hits.values()) for question, hits in passes.items()}
