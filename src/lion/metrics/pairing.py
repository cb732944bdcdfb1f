"""Predictions to their questions, by id. The scores themselves take both in the same order and do not look at ids.

So what may go wrong with ids (one missing, one twice, one of another split) goes wrong here, in one place, loudly. The
official scripts differ: some match by line, some stop at the shorter file.
"""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from lion.errors import LionError

P = TypeVar("P")


def align(predictions: Iterable[tuple[str, P]], ids: Sequence[str]) -> list[P]:
    """The predictions of (id, prediction) pairs in the order of ``ids``, the questions'.

    Raises: LionError that names an id without a prediction, and as :func:`align_partial`.
    """
    given = _by_id(predictions, ids)
    if absent := [one for one in ids if one not in given]:
        raise LionError(f"{len(absent)} of {len(ids)} questions have no prediction, first {absent[0]!r}: answer all")
    return [given[one] for one in ids]


def align_partial(predictions: Iterable[tuple[str, P]], ids: Sequence[str]) -> list[P | None]:
    """As :func:`align`, but None where a question has no prediction, for scores that count it as wrong.

    Raises: LionError that names an id that two predictions or two questions have, or that no question has.
    """
    given = _by_id(predictions, ids)
    return [given.get(one) for one in ids]


def _by_id(predictions: Iterable[tuple[str, P]], ids: Sequence[str]) -> dict[str, P]:
    known: set[str] = set()
    for one in ids:
        if one in known:
            raise LionError(f"question {one!r} is there twice: remove the double, or its score would count twice")
        known.add(one)
    given: dict[str, P] = {}
    for one, prediction in predictions:
        if one in given:
            raise LionError(f"question {one!r} has two predictions: keep one")
        if one not in known:
            raise LionError(f"the prediction for {one!r} belongs to no question: is it of another split?")
        given[one] = prediction
    return given
