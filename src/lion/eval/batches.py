"""Which questions are asked together: those of similar length, and all about one picture while it is remembered.

The plan depends on the questions and the batch size alone, not on what is answered already nor on how many processes
share the work, so every answer comes out of the same batch, to the last bit, however often a run was stopped.
"""

from __future__ import annotations

from collections.abc import Hashable

from lion.eval.benchmark import Part

Batch = list[int]


def plan(part: Part, size: int) -> list[list[Batch]]:
    """The batches of a part, in groups: those of one group share pictures and belong to one process.

    With pictures given, questions about one picture stay in one group of at most `size` pictures, and groups and
    batches go from long questions to short ones, so that what needs most memory comes first. Else in the given order.
    """
    if not part.pictures:
        return [[batch] for batch in _cut(list(range(len(part.ids))), size)]
    about: dict[Hashable, list[int]] = {}
    for number, picture in enumerate(part.pictures):
        about.setdefault(picture, []).append(number)
    pictures = sorted(about.values(), key=lambda numbers: (-max(part.lengths[n] for n in numbers), numbers[0]))
    groups = [[n for numbers in pictures[i : i + size] for n in numbers] for i in range(0, len(pictures), size)]
    for group in groups:
        group.sort(key=lambda number: (-part.lengths[number], number))
    return [_cut(group, size) for group in groups]


def _cut(numbers: list[int], size: int) -> list[Batch]:
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]
